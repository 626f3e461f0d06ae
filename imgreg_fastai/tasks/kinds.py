"""The kinds of target, and how a target is written: NAME[=COLUMN,COLUMN...][:KIND], names in quotes where need be.

A new kind is a file beside this one, and its class in KINDS.
"""
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from ..utils import quoting
from ..utils.messages import ImgregError, close_matches, first_few
from .angle import Angle
from .number import Number
from .point import Point
from .rotation import Rotation
from .target import Target

# A number for all plain numbers, {target name: number}, or any of these and pairs in a list.
Bounds: TypeAlias = float | Mapping[str, float] | Iterable[float | tuple[str, float]]
KINDS = (Number, Angle, Point, Rotation)
KINDS_BY_NAME = {cls.kind: cls for cls in KINDS}
# What --target NAME:SPEC says -> the kind, and the fields that it sets.
SPECS = {spec: (cls, fields) for cls in KINDS for spec, fields in (cls.specs or {cls.kind: {}}).items()}
SPEC_WORDS = ", ".join(word for cls in KINDS for word in cls.spec_words or (cls.kind,))


def target_from_dict(fields: dict[str, Any]) -> Target:
    """The target that `Target.to_dict` wrote; raises ImgregError for a kind that this version does not know."""
    kind = fields.get("kind") if isinstance(fields, dict) else fields
    if not isinstance(kind, str) or kind not in KINDS_BY_NAME:
        raise ImgregError(f"a target kind of {', '.join(KINDS_BY_NAME)}", repr(kind), "a newer imgreg")
    try:
        return KINDS_BY_NAME[kind].from_dict({name: value for name, value in fields.items() if name != "kind"})
    except (TypeError, KeyError) as e:
        raise ImgregError(f"the fields of a target of kind {kind}", str(e)) from e


class TargetSpec(NamedTuple):
    """The parts of NAME[=COLUMN,...][:KIND[=OPTION]]; what was left out is empty.

    `literal` tells of each column whether it was quoted, so that a star in it is no pattern.
    """

    name: str
    columns: tuple[str, ...]
    kind: str
    option: str
    literal: tuple[bool, ...] = ()

    def build(self, **fields: Any) -> Target:
        """The target; `fields` replace what the text says. A text without a kind is a number."""
        cls, defaults = SPECS[self.kind or "number"]
        # `angle` alone has no period
        option = cls.read_option(self.option) if self.option or self.kind == "angle" else {}
        defaults = {**defaults, **option}
        columns = self.columns or [c.replace("NAME", self.name) for c in cls.columns_where_none(defaults)]
        return cls(**{"name": self.name, "columns": tuple(columns), **defaults, **fields})


def parse_target(text: str, task_targets: tuple[Target, ...] = ()) -> Target:
    """Read a target.

    Args:
        text: `NAME[=COLUMN,...][:KIND]`. KIND may be `angle:PERIOD` or `rotation=FORM`. A name with one of : = , * is
            in quotes.
        task_targets: The task's own targets, of which NAME must be one if there are any. Such a name without a KIND is
            that target, read from other columns if some are given; with `:number` it is a plain number, from 0 to the
            period where it was an angle.

    Returns:
        The target.

    Raises:
        ImgregError: For a text that is not so, or the name of another target.
    """
    spec = split_spec(text)
    if not task_targets:
        return spec.build()
    by_name = {t.name: t for t in task_targets}
    if spec.name not in by_name:
        raise ImgregError(f"one of the task's targets: {', '.join(by_name)}", f"'{spec.name}'",
                          close_matches(spec.name, by_name))
    old = by_name[spec.name]
    if not spec.kind or (spec.kind == old.kind and not spec.option):
        return replace(old, columns=spec.columns) if spec.columns else old
    fields = {"columns": spec.columns or old.columns, "unit": old.unit, "weight": old.weight}
    if spec.kind == "number" and isinstance(old, Angle):
        fields |= {"low": old.start, "high": old.start + old.wraps}
    return spec.build(**fields)


def parse_for_table(text: str, table_columns: Sequence[str]) -> Target:
    """Read a target of which all columns must be in a table.

    Args:
        text: As for `parse_target`. A point's x and y may be patterns, `face=p*_x,p*_y:point`: all columns that match,
            in natural order, x and y with the same text in place of the star side by side.
        table_columns: The table's columns.

    Returns:
        The target, with the columns that the patterns stand for.

    Raises:
        ImgregError: For a column that is not there, a star that matches nothing, and an x without its y.
    """
    # a column's own name, whatever is in it
    spec = TargetSpec(text, (text,), "", "", (True,)) if text in table_columns else split_spec(text)
    if any("*" in column and column not in table_columns and not literal
           for column, literal in zip(spec.columns, spec.literal, strict=True)):
        if spec.kind != "point" or len(spec.columns) % 2:
            raise ImgregError("stars in pairs of columns of points", f"'{text}'",
                              quoting.option("--target", f"{quoting.quote(spec.name)}=*_x,*_y:point"))
        pairs = zip(spec.columns[::2], spec.columns[1::2], strict=True)
        columns = [column for x, y in pairs for column in _matching_pairs(x, y, table_columns)]
        spec = spec._replace(columns=tuple(dict.fromkeys(columns)))
    target = spec.build()
    for column in target.columns:
        if column not in table_columns:
            raise ImgregError(f"a column '{column}' for the target '{spec.name}'",
                              f"columns {first_few(table_columns, 8)}", _suggestion(spec.name, column, table_columns))
    return target


def with_options(targets: Sequence[Target], units: Mapping[str, str] | Iterable[tuple[str, str]] = (),
                 weights: Mapping[str, float] | Iterable[tuple[str, float]] = (),
                 scale: str | None = None, minimum: Bounds = (), maximum: Bounds = (),
                 flip_negates: Iterable[str] = ()) -> tuple[Target, ...]:
    """The targets with other options.

    Args:
        targets: The targets.
        units: {target name: unit}, or pairs.
        weights: {target name: weight}, or pairs.
        scale: linear or log, for all numbers; None leaves it as it is.
        minimum: What plain numbers cannot be below.
        maximum: What they cannot be above.
        flip_negates: Plain numbers whose sign a mirror changes.

    Returns:
        The changed targets, in their order.

    Raises:
        ImgregError: For a name that is no target's, and for options of numbers where nothing is a number.
    """
    units, weights = dict(units), dict(weights)
    check_names("--unit NAME=UNIT", units, targets)
    check_names("--target-weight NAME=NUMBER", weights, targets)
    changed = [replace(t.with_unit(units[t.name]) if t.name in units else t, weight=weights.get(t.name, t.weight))
               for t in targets]
    numbers = [t for t in targets if isinstance(t, Number)]
    if scale is not None:
        _check_numbers("--scale", numbers, targets)
    of_number: dict[str, dict[str, Any]] = {
        "scale": {} if scale is None else dict.fromkeys((t.name for t in numbers), scale),
        "minimum": _bounds("--min", minimum, targets),
        "maximum": _bounds("--max", maximum, targets),
        "flip_negates": dict.fromkeys(flip_negates, True),
    }
    check_names("--flip-negates NAME", of_number["flip_negates"], targets, numbers)
    return tuple(replace(t, **{name: values[t.name] for name, values in of_number.items() if t.name in values})
                 if isinstance(t, Number) else t for t in changed)


def check_names(option: str, names: Iterable[str], targets: Sequence[Target],
                possible: Sequence[Target] | None = None) -> None:
    """Raise ImgregError for a name that is no target's, or not that of a `possible` one, which are plain numbers."""
    all_names = [t.name for t in targets]
    for name in names:
        if name not in all_names:
            raise ImgregError(f"{option} for a target: {first_few(all_names, 8)}", f"'{name}'",
                              close_matches(str(name), all_names) or None)
        if possible is not None and name not in [t.name for t in possible]:
            kind = next(t.kind for t in targets if t.name == name)
            raise ImgregError(f"{option} for a target that is a plain number", f"{kind} '{name}'")


def _check_numbers(option: str, numbers: Sequence[Target], targets: Sequence[Target]) -> None:
    """Raise ImgregError for an option of plain numbers where there are none."""
    if not numbers:
        kinds = first_few(f"{t.kind} '{t.name}'" for t in targets)
        raise ImgregError(f"{option} with a target that is a plain number", kinds)


def _bounds(option: str, bounds: Bounds, targets: Sequence[Target]) -> dict[str, float]:
    """The bound of each plain number that has one, by its name; a bound with a name goes before one without."""
    numbers = [t for t in targets if isinstance(t, Number)]
    entries = list(bounds.items()) if isinstance(bounds, Mapping) else bounds
    if not isinstance(entries, Iterable) or isinstance(entries, str):
        entries = [entries]
    entries = list(entries)
    named = dict(entry for entry in entries if isinstance(entry, (tuple, list)))
    for_all = [entry for entry in entries if not isinstance(entry, (tuple, list))]
    if for_all:
        _check_numbers(option, numbers, targets)
    if len(for_all) > 1:
        raise ImgregError(f"{option} once, or {option} NAME=NUMBER", first_few(for_all))
    check_names(f"{option} NAME=NUMBER", named, targets, numbers)
    return {**{t.name: bound for bound in for_all for t in numbers}, **named}


def split_spec(text: str) -> TargetSpec:
    """The parts of `NAME[=COLUMN,...][:KIND[=OPTION]]`; raises ImgregError for an unknown kind."""
    head, _, kind = quoting.partition(text, ":")
    name, _, columns = quoting.partition(head, "=")
    kind, *option = re.split("[:=]", kind.strip(), maxsplit=1)
    parts = quoting.split(columns, ",") if columns else []
    spec = TargetSpec(quoting.unquote(name), tuple(map(quoting.unquote, parts)), kind, "".join(option).strip(),
                      tuple(map(quoting.is_quoted, parts)))
    has_option = kind in SPECS and SPECS[kind][0].spec_words and kind not in ("angle180", "angle360")
    if (kind and kind not in SPECS) or (option and not has_option):
        hint = None if kind in SPECS else "quotes around a name that has one of : = , * in it, as in '\"a:b\":number'"
        raise ImgregError(f"a target NAME[=COL,COL][:KIND] with KIND one of {SPEC_WORDS}", f"'{text}'", hint)
    return spec


def _suggestion(name: str, column: str, table_columns: Sequence[str]) -> str | None:
    """What may have been meant by a column that is not there."""
    for spec, (cls, _) in SPECS.items():
        columns = {template.replace("NAME", name) for template in cls.default_columns}
        if column == name and "NAME" in cls.default_columns[0] and columns <= set(table_columns):
            return quoting.option("--target", quoting.target_text(name, kind=spec))
    close = close_matches(column, table_columns)
    return f"one of {close}" if close else None


def _matching_pairs(x: str, y: str, table_columns: Sequence[str]) -> Iterable[str]:
    """The columns of the patterns `x` and `y`, side by side; the two themselves where neither has a star."""
    if (x in table_columns and y in table_columns) or "*" not in x + y:
        return [x, y]
    xs, ys = (_matches(pattern, table_columns) for pattern in (x, y))
    for pattern, matches in ((x, xs), (y, ys)):
        if not matches:
            close = close_matches(pattern.replace("*", ""), table_columns)
            raise ImgregError(f"columns like '{pattern}'", "none", close and f"a pattern of such as {close}")
    for pattern, matches, partner, partners in ((x, xs, y, ys), (y, ys, x, xs)):
        single = [column for star, column in matches.items() if star not in partners]
        if single:
            raise ImgregError(f"a column '{partner}' for each '{pattern}'", f"{first_few(single)} without it")
    order = sorted(xs, key=lambda star: [natural(part) for part in star])
    return [matches[star] for star in order for matches in (xs, ys)]


def _matches(pattern: str, table_columns: Sequence[str]) -> dict[tuple[str, ...], str]:
    """{what stands in place of the stars: column} of the columns that match."""
    expression = re.compile("(.*)".join(map(re.escape, pattern.split("*"))))
    matches = ((expression.fullmatch(column), column) for column in table_columns)
    return {match.groups(): column for match, column in matches if match}


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts p2 before p10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
