"""The user's own labelled pictures: a table, or a folder whose names hold the labels, and the Task they make."""
from dataclasses import replace
from pathlib import Path

from ..data import tables
from ..data.infer_targets import infer_targets
from ..tasks import (
    BUILT_IN,
    RESERVED_COLUMNS,
    Task,
    default_augmentations,
    parse_for_table,
    with_flip_pairs,
    with_options,
)
from ..utils.console import say
from ..utils.errors import ImgregError

BEGINNING = 10_000  # rows that tell what a table is about
NAMELESS = ("labels", "table", "data", "index", "metadata", "annotations", "train")  # tables go by their folders' names


def is_table(name) -> bool:
    """Whether a TASK is the path of a table or of a folder, and not a name: a folder `angle` is no table."""
    return name not in BUILT_IN and (Path(name).suffix.lower() in tables.SUFFIXES or Path(name).is_dir())


def table_name(place: str | Path) -> str:
    """What a table or folder, its task and its runs are called."""
    place = Path(place).resolve()
    if place.is_dir():
        return place.name
    return place.parent.name if place.stem.lower() in NAMELESS and place.parent.name else place.stem


def table_task(place: str | Path, specs: list[str] = (), image: str = "", pattern: str = "", flip_pairs=None, units=(),
         weights=(), scale: str | None = None, used: tuple[str, ...] = ()) -> Task:
    """The Task of a table, or of a folder in place of one.

    `specs`: `NAME[=COL,..][:KIND]` each; without any, targets are inferred and said. `image`: the column that names the
    pictures; `pattern`: a regular expression whose named groups are the columns that a folder's names hold;
    `flip_pairs`: see targets.read_pairs; `units`, `weights`: {target: value}; `scale`: linear or log, for all plain
    numbers; `used`: columns that are no labels, such as those of a box.
    """
    place = Path(place)
    if pattern and not place.is_dir():
        raise ImgregError("a folder in place of the table, for --label-from-name", f"'{place}'")
    if _is_bare(place, pattern):
        columns, found = _from_names(pattern, specs, used)
    else:
        image, columns, found = _from_table(place, image, used)
    made = task_from_columns(table_name(place), specs or found(), columns, flip_pairs, units, weights, scale)
    return replace(made, image=image, name_pattern=pattern)


def task_from_columns(name: str, specs: list[str], columns: list[str], flip_pairs=None, units=(), weights=(),
                 scale: str | None = None) -> Task:
    """The Task of a table's `columns`; the rest as for `task`. What becomes of left and right points is said."""
    chosen = tuple(parse_for_table(spec, list(columns)) for spec in specs)
    chosen, told = with_flip_pairs(with_options(chosen, units, weights, scale), flip_pairs)
    for line in told:
        say(line)
    return Task(name, chosen, augment=default_augmentations(chosen))


def _is_bare(place: Path, pattern: str) -> bool:
    """Whether it is a folder whose pictures' names are the only labels."""
    return place.is_dir() and (bool(pattern) or not (place / "labels.csv").is_file())


def _from_table(place: Path, image: str, used: tuple[str, ...]):
    """A table's column of pictures, its columns, and what infers targets from its beginning."""
    table = place / "labels.csv" if place.is_dir() else place
    frame = tables.read_table(table, max_rows=BEGINNING)
    if frame.empty:
        raise ImgregError("a labels table with rows", f"none in '{table}'")
    image = tables.image_column(frame, image, table)

    def inferred() -> list[str]:
        found = infer_targets(frame, image, used)
        for line in found.told:
            say(line)
        return list(found.specs)

    return image, [str(column) for column in frame.columns], inferred


def _from_names(pattern: str, specs: list[str], used: tuple[str, ...]):
    """The columns that a folder's names hold: the pattern's groups, or what sub folders are called."""
    groups = tables.columns_in_pattern(pattern) if pattern else []
    columns = groups or [spec.partition("=")[0].partition(":")[0] for spec in specs] or ["label"]
    return columns, lambda: [c for c in columns if c not in (*RESERVED_COLUMNS, *used)]
