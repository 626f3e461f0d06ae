"""Formats of image files: those that are read, and others, with what to do about them; by name and by content."""
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import TiffImagePlugin

from ...utils.messages import first_few

HEIC = frozenset((".heic", ".heif", ".hif"))
HAS_HEIF = find_spec("pillow_heif") is not None  # which lets Pillow read them
SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".gif", ".tif",
                      ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", *(HEIC if HAS_HEIF else ())))
TIFF_SAMPLES = {1: "whole numbers", 2: "signed numbers", 3: "floats", 5: "complex integers", 6: "complex numbers"}


class OtherFormat(NamedTuple):
    """A format that is not read.

    Attributes:
        name: What it is called.
        hint: What to do about it.
        suffixes: How its files end.
        starts: How their content begins: (offset, bytes) each.
    """

    name: str
    hint: str
    suffixes: tuple[str, ...] = ()
    starts: tuple[tuple[int, bytes], ...] = ()


CONVERT = "convert it to PNG or TIFF"
OTHER_FORMATS = (
    OtherFormat("HEIC", "pip install pillow-heif", tuple(sorted(HEIC)),
                tuple((4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1",
                                                         b"msf1"))),
    OtherFormat("AVIF", "pip install -U pillow", (), ((4, b"ftypavif"), (4, b"ftypavis"))),
    OtherFormat("DICOM", "convert it to 16-bit PNG or TIFF, for example with pydicom", (".dcm", ".dicom"),
                ((128, b"DICM"),)),
    OtherFormat("a NumPy array", "save it as PNG or TIFF", (".npy", ".npz"), ((0, b"\x93NUMPY"),)),
    OtherFormat("a raw photograph", "develop it to JPEG or TIFF, for example with rawpy or darktable",
                (".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".dng", ".raf", ".rw2", ".orf", ".pef", ".srw"),
                ((0, b"FUJIFILMCCD-RAW"), (8, b"CR\x02"), (4, b"ftypcrx"))),
    OtherFormat("a video", "extract its frames, for example with ffmpeg",
                (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".wmv", ".mpg", ".mpeg", ".mts"),
                ((4, b"ftypisom"), (4, b"ftypmp4"), (4, b"ftypqt"), (4, b"ftypM4V"), (8, b"AVI "),
                 (0, b"\x1aE\xdf\xa3"))),
    OtherFormat("an SVG drawing", CONVERT, (".svg", ".svgz"), ((0, b"<svg"),)),
    OtherFormat("a PDF", CONVERT, (".pdf", ".ai"), ((0, b"%PDF"),)),
    OtherFormat("a Photoshop document", CONVERT, (".psd", ".psb")),
    OtherFormat("JPEG XL", CONVERT, (".jxl",), ((0, b"\xff\x0a"), (4, b"JXL "))),
    OtherFormat("JPEG XR", CONVERT, (".jxr", ".wdp", ".hdp"), ((0, b"II\xbc"),)),
    OtherFormat("OpenEXR", CONVERT, (".exr",), ((0, b"v/1\x01"),)),
    OtherFormat("Radiance HDR", CONVERT, (".hdr",), ((0, b"#?RADIANCE"),)),
    OtherFormat("FITS", CONVERT, (".fits", ".fit", ".fts"), ((0, b"SIMPLE  ="),)),
    OtherFormat("NIfTI", CONVERT, (".nii", ".nii.gz"), ((344, b"n+1\0"), (344, b"ni1\0"))),
    OtherFormat("NRRD or MetaImage", CONVERT, (".nrrd", ".mha", ".mhd"), ((0, b"NRRD"),)),
    OtherFormat("a microscope file", "export its images as TIFF",
                (".czi", ".lif", ".nd2", ".oib", ".oif", ".vsi", ".lsm"),
                ((0, b"ZISRAWFILE"),)),
    OtherFormat("a slide scan", "export its images as TIFF, for example with openslide",
                (".svs", ".ndpi", ".mrxs", ".scn")),
    OtherFormat("an HDF5 or MATLAB file", "save its images as PNG or TIFF", (".h5", ".hdf5", ".mat", ".nc"),
                ((0, b"\x89HDF"), (0, b"MATLAB 5"))),
    OtherFormat("an archive", "unpack it", (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar"),
                ((0, b"PK\x03\x04"), (0, b"\x1f\x8b"), (0, b"7z\xbc\xaf"), (0, b"Rar!"), (257, b"ustar"))),
    OtherFormat("a web page", "download the image itself", (), ((0, b"<!DOCTYPE html"), (0, b"<!doctype html"),
                                                            (0, b"<html"), (0, b"<HTML"))),
    OtherFormat("a pointer of Git LFS", "git lfs pull", (), ((0, b"version https://git-lfs"),)),
)
HEAD = 512  # bytes of a file by which it is recognised
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def recognise(head: bytes) -> OtherFormat | None:
    """Return the format of a file by its first HEAD bytes, if it is one of OTHER_FORMATS."""
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n") if head[:1] in b" \t\r\n\xef<" else head
    for other in OTHER_FORMATS:
        if any(head[offset : offset + len(start)] == start for offset, start in other.starts):
            return other
    return None


def unreadable_reason(stream: BinaryIO, suffix: str = "") -> str:
    """Say what a file is that Pillow cannot read, and what to do about it.

    Args:
        stream: Its content.
        suffix: How its name ends, which counts if the content does not say more.
    """
    head = stream.read(HEAD)
    if not head:
        return "an empty file"
    other = recognise(head)
    if other is None and head[:4] in TIFF_STARTS:
        return _tiff_reason(stream, head)
    other = other or next((other for other in OTHER_FORMATS if suffix.lower() in other.suffixes), None)
    return "not an image Pillow can read" + (f", but {other.name}: {other.hint}" if other else "")


def _tiff_reason(stream: BinaryIO, head: bytes) -> str:
    """Describe a TIFF that Pillow cannot read by its tags."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if 43 in head[2:4] else 8])
        stream.seek(tags.next)
        tags.load(stream)
        if 256 not in tags:
            return "a TIFF that is broken or cut"
        bits, bands = max(tags.get(258, (1,))), tags.get(277, 1)
        kind = TIFF_SAMPLES.get(tags.get(339, (1,))[0], "numbers")
        packed = TiffImagePlugin.COMPRESSION_INFO.get(tags.get(259, 1), f"compression {tags.get(259)}")
    except Exception:  # noqa: BLE001 - the file is broken in whatever way
        return "a TIFF that is broken or cut"
    packed = "" if packed == "raw" else f", packed by {packed}"
    return (f"a TIFF of {bands} band{'s' * (bands > 1)} of {bits}-bit {kind}{packed}, which Pillow cannot read: "
            "convert it to one with 1 or 3 bands of 8 or 16 bits, or 1 of 32-bit floats")


def describe_skipped(names: Iterable[str]) -> str:
    """Count the files of OTHER_FORMATS by format, with an example and what to do; "" if there are none.

    Args:
        names: Of files that are not read as images; others among them are not counted.
    """
    groups: dict[OtherFormat, list[str]] = {}
    by_suffix = {suffix: other for other in OTHER_FORMATS for suffix in other.suffixes if suffix not in SUFFIXES}
    for name in names:
        path = Path(name)
        other = by_suffix.get("".join(path.suffixes[-2:]).lower()) or by_suffix.get(path.suffix.lower())
        if other and not path.name.startswith("."):
            groups.setdefault(other, []).append(name)
    return "; ".join(f"{len(files)} {Path(files[0]).suffix.lower()} ({other.name}, such as '{files[0]}'): {other.hint}"
                     for other, files in groups.items())


def list_suffixes(names: Iterable[str]) -> str:
    """Count files by their endings: "12 .csv, 3 .txt"; "" if there are none."""
    counts: dict[str, int] = {}
    for name in names:
        suffix = Path(name).suffix.lower() or "without ending"
        counts[suffix] = counts.get(suffix, 0) + 1
    return first_few((f"{n} {suffix}" for suffix, n in sorted(counts.items(), key=lambda item: -item[1])), 4)
