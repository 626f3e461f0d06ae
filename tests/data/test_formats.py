"""Files that are no images for us: named by name and content, with what to do; and the warnings and limit of Pillow."""
import io
import logging
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from imgreg_fastai.data.images import (
    PictureError,
    describe_broken,
    files,
    find_images,
    fit_images,
    formats,
    list_images,
    load_image,
    open_picture,
    read_header,
)
from imgreg_fastai.utils.messages import ImgregError
from tests.data.test_images import four_corners, task, written
from tests.data.test_levels import tiff

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
OTHERS = {
    "a.dcm": (bytes(128) + b"DICM" + bytes(60), "DICOM: convert it to 16-bit PNG or TIFF"),
    "scan": (bytes(128) + b"DICM" + bytes(60), "DICOM"),
    "a.npy": (b"\x93NUMPY\x01\0" + bytes(60), "a NumPy array: save it as PNG or TIFF"),
    "a.svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "a.pdf": (b"%PDF-1.7 ...", "a PDF: convert"), "a.mp4": (b"\0\0\0\x20ftypisom" + bytes(40), "a video: extract its"),
    "a.cr2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), "a raw photograph: develop it"),
    "page.jpg": (b"<!DOCTYPE html><html>404</html>", "a web page: download the image itself"),
    "lfs.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a pointer of Git LFS: git lfs pull"),
    "cut.zip": (b"PK\x03\x04" + bytes(60), "an archive: unpack it"), "rest.nef": (bytes(64), "a raw photograph"),
    "none.png": (b"", "an empty file"), "a.csv": (b"image,age\n", "not an image Pillow can read$"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_pillow_cannot_read_is_told_by_its_content_then_by_its_name(tmp_path, name):
    data, told = OTHERS[name]
    (tmp_path / name).write_bytes(data)
    for open_it in (open_picture, read_header):
        with pytest.raises(PictureError, match=told):
            open_it(tmp_path / name)


@pytest.mark.parametrize(("array", "told"), [
    (np.zeros((4, 4, 5), np.float32), "a TIFF of 5 bands of 32-bit floats"),
    (np.zeros((4, 4), np.float16), "a TIFF of 1 band of 16-bit floats"),
    (np.zeros((4, 4), np.float64), "a TIFF of 1 band of 64-bit floats"),
    (np.zeros((4, 4), np.complex64), "a TIFF of 1 band of 64-bit complex"),
])
def test_a_tiff_that_pillow_cannot_read_is_described(array, told):
    data = tiff(array, photometric="minisblack", **({"planarconfig": "contig"} if array.ndim == 3 else {}))
    with pytest.raises(PictureError, match=f"{told}.*, which Pillow cannot read: convert it"):
        open_picture(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of a file that is cut
        with pytest.raises(PictureError, match="a TIFF that is broken or cut"):
            open_picture(data[:9])


def test_heic_is_read_where_pillow_heif_is_installed_whatever_its_name(tmp_path, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(four_corners(64, 48)).save(tmp_path / "a.jpg", quality=95)
    opened = open_picture(tmp_path / "a.jpg")
    assert opened.size == (64, 48) and opened.getpixel((5, 5))[0] > 200 and ".heic" in formats.SUFFIXES
    assert open_picture((tmp_path / "a.jpg").read_bytes()).size == (64, 48)


def test_heic_names_what_to_install_where_it_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HAS_HEIF", False)
    monkeypatch.setattr(Image, "OPEN", {name: how for name, how in Image.OPEN.items() if name not in ("HEIF", "AVIF")})
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name in Image.OPEN])
    (tmp_path / "a.jpg").write_bytes(HEIC)
    with pytest.raises(PictureError, match=r"a.jpg': not an image Pillow can read, but HEIC: pip install pillow-heif$"):
        open_picture(tmp_path / "a.jpg")


@pytest.fixture
def mixed(tmp_path, monkeypatch):
    """A folder with images, files of other formats, and what systems and programs leave behind."""
    monkeypatch.setattr("imgreg_fastai.data.images.finding.SUFFIXES", formats.SUFFIXES - formats.HEIC)
    monkeypatch.setattr(formats, "SUFFIXES", formats.SUFFIXES - formats.HEIC)
    for name in ("b.png", "a.JPG", "x.HEIC", "y.heic", "z.dcm", "scan.nii.gz", "labels.csv", "notes.txt", "b.json",
                 "._a.jpg", ".hidden.png", "Thumbs.db", ".cache/c.png", "__MACOSX/d.png", "sub/e.png", "sub/f.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_what_a_folder_holds_of_other_formats_is_counted_and_named_once(mixed, caplog):
    with caplog.at_level(logging.WARNING):
        assert list_images(str(mixed), tell=True) == ["a.JPG", "b.png", "sub/e.png"]
    (line,) = [record.message for record in caplog.records]
    assert "2 .heic (HEIC, such as 'x.HEIC'): pip install pillow-heif" in line and "1 .dcm (DICOM" in line
    assert "1 .npy (a NumPy array, such as 'sub/f.npy')" in line and "1 .gz (NIfTI" in line
    assert not any(word in line for word in ("csv", "txt", "json", "Thumbs", "._a", "hidden"))
    caplog.clear()
    assert list_images(str(mixed)) and not caplog.records
    with caplog.at_level(logging.WARNING):
        assert len(find_images([mixed / "*"])) == 2
    assert "2 .heic" in caplog.text and "npy" not in caplog.text


def test_a_place_without_images_says_what_it_holds(mixed):
    for place, told in ((mixed / "*.heic", r"none in '.*heic' \(1 .heic \(HEIC.*pip install pillow-heif\)$"),
                        (mixed / "*.txt", r"none in '.*txt' \(1 .txt\); try a file, a folder or a glob")):
        with pytest.raises(ImgregError, match=told):
            find_images([place])


def test_a_hidden_image_that_is_named_is_taken(mixed):
    assert find_images([mixed / ".hidden.png"]) == [str(mixed / ".hidden.png")]


def test_broken_images_of_one_reason_are_named_together():
    errors = [PictureError("an image", f"'{name}.heic': not an image, but HEIC") for name in "abcdefg"]
    errors += [PictureError("an image", "no file 'x.png'"), PictureError("uint8", "'image 3': float64", "array / 255")]
    assert describe_broken(errors) == ("'a.heic', 'b.heic', 'c.heic', 'd.heic', 'e.heic' and 2 more: not an image, but "
                                       "HEIC; no file 'x.png'; 'image 3': float64 (array / 255)")


@pytest.mark.parametrize("path", ["https://example.com/a.png", "https://example.com/a.png?size=3", "s3://bucket/a.png"])
def test_a_web_address_is_told_as_such(path):
    assert find_images([path]) == [path]
    with pytest.raises(PictureError, match="a web address: download it first"):
        open_picture(path)


# Pillow's warnings and its limit

def noisy_tiff():
    """A TIFF whose Exif is cut, of which Pillow warns."""
    exif = Image.Exif()
    exif[274] = 1
    return written(four_corners(), "JPEG", exif=exif.tobytes()[:18])


def test_no_warning_of_pillow_is_seen_on_any_thread_and_filters_are_left_as_they_were(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)  # it warns of more
    photo, noisy = written(four_corners()), noisy_tiff()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(Warning, match="pixels"):
            Image.open(io.BytesIO(photo))
        before = list(warnings.filters)
        results = list(fit_images([photo, noisy] * 20, task((8, 8), max_pixels=10_000)))
        assert not any(isinstance(result, PictureError) for result in results)
        for data in (photo, noisy):
            assert read_header(data, 10_000).width == 40
        assert warnings.filters == before
        with pytest.raises(Warning, match="pixels"):
            Image.open(io.BytesIO(photo))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG", "GIF", "WEBP", "BMP"])
def test_max_pixels_opens_what_is_far_beyond_pillows_limit_and_leaves_that_alone(monkeypatch, format):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data, seen = written(four_corners(), format, **({"progressive": True} if format == "JPEG" else {})), []
    decoded = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: seen.append(Image.MAX_IMAGE_PIXELS) or decoded(self))
    for of in (task((8, 8)), task((8, 8), max_pixels=959)):
        with pytest.raises(PictureError, match=r"40 x 24 pixels, more than (100|959); --max-pixels 960 opens it"):
            load_image(data, of)
        assert not seen and Image.MAX_IMAGE_PIXELS == 100  # refused before it is decoded
    assert load_image(data, task((24, 40), max_pixels=960)).picture.size == (40, 24)
    assert open_picture(data, max_pixels=960).size == (40, 24) and Image.MAX_IMAGE_PIXELS == 100


def test_while_pillows_limit_is_lifted_on_a_thread_bombs_are_refused_on_others(monkeypatch):
    from imgreg_fastai.data.images import pillow

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    inside, done = threading.Event(), threading.Event()

    def lift():
        with pillow.without_limit((40, 24)):
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=lift)
    thread.start()
    inside.wait(10)
    try:
        assert Image.MAX_IMAGE_PIXELS is None
        with pytest.raises(PictureError, match="more than 100"):
            open_picture(written(four_corners()))
    finally:
        done.set()
        thread.join()
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_huge_image_is_made_smaller_before_it_is_copied(monkeypatch):
    """What the network sees is what it would see of all of its pixels, its corners where they were."""
    from imgreg_fastai.data.images import loading

    for mode in ("L", "RGB", "RGBA", "CMYK", "P", "1"):
        data = written(four_corners(400, 240).convert(mode), "TIFF")
        whole = load_image(data, task((24, 40)))
        monkeypatch.setattr(loading, "HUGE_PIXELS", 1000)
        small = load_image(data, task((24, 40)))
        monkeypatch.undo()
        assert np.array_equal(whole.place.view, small.place.view)
        assert np.abs(np.asarray(whole.picture, int) - np.asarray(small.picture)).mean() < 1


