"""Where labelled pictures come from: each dataset, built in or the user's table, ends in a Task and a labels table."""
from inspect import signature
from pathlib import Path

from ..data import tables
from ..tasks import BUILT_IN, PRESETS, Task
from ..utils.console import say
from ..utils.errors import ImgregError, close_matches
from ..utils.files import has_content
from . import angle, headpose, own_table

# A module has HOME and DRAWN, the folders its data and its drawings go to; obtain(out), which gets the data; draw(out,
# n, ...); and read(folder, labels), the labels table of a folder that has the data. Each returns where the labels are.
__all__ = ["HOMES", "locate", "make", "own_table"]
HOMES = {"angle": angle, "headpose": headpose}


def locate(name: str | Task, data: str | Path | None = None, preset: str | None = None,
           labelling: str | None = None) -> tuple[Task, Path]:
    """The Task called `name` and its labels table, or the folder whose file names hold the labels.

    `name`: a built-in task, or a Task of your own with `data` its table. `data`: a folder with the pictures, `drawn`
    for drawings, or nothing for the task's own data, which are made or fetched if need be. Raises ImgregError for an
    unknown name.
    """
    if isinstance(name, Task) and (name.name not in HOMES or Path(data or "").suffix.lower() in tables.SUFFIXES):
        return name, Path(data or "")
    drawn = str(data) == "drawn"
    task = name if isinstance(name, Task) else _chosen(name, preset, drawn)
    task = task.with_options(labelling=labelling)
    home = HOMES[task.name]
    if data is None or drawn:
        place, get = (home.HOME, home.obtain) if data is None else (home.DRAWN, home.draw)
        if not has_content(place):
            say(f"no pictures in {place} yet: {'getting' if data is None else 'drawing'} them")
            get(place)
        data = place
    return task, home.read(Path(data), task.labelling)


def make(name: str, out: str | Path | None = None, data: str | Path | None = None, **how) -> Path:
    """Get a task's pictures into the folder `out`, or draw them with `data` drawn; the path of their labels table.

    `how`: see the dataset's `draw`. With another `data`, a folder, its labels table is written beside its pictures.
    """
    home = HOMES[_known(name)]
    unknown = [option for option in how if option not in signature(home.draw).parameters]
    if unknown:
        raise ImgregError(f"options for drawing {name}", f"--{unknown[0]}")
    if data is None and not how:
        return home.obtain(out or home.HOME)
    if data is None or str(data) == "drawn":
        return home.draw(out or home.DRAWN, **how)
    if out or how:
        also = "out" if out else next(iter(how))
        raise ImgregError("--data DIR alone, whose labels are read where it is", f"--{also} too")
    return home.read(Path(data))


def _chosen(name: str, preset: str | None, drawn: bool) -> Task:
    """The built-in task, or a preset of it: of drawings, unless told, the one for them where there is one."""
    task, presets = BUILT_IN[_known(name)], PRESETS.get(name, {})
    if preset is None:
        return presets.get("drawn", task) if drawn else task
    if preset not in presets:
        raise ImgregError(f"a preset of {name}: {', '.join(presets) or 'it has none'}", f"'{preset}'")
    return presets[preset]


def _known(name: str) -> str:
    if name not in BUILT_IN and (Path(name).suffix or len(Path(name).parts) > 1 or name.endswith("/")):
        excel = Path(name).suffix.lower() in (".xlsx", ".xls", ".ods")
        raise ImgregError("a labels table (CSV, TSV or Parquet), or a folder of pictures", f"'{name}'",
                          "saving it as CSV" if excel else None)
    if name not in BUILT_IN:
        raise ImgregError(f"a task: {', '.join(BUILT_IN)}, or a labels table", f"'{name}'", close_matches(name, BUILT_IN))
    return name
