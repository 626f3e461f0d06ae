"""How programs write the name of an image: quoted, percent-encoded, as a URL, as an id without its zeros."""
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

ABSOLUTE = re.compile(r"[A-Za-z]:/|/")  # the beginning of an absolute path, here or on Windows
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://+([^?#]*)(\?[^#]*)?")  # two letters at least: C:// is a drive
FILE_URL = re.compile(r"file:(?://[^/]*)?(/.*)", re.IGNORECASE)  # with or without a computer's name
LOCAL_FILE = re.compile(r"(?:^|/)data/local-files/?\?d=/?([^&]+)")  # Label Studio's address of a file on its disk
UPLOAD = re.compile(r"^(.*/|)upload/(?:\d+/)?[0-9a-f]{8}-")  # Label Studio puts eight digits before a file's name
NUMBER = re.compile(r"0*(\d+)(?:\.0+)?(\.[a-z]\w*)?")
QUOTES = "'\"`´‘’‚‛“”„«»‹›"


def is_address(name: str) -> bool:
    """Tell whether it names a file of another computer: https://, s3:// and the like."""
    match = URL.match(name.strip())
    return match is not None and match[1].lower() != "file"


def slashed(name: str) -> str:
    """Return the name without blanks around it, and with slashes for backslashes."""
    return name.strip().replace("\\", "/")


def without_url(name: str) -> str:
    """Return the name without quotes around it; of a URL the path, as of another computer, and its query."""
    name = slashed(slashed(name).strip(QUOTES))
    local, file, url = LOCAL_FILE.search(name), FILE_URL.fullmatch(name), URL.match(name)
    if local:
        return f"/{slashed(unquote(local[1]))}"
    if file:
        return re.sub(r"^/(?=[A-Za-z]:/)", "", slashed(unquote(file[1])))
    return f"/{url[2]}{url[3] or ''}" if url else name


def without_query(name: str) -> str:
    """Return the name before its question mark; see without_url."""
    return without_url(name).partition("?")[0]


def decoded(name: str) -> str:
    """Return the name with the characters that stand for themselves: %20 is a blank; see without_url."""
    return slashed(unquote(without_url(name)))


def decoded_without_query(name: str) -> str:
    """Return the name before its question mark with the characters that stand for themselves."""
    return slashed(unquote(without_query(name)))


def without_upload(name: str) -> str:
    """Return the name that a file had before it was uploaded to Label Studio."""
    return UPLOAD.sub(r"\1", decoded_without_query(name))


# From what the table says to what it may mean, in the order in which they are tried.
FORMS: tuple[Callable[[str], str], ...] = (without_url, decoded, without_query, decoded_without_query, without_upload)


def plain(name: str) -> str:
    """Return the name without regard to case and Unicode form."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def plain_number(name: str) -> str:
    """Return a name that is a number without the zeros before it, and its ending: 7.png of 007.png; else ""."""
    match = NUMBER.fullmatch(plain(name))
    return f"{match[1]}{match[2] or ''}" if match else ""
