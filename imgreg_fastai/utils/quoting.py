"""Names in the text of an option: quoted where they hold a sign that divides the text, as in `"T, mean"=mm`."""
import re
import shlex
from collections.abc import Iterable

SIGNS = ":=,*"  # what a name may only hold in quotes; the star stands for any text
# A part in quotes, all of what stands between two signs or the ends. A quote within is written twice.
QUOTED = re.compile(r"""(?<![^:=,])\s*(?:"(?:[^"]|"")*"|'(?:[^']|'')*')\s*(?![^:=,])""")


def partition(text: str, sign: str) -> tuple[str, str, str]:
    """Divide a text at its first sign outside quotes, as str.partition does."""
    before, *after = split(text, sign, 1)
    return before, sign if after else "", after[0] if after else ""


def split(text: str, sign: str, limit: int = -1) -> list[str]:
    """Divide a text at its signs outside quotes: `a,"b,c"` at the comma is `a` and `"b,c"`.

    Args:
        text: The text.
        sign: One character.
        limit: The most divisions to make; -1: all.
    """
    parts, start = [], 0
    masked = QUOTED.sub(lambda match: "\0" * len(match[0]), text)
    for part in masked.split(sign, limit):
        parts.append(text[start : start + len(part)])
        start += len(part) + 1
    return parts


def is_quoted(text: str) -> bool:
    """Whether a part of an option is in quotes."""
    return QUOTED.fullmatch(text) is not None


def unquote(text: str) -> str:
    """The name that a part of an option stands for, without quotes and the blanks around it."""
    text = text.strip()
    return text[1:-1].replace(2 * text[0], text[0]) if is_quoted(text) else text


def quote(name: str) -> str:
    """A name as `unquote` reads it: in quotes where it needs them."""
    plain = name == name.strip() and not any(sign in name for sign in SIGNS) and name[:1] not in ("'", '"')
    return name if plain else '"' + name.replace('"', '""') + '"'


def option(name: str, value: str) -> str:
    """An option as it is typed in a shell: --target 'pose=yaw,pitch,roll:rotation' where a shell needs the quotes."""
    return f"{name} {shlex.quote(value)}"


def target_text(name: str, columns: Iterable[str] = (), kind: str = "") -> str:
    """The value of --target for a name, its columns unless they go without saying, and its kind."""
    listed = ",".join(map(quote, columns))
    return quote(name) + (f"={listed}" if listed else "") + (f":{kind}" if kind else "")
