"""Where labelled pictures come from: each built-in dataset ends in a Task and a labels table."""
from pathlib import Path

from ..errors import ImgregError, nearest
from ..tasks import BUILT_IN, Task
from . import angle

HOMES = {"angle": angle}  # a module has draw(out, ...) -> path of the labels table, and HOME, where it goes by default


def locate(name: str, data: str | Path | None = None) -> tuple[Task, Path]:
    """The Task called `name` and the path of its labels table; makes the pictures if they are not there yet.

    `data`: the folder that holds, or will hold, the pictures. Raises ImgregError for an unknown name, or for a folder
    without a labels table in which something else lies.
    """
    _known(name)
    table = Path(data or HOMES[name].HOME) / "labels.csv"
    return BUILT_IN[name], table if table.is_file() else make(name, data)


def make(name: str, out: str | Path | None = None, **how) -> Path:
    """Make a task's pictures in the folder `out`; returns the path of their labels table. `how`: see its `draw`."""
    _known(name)
    return HOMES[name].draw(out or HOMES[name].HOME, **how)


def _known(name: str) -> None:
    if name not in BUILT_IN:
        raise ImgregError(f"a task: {', '.join(BUILT_IN)}", f"'{name}'", nearest(name, BUILT_IN))
