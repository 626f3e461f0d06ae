"""What a file is, by its content and not by its name; files in archives; and what is no table, by its right name."""
import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from ...utils.messages import ImgregError, first_few

SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".parquet", ".json", ".jsonl", ".ndjson", ".xlsx", ".xlsm", ".ods",
            # files of other kinds, of which a message says what they are
            ".xls", ".xlsb", ".feather", ".xml", ".pts")
TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".json", ".jsonl", ".ndjson")  # of a table in a zip file
ARCHIVE_SUFFIXES = (".gz", ".bz2", ".xz", ".zip")
TABLE = "a labels table (CSV, TSV, JSON, Excel, ODS or Parquet)"  # what errors expect
START_BYTES = 1 << 16  # the beginning of a file, which shows its format
COMPRESSED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh91AY&SY": bz2.open,
                                                 b"\xfd7zXZ\0": lzma.open}
AS_CSV = "the table saved as CSV"
# The beginning of files that are no tables, or that cannot be read: what they are, and what to do.
OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls), or one with a password", "it saved as .xlsx or CSV, unlocked"),
    (b"ARROW1\0\0", "a Feather file", "pandas.read_feather(...).to_csv('labels.csv', index=False)"),
    (b"\x89HDF", "an HDF5 file", "its table saved as CSV, with pandas.read_hdf(...).to_csv('labels.csv')"),
    (b"\x93NUMPY", "a NumPy array", "a CSV file that names the image of each row"),
    (b"SQLite format 3", "an SQLite database", AS_CSV), (b"MATLAB 5.0", "a MATLAB file", "writetable(T, 'labels.csv')"),
    (b"\x80\x04", "a pickle", AS_CSV), (b"\x80\x05", "a pickle", AS_CSV), (b"%PDF", "a PDF document", AS_CSV),
    (b"\x89PNG", "an image (PNG)", ""), (b"\xff\xd8\xff", "an image (JPEG)", ""), (b"GIF8", "an image (GIF)", ""),
    (b"II*\0", "an image (TIFF)", ""), (b"MM\0*", "an image (TIFF)", ""),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd", "it unpacked"), (b"7z\xbc\xaf", "a 7z archive", "it unpacked"),
    (b"Rar!", "a RAR archive", "it unpacked"), (b"@relation", "an ARFF file of Weka", AS_CSV),
    (b"$FL2@(#)", "an SPSS file", AS_CSV), (b"<stata_dta>", "a Stata file", AS_CSV),
)
# What a zip file is that holds such a file.
IN_ZIP = (
    ("xl/workbook.bin", "a binary Excel file (.xlsb)", "it saved as .xlsx or CSV"),
    ("word/document.xml", "a Word document", AS_CSV), ("ppt/presentation.xml", "a presentation", AS_CSV),
    ("Index/Document.iwa", "a Numbers document", "File > Export To > CSV"),
)
ODS_TYPE = b"application/vnd.oasis.opendocument.spreadsheet"
IMAGE_HINT = "a table that names it, or imgreg predict RUN IMAGE"


def is_table_name(path: str | Path) -> bool:
    """Tell whether a path ends like a table: .csv, .CSV, .csv.gz."""
    name = PurePosixPath(str(path).lower())
    inner = name.with_suffix("") if name.suffix in ARCHIVE_SUFFIXES else name
    return name.suffix == ".zip" or inner.suffix in SUFFIXES


def table_stem(path: str | Path) -> str:
    """Return the name of a table without its endings: "plain" of plain.csv.gz."""
    path = Path(path)
    inner = path.with_suffix("") if path.suffix.lower() in ARCHIVE_SUFFIXES else path
    return inner.stem if inner.suffix.lower() in SUFFIXES or inner == path else inner.name


class TableFile(NamedTuple):
    """A file that may be a table.

    Attributes:
        path: Its path; where it is packed, that of the archive.
        format: "parquet", "xlsx", "ods" or "text".
        start: The beginning of its content.
        unpack: Opens the content behind a path, as bytes.
    """

    path: Path
    format: str
    start: bytes
    unpack: Callable[[Path], BinaryIO]

    def open(self) -> BinaryIO:
        """Open the content."""
        return self.unpack(self.path)


def open_table(path: Path) -> TableFile:
    """Find out what a file is.

    Raises:
        ImgregError: It is of a kind that cannot be read, which the message names.
        OSError: It cannot be opened, or its archive is damaged.
    """
    unpack: Callable[[Path], Any] = partial(Path.open, mode="rb")
    start = _start(path, unpack)
    opener = next((opener for magic, opener in COMPRESSED.items() if start.startswith(magic)), None)
    if opener:
        unpack, start = opener, _start(path, opener)
    kind = "parquet" if start.startswith(b"PAR1") else "text"
    if start.startswith(b"PK\3\4"):
        with unpack(path) as file:
            kind, member = _look_into_zip(path, file)
        if member:
            unpack = partial(_open_member, member=member)
            start = _start(path, unpack)
    for magic, name, hint in OTHERS:
        if start.startswith(magic):
            raise ImgregError(TABLE, f"'{path}': {name}", hint or IMAGE_HINT)
    return TableFile(path, kind, start, unpack)


def _start(path: Path, unpack: Callable[[Path], BinaryIO]) -> bytes:
    try:
        with unpack(path) as file:
            return file.read(START_BYTES)
    except (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:
        raise OSError(f"it is packed, and damaged: {e}") from e


def _look_into_zip(path: Path, file: BinaryIO) -> tuple[str, str]:
    """Return the kind of a zip file, and the one table in it where it is a plain archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if not name.startswith("__MACOSX/") and name[-1] != "/"]
            if "xl/workbook.xml" in names:
                return "xlsx", ""
            if "mimetype" in names and archive.read("mimetype").strip().startswith(ODS_TYPE):
                return "ods", ""
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as e:
        raise ImgregError(TABLE, f"'{path}': an Excel file or another archive, which is damaged", AS_CSV) from e
    for member, name, hint in IN_ZIP:
        if member in names:
            raise ImgregError(TABLE, f"'{path}': {name}", hint)
    tables = [name for name in names if name.lower().endswith(TEXT_SUFFIXES)]
    if len(tables) != 1:
        held = f"{len(tables) or 'no'} tables among {first_few(names, 3) or 'no files'}"
        raise ImgregError("a zip file with one table", f"'{path}' with {held}",
                          "it unpacked, and the path of its table")
    return "text", tables[0]


def _open_member(path: Path, member: str) -> BinaryIO:
    return zipfile.ZipFile(path).open(member)  # type: ignore[return-value]
