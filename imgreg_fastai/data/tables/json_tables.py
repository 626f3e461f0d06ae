"""Tables in JSON: one object a line, or a list of objects."""
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from ...utils.messages import ImgregError, first_few
from . import exports
from .files import TableFile
from .headers import column_names

RECORDS = 'a list of flat records, [{"image": "a.jpg", "age": 3}, ...], as pandas writes by to_json(orient="records")'
JSON_START = re.compile(r"\s*(\{\s*[\"}]|\[\s*[\[{\"\d\]tfn-])")


def is_json(beginning: str) -> bool:
    """Tell whether a text begins like JSON."""
    return bool(JSON_START.match(beginning))


def read_json(file: TableFile, encoding: str, beginning: str, max_rows: int | None) -> pd.DataFrame:
    """Read a table out of JSON; lists and objects within a cell stay JSON, as text.

    Args:
        file: The file.
        encoding: Its encoding.
        beginning: Its beginning.
        max_rows: Read only the first rows.

    Returns:
        The table; its index + 2 is the line of a row, or its place in a list.

    Raises:
        ImgregError: It is no JSON, of another shape, or an export of a labelling tool.
    """
    if _is_object(beginning.lstrip().partition("\n")[0]) and "\n" in beginning.strip():
        numbers, records = [], []
        for number, record in _json_lines(file, encoding):
            numbers.append(number - 1)
            records.append(record)
            if len(records) == max_rows:
                break
        frame = pd.DataFrame(records, index=numbers)
        exports.check_json(records[:1], file.path)
    else:
        with file.open() as stream:
            text = stream.read().decode(encoding, errors="replace")
        try:
            data = json.loads(text)
        except RecursionError as e:
            raise ValueError("JSON that is nested too deeply") from e
        exports.check_json(data, file.path)
        frame = _from_data(data, file.path).iloc[:max_rows]
    frame = frame.set_axis(column_names(frame.columns, file.path), axis=1)
    for name in frame.select_dtypes(object):
        frame[name] = frame[name].map(lambda cell: json.dumps(cell) if isinstance(cell, (list, dict)) else cell)
    return frame


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _json_lines(file: TableFile, encoding: str) -> Iterator[tuple[int, dict]]:
    """Yield the object of each line, and the line's number from 0."""
    with file.open() as stream:
        for number, line in enumerate(stream):
            text = line.decode(encoding, errors="replace").strip()
            if not text:
                continue
            try:
                record = json.loads(text)
            except ValueError as e:
                raise ValueError(f"line {number + 1} is not JSON: {e}") from e
            if not isinstance(record, dict):
                raise ValueError(f"line {number + 1} is not an object {{...}}")
            yield number, record


def _from_data(data: Any, path: Path) -> pd.DataFrame:
    """Return the table that JSON holds: a list of objects, or an object of columns."""
    if isinstance(data, dict) and not any(isinstance(value, (dict, list)) for value in data.values()):
        data = [data]
    if isinstance(data, list) and data and all(isinstance(record, dict) for record in data):
        return pd.DataFrame(data, index=pd.RangeIndex(-1, len(data) - 1))
    if isinstance(data, dict) and data and all(_is_column(column) for column in data.values()):
        frame = pd.DataFrame(data)
        return frame.set_axis(pd.RangeIndex(-1, len(frame) - 1), axis=0)
    content = f"an object with {first_few(data, 4)}" if isinstance(data, dict) and data else "a list of something else"
    raise ImgregError(RECORDS, f"'{path}': {content if data else 'nothing in it'}")


def _is_column(column: Any) -> bool:
    cells = column.values() if isinstance(column, dict) else column
    return isinstance(column, (dict, list)) and not any(isinstance(cell, (dict, list)) for cell in cells)
