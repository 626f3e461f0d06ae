"""Where labelled pictures come from: each built-in dataset ends in a Task and a labels table."""
from pathlib import Path

from ..errors import ImgregError, nearest
from ..messages import say
from ..tasks import BUILT_IN, Task
from . import angle

HOMES = {"angle": angle}  # a module has draw(out, ...) -> path of the labels table, and HOME, where it goes by default


def locate(name: str, data: str | Path | None = None) -> tuple[Task, Path]:
    """The Task called `name` and its labels table, or the folder whose file names hold the labels.

    `data`: a folder with such pictures, or a new one, in which they are made. Raises ImgregError for an unknown name.
    """
    _known(name)
    home = Path(data or HOMES[name].HOME)
    table = home / "labels.csv"
    if not table.is_file():
        if home.is_dir() and any(home.iterdir()):
            return BUILT_IN[name], home
        if home.suffix:  # no name for a new folder of pictures, but for a file that is not there
            raise ImgregError("a folder for --data", f"'{home}'")
        say(f"no pictures in {home} yet: drawing them")
        return BUILT_IN[name], make(name, home)
    return BUILT_IN[name], table


def make(name: str, out: str | Path | None = None, **how) -> Path:
    """Make a task's pictures in the folder `out`; returns the path of their labels table. `how`: see its `draw`."""
    _known(name)
    return HOMES[name].draw(out or HOMES[name].HOME, **how)


def _known(name: str) -> None:
    if name not in BUILT_IN:
        raise ImgregError(f"a task: {', '.join(BUILT_IN)}", f"'{name}'", nearest(name, BUILT_IN))
