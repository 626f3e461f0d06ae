"""Headers: what an image's file tells is what opening it gives, and its pixels are not read for that."""
import pytest
from PIL import Image, ImageFile

from imgreg_fastai.data.images import PictureError, open_picture, read_header
from tests.data.test_images import AVIF, BROKEN, CORNERS, TURNED, palette, photo_like, written
from tests.data.test_levels import COLOURS, RAMP, TWELVE, chunk, png, tiff


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "MPO", *["AVIF"] * AVIF])
def test_facts_are_those_of_the_picture_that_opens(format, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    more = {"save_all": True, "append_images": [Image.new("RGB", (40, 24))]} if format == "MPO" else {}
    data = written(Image.new("RGB", (40, 24)), format, exif=exif, **more)
    told, opened = read_header(data), open_picture(data)
    assert told[:2] == opened.size == ((24, 40) if orientation >= 5 else (40, 24))
    assert told[2:] == ("RGB", orientation, format, 1, 0)  # an MPO's second image is a preview


def test_facts_of_modes_and_frames():
    frames = [Image.new("RGB", (8, 6), colour) for colour in CORNERS.values()]
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        assert read_header(written(frames[0], format, save_all=True, append_images=frames[1:])).frames == 4
    for data, mode in ((png(RAMP), "I;16"), (png(COLOURS), "RGB;16"), (tiff(RAMP, byteorder=">"), "I;16B"),
                       (TWELVE["rgb > packed"][0], "RGB;16"), (TWELVE["planes < whole"][0], "RGB;16"),
                       (tiff(RAMP.astype("f4")), "F"), (written(Image.new("CMYK", (3, 2)), "JPEG"), "CMYK"),
                       (written(palette()), "P"), (written(Image.new("1", (3, 2))), "1")):
        assert read_header(data).mode == mode


def test_facts_read_the_header_alone(monkeypatch, tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    files = {f"{format}1": written(photo_like(300, 200), format, exif=exif) for format in ("JPEG", "PNG", "TIFF")}
    files |= {f"{format}0": written(photo_like(300, 200), format) for format in ("JPEG", "PNG", "TIFF", "BMP", "GIF")}
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data[:-20] if name[:3] in ("JPE", "BMP") else data)  # a cut one is not noticed
        assert read_header(tmp_path / name)[:2] == ((200, 300) if name[-1] == "1" else (300, 200))


def test_exif_behind_the_pixels_of_a_png_counts_as_well():
    exif = Image.Exif()
    exif[274] = 6
    late = png(RAMP[:10], chunk(b"tEXt", b"a\0b") + chunk(b"eXIf", exif.tobytes()[6:]))
    assert open_picture(late).size == read_header(late)[:2] == (10, 64) and read_header(late).orientation == 6


@pytest.mark.parametrize("name", ["empty.png", "text.png", "start.jpg"])
def test_what_is_no_picture_has_no_facts(tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(PictureError, match=name):
        read_header(tmp_path / name)
    with pytest.raises(PictureError, match="no file"):
        read_header(tmp_path / "gone.png")
