"""Where labelled pictures come from: each dataset, built in or the user's table, ends in a Task and a labels table."""
from pathlib import Path

from ..errors import ImgregError, nearest
from ..messages import say
from ..targets import parse
from ..tasks import BUILT_IN, PRESETS, Task
from . import angle, headpose

# A module has HOME and DRAWN, the folders its data and its drawings go to; obtain(out), which gets the data; draw(out,
# n, ...); and read(folder, labels), the labels table of a folder that has the data. Each returns where the labels are.
HOMES = {"angle": angle, "headpose": headpose}
TABLES = (".csv", ".tsv", ".parquet")


def locate(name: str | Task, data: str | Path | None = None, preset: str | None = None,
           labelling: str | None = None) -> tuple[Task, Path]:
    """The Task called `name` and its labels table, or the folder whose file names hold the labels.

    `name`: a built-in task, the path of a table, or a Task of your own with `data` its table. `data`: a folder with the
    pictures, `drawn` for drawings, or nothing for the task's own data, which are made or fetched if need be. A table's
    Task has no targets of its own: see `from_table`. Raises ImgregError for an unknown name.
    """
    if isinstance(name, Task) and name.name not in HOMES:
        return name, Path(data or "")
    task = name if isinstance(name, Task) else _chosen(name, preset)
    task = task.changed(labelling=labelling)
    home = HOMES[task.name]
    if data is None or str(data) == "drawn":
        place, get = (home.HOME, home.obtain) if data is None else (home.DRAWN, home.draw)
        if not (Path(place).is_dir() and any(Path(place).iterdir())):
            say(f"no pictures in {place} yet: {'getting' if data is None else 'drawing'} them")
            get(place)
        data = place
    return task, home.read(Path(data), task.labelling)


def from_table(table: str | Path, specs: list[str]) -> Task:
    """The Task of a user's table: the targets that `specs` name."""
    if not specs:
        raise ImgregError(f"--target NAME[=COL,..][:KIND], columns of {table}", "none")
    return Task(Path(table).stem, tuple(map(parse, specs)))


def make(name: str, out: str | Path | None = None, data: str | Path | None = None, **how) -> Path:
    """Get a task's pictures into the folder `out`, or draw them with `data` drawn; the path of their labels table.

    `how`: see the dataset's `draw`. With another `data`, a folder, its labels table is written beside its pictures.
    """
    home = HOMES[_known(name)]
    if data is not None and str(data) != "drawn":
        return home.read(Path(data))
    if data is None and not how:
        return home.obtain(out or home.HOME)
    return home.draw(out or home.DRAWN, **how)


def _chosen(name: str, preset: str | None) -> Task:
    task = BUILT_IN[_known(name)]
    if preset is None:
        return task
    presets = PRESETS.get(name, {})
    if preset not in presets:
        raise ImgregError(f"a preset of {name}: {', '.join(presets) or 'it has none'}", f"'{preset}'")
    return presets[preset]


def _known(name: str) -> str:
    if name not in BUILT_IN:
        raise ImgregError(f"a task: {', '.join(BUILT_IN)}, or a labels table", f"'{name}'", nearest(name, BUILT_IN))
    return name
