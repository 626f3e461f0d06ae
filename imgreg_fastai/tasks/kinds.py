"""The kinds of target, and how a target is written: NAME[=COLUMN,COLUMN...][:KIND].

A new kind is a file beside this one, and its class in KINDS.
"""
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..utils.messages import ImgregError, close_matches, first_few
from .angle import Angle
from .number import Number
from .point import Point
from .rotation import Rotation
from .target import Target

KINDS = (Number, Angle, Point, Rotation)
KINDS_BY_NAME = {cls.kind: cls for cls in KINDS}
# What --target NAME:SPEC says -> the kind, and the fields that it sets.
SPECS = {spec: (cls, fields) for cls in KINDS for spec, fields in (cls.specs or {cls.kind: {}}).items()}


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
    """The parts of NAME[=COLUMN,...][:KIND[=OPTION]]; what was left out is empty."""

    name: str
    columns: tuple[str, ...]
    kind: str
    option: str

    def build(self, **fields: Any) -> Target:
        """The target; `fields` replace what the text says. A text without a kind is a number."""
        cls, defaults = SPECS[self.kind or "number"]
        option = {cls.spec_option: self.option} if self.option else {}
        columns = self.columns or [column.replace("NAME", self.name) for column in cls.default_columns]
        return cls(**{"name": self.name, "columns": tuple(columns), **defaults, **option, **fields})


def parse_target(text: str, task_targets: tuple[Target, ...] = ()) -> Target:
    """Read a target.

    Args:
        text: `NAME[=COLUMN,...][:KIND]`. KIND may be `rotation=SEQUENCE`.
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
    if spec.kind == "number" and old.wraps and len(old.columns) == 1:
        fields |= {"low": 0.0, "high": old.wraps}
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
    spec = split_spec(text)
    if any("*" in column and column not in table_columns for column in spec.columns):
        if spec.kind != "point" or len(spec.columns) % 2:
            raise ImgregError("stars in pairs of columns of points", f"'{text}'",
                              f"--target '{spec.name}=*_x,*_y:point'")
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
                 scale: str | None = None) -> tuple[Target, ...]:
    """The targets with other options.

    Args:
        targets: The targets.
        units: {target name: unit}, or pairs.
        weights: {target name: weight}, or pairs.
        scale: linear or log, for all numbers; None leaves it as it is.

    Returns:
        The changed targets, in their order.

    Raises:
        ImgregError: For a name that is no target's, and for a scale where nothing is a number.
    """
    units, weights = dict(units), dict(weights)
    names = [t.name for t in targets]
    for option, values in (("--unit NAME=UNIT", units), ("--target-weight NAME=NUMBER", weights)):
        for name in values:
            if name not in names:
                raise ImgregError(f"{option} for a target: {first_few(names, 8)}", f"'{name}'",
                                  close_matches(name, names) or None)
    changed = [replace(t, unit=units.get(t.name, t.unit), weight=weights.get(t.name, t.weight)) for t in targets]
    if scale is None:
        return tuple(changed)
    if not any(isinstance(t, Number) for t in targets):
        kinds = first_few(f"{t.kind} '{t.name}'" for t in targets)
        raise ImgregError("--scale with a target that is a plain number", kinds)
    return tuple(replace(t, scale=scale) if isinstance(t, Number) else t for t in changed)


def split_spec(text: str) -> TargetSpec:
    """The parts of `NAME[=COLUMN,...][:KIND[=OPTION]]`; raises ImgregError for an unknown kind."""
    head, _, kind = text.partition(":")
    name, _, columns = head.partition("=")
    kind, _, option = kind.partition("=")
    if (kind and kind not in SPECS) or (option and not SPECS[kind][0].spec_option):
        raise ImgregError(f"a target NAME[=COL,COL][:KIND] with KIND one of {', '.join(SPECS)}", f"'{text}'")
    return TargetSpec(name.strip(), tuple(c.strip() for c in columns.split(",")) if columns else (), kind, option)


def _suggestion(name: str, column: str, table_columns: Sequence[str]) -> str | None:
    """What may have been meant by a column that is not there."""
    for spec, (cls, _) in SPECS.items():
        columns = {template.replace("NAME", name) for template in cls.default_columns}
        if column == name and "NAME" in cls.default_columns[0] and columns <= set(table_columns):
            return f"--target {name}:{spec}"
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
