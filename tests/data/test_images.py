"""Images: every image comes out upright, 8-bit and RGB with its brightness kept, or as one error with its name."""
import io
import os
import threading
import warnings
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageOps, JpegImagePlugin

from imgreg_fastai.data.images import (
    GREY,
    PictureError,
    find_images,
    fit,
    fit_images,
    load_image,
    open_picture,
    read_header,
)
from imgreg_fastai.tasks import Number, Task
from imgreg_fastai.tasks.geometry import place_picture
from imgreg_fastai.tasks.geometry import to_pixels as in_pixels
from imgreg_fastai.tasks.geometry import to_view as in_view
from imgreg_fastai.utils.messages import ImgregError
from tests.data.test_levels import COLOURS, RAMP, chunk, png, tiff

AVIF = ".avif" in Image.registered_extensions()  # Pillow has it from 11.3 on
CORNERS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


def task(size, policy="pad", **of):
    return Task("t", (Number("n", ("n",)),), size=size, fit=policy, **of)


def fit_to(picture, size, policy, box=None, margin=0.0):
    return fit(picture, place_picture(picture.size, size, policy, box, margin))


def four_corners(width=40, height=24):
    """An upright image, every corner of another colour: red, green above, blue, white below."""
    picture = Image.new("RGB", (width, height))
    for i, colour in enumerate(CORNERS.values()):
        picture.paste(colour, (i % 2 * width // 2, i // 2 * height // 2, (i % 2 + 1) * width // 2,
                               (i // 2 + 1) * height // 2))
    return picture


def written(picture, format="PNG", **how):
    picture.save(out := io.BytesIO(), format=format, **how)
    return out.getvalue()


def pixel(source, at=(0, 0)):
    picture = open_picture(source)
    assert picture.mode == "RGB"
    return picture.getpixel(at)


# how an image lies when the camera wrote this number (EXIF 2.3, tag 274): what was done to the upright one
T = Image.Transpose
TURNED = {1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90,
          7: T.TRANSVERSE, 8: T.ROTATE_270}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_pictures_are_upright_whatever_their_orientation_tag_says(orientation, format):
    upright = four_corners()
    turned = upright if orientation == 1 else upright.transpose(TURNED[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    how = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
    opened = open_picture(written(turned, format, exif=exif, **how))
    assert opened.size == upright.size
    assert np.abs(np.asarray(opened, int) - np.asarray(upright, int)).mean() < 3


def test_an_upright_picture_is_not_turned_a_second_time():
    exif = Image.Exif()
    exif[274] = 6
    once = open_picture(written(four_corners().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif))
    assert open_picture(once).size == open_picture(written(once, "PNG", exif=once.getexif())).size == (40, 24)


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (257, 1), (10 * 257, 10), (128 * 257, 128), (65535, 255)])
def test_16_bit_brightness_is_absolute(value, grey):
    dark = Image.fromarray(np.full((4, 6), value, np.uint16))
    assert dark.mode == "I;16"
    assert pixel(dark) == pixel(written(dark)) == pixel(written(dark, "TIFF")) == (grey,) * 3


@pytest.mark.parametrize(("mode", "value", "rgb"), [
    ("1", 255, (255, 255, 255)), ("1", 0, (0, 0, 0)), ("L", 99, (99, 99, 99)), ("I;16", 25700, (100, 100, 100)),
    ("I;16B", 25700, (100, 100, 100)), ("I", 25700, (100, 100, 100)), ("I", 10**6, (255, 255, 255)),
    ("I", -5, (0, 0, 0)), ("F", 0.5, (128, 128, 128)), ("F", 7.0, (255, 255, 255)), ("F", -1.0, (0, 0, 0)),
    ("F", float("nan"), (0, 0, 0)), ("RGB", (1, 2, 3), (1, 2, 3)), ("RGBX", (1, 2, 3, 0), (1, 2, 3)),
    ("CMYK", (255, 0, 0, 0), (0, 255, 255)), ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
    ("LA", (0, 255), (0, 0, 0)), ("LA", (0, 0), (255, 255, 255)), ("LA", (50, 51), (214, 214, 214)),
    ("RGBA", (10, 20, 30, 255), (10, 20, 30)), ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
    ("RGBA", (255, 0, 0, 51), (255, 204, 204)), ("RGBa", (0, 0, 0, 0), (255, 255, 255)),
    ("HSV", (0, 255, 255), (255, 0, 0)),
])
def test_modes(mode, value, rgb):
    picture = Image.new(mode, (2, 2))
    if mode == "I;16B":
        picture = Image.frombytes(mode, (2, 2), np.full(4, value, ">u2").tobytes())
    else:
        picture.paste(value, (0, 0, 2, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of a NaN that becomes whatever the processor makes of it
        assert pixel(picture) == pytest.approx(rgb, abs=1)


def palette(mode="P", alpha=None):
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 10, 20, 30, 40, 250])
    picture.putdata([0, 1])
    if mode == "PA":
        picture = picture.convert("PA")
        picture.putalpha(Image.frombytes("L", (2, 1), bytes(alpha)))
    return picture


def test_palettes_with_and_without_transparency():
    plain = palette()
    assert [pixel(written(plain), (x, 0)) for x in (0, 1)] == [(200, 10, 20), (30, 40, 250)]
    for clear in (written(plain, transparency=1), written(plain, "GIF", transparency=1), palette("PA", [255, 0])):
        assert [pixel(clear, (x, 0)) for x in (0, 1)] == [(200, 10, 20), (255, 255, 255)]
    half = written(plain, transparency=bytes([255, 51]))
    assert pixel(half, (1, 0)) == pytest.approx((210, 212, 254), abs=1)


def test_one_colour_of_a_png_may_be_declared_transparent():
    assert pixel(written(Image.new("RGB", (2, 2), (9, 8, 7)), transparency=(9, 8, 7))) == (255, 255, 255)
    assert pixel(written(Image.new("L", (2, 2), 9), transparency=9)) == (255, 255, 255)
    assert pixel(written(Image.new("L", (2, 2), 9), transparency=8)) == (9, 9, 9)


@cache
def photo_like(width, height):
    """Colours that change gently, with an edge or two: about what JPEG was made for."""
    rng, (y, x) = np.random.default_rng(0), np.mgrid[:height, :width]
    waves = [sum(np.sin(x / width * a + y / height * b + c) for a, b, c in rng.uniform(-25, 25, (4, 3))) for _ in "rgb"]
    edge = 40 * ((x - width / 2) * (y - height / 3) > 0)
    return Image.fromarray(np.clip(110 + 25 * np.stack(waves, axis=2) + edge[..., None], 0, 255).astype(np.uint8))


def stored(name, rgb):
    """An image of one colour as this kind of file holds it."""
    plain, grey = Image.new("RGB", (6, 4), rgb), np.full((4, 6), rgb[0], np.uint8)
    if name == "la.tif":  # grey that is multiplied by its alpha already
        return tiff(np.dstack([grey, grey * 0 + 255]), photometric="minisblack", extrasamples=["assocalpha"])
    if name.endswith(".tif"):
        return written(plain.convert(name[:-4].upper().replace("YCBCR", "YCbCr")), "TIFF")
    if name == "mpo.jpg":
        return written(plain, "MPO", save_all=True, append_images=[Image.new("RGB", (6, 4))], quality=95)
    if name == "cmyk.jpg":
        return written(plain.convert("CMYK"), "JPEG", quality=95)  # Adobe's way: Pillow inverts the inks
    return written(plain.convert(name.split(".")[0].upper()), {"jpg": "JPEG", "jp2": "JPEG2000", "pgm": "PPM"}.get(
        name.split(".")[1], name.split(".")[1].upper()))


@pytest.mark.parametrize(("name", "rgb"), [
    *((f"{mode}.{kind}", (200, 40, 90)) for mode, kind in (
        ("rgb", "png"), ("rgb", "jpg"), ("rgb", "bmp"), ("rgb", "jp2"), ("rgb", "tif"), ("rgb", "webp"),
        *((("rgb", "avif"),) if AVIF else ()), ("cmyk", "jpg"), ("cmyk", "tif"), ("ycbcr", "tif"), ("rgba", "png"),
        ("rgba", "tif"), ("p", "png"), ("p", "gif"), ("p", "tif"), ("mpo", "jpg"))),
    *((f"{mode}.{kind}", (77, 77, 77)) for mode, kind in (
        ("l", "png"), ("l", "jpg"), ("l", "tif"), ("l", "pgm"), ("l", "jp2"), ("la", "png"), ("la", "tif"))),
    *((f"1.{kind}", grey) for kind in ("png", "tif", "bmp") for grey in ((0, 0, 0), (255, 255, 255))),
])
def test_kinds_of_files(name, rgb, tmp_path):
    (tmp_path / name).write_bytes(stored(name, rgb))
    off = 12 if name.endswith((".jpg", ".avif", ".webp")) or name[0] == "p" else 2
    assert pixel(tmp_path / name, (3, 2)) == pytest.approx(rgb, abs=off)
    assert load_image(tmp_path / name, task((4, 6))).picture.getpixel((3, 2)) == pixel(tmp_path / name, (3, 2))


def test_lab_is_turned_into_rgb_by_its_own_law():
    lab = np.full((4, 6, 3), (53 * 255 / 100, 80, 67), np.uint8)  # CIE's red, about: L 53, a 80, b 67
    assert pixel(tiff(lab, photometric="cielab"), (3, 2)) == pytest.approx((255, 0, 0), abs=12)


def test_exif_that_is_broken_does_not_cost_the_picture():
    for exif in (b"Exif\0\0rubbish, rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\5\1\x12"):
        for data in (written(four_corners(), format, exif=exif) for format in ("JPEG", "PNG", "WEBP")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert open_picture(data).size == (40, 24) and read_header(data)[:4] == (40, 24, "RGB", 1)
    exif = Image.Exif()
    exif[274] = 99
    assert open_picture(written(four_corners(), "JPEG", exif=exif)).size == read_header(
        written(four_corners(), "JPEG", exif=exif))[:2] == (40, 24)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF", "MPO", *["AVIF"] * AVIF])
def test_of_an_animation_the_first_frame_counts(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in CORNERS.values()]
    many = written(frames[0], format, save_all=True, append_images=frames[1:])
    assert pixel(many) == pytest.approx(CORNERS["red"], abs=2)


def test_all_ways_to_name_a_picture_give_the_same(tmp_path):
    picture = four_corners()
    path = tmp_path / "a.png"
    picture.save(path)
    data = path.read_bytes()
    for source in (path, str(path), data, bytearray(data), io.BytesIO(data), picture, np.asarray(picture)):
        assert np.array_equal(open_picture(source), picture)


def test_the_callers_picture_stays_as_it_is():
    mine = Image.new("LA", (4, 3), (7, 100))
    mine.info["more"] = 1
    open_picture(mine)
    assert mine.mode == "LA" and mine.info == {"more": 1} and mine.getpixel((0, 0)) == (7, 100)


@pytest.mark.parametrize(("array", "rgb"), [
    (np.full((3, 4), 7, np.uint8), (7, 7, 7)), (np.full((3, 4, 1), 7, np.uint8), (7, 7, 7)),
    (np.full((3, 4, 3), (1, 2, 3), np.uint8), (1, 2, 3)), (np.full((3, 4, 4), (1, 2, 3, 255), np.uint8), (1, 2, 3)),
    (np.full((3, 4, 4), (1, 2, 3, 0), np.uint8), (255, 255, 255)), (np.full((3, 4), 25700, np.uint16), (100, 100, 100)),
    (np.full((3, 4, 3), 65535, np.uint16), (255, 255, 255)), (np.full((3, 4), 257, np.uint16), (1, 1, 1)),
    (np.full((3, 4), 0.5, np.float16), (128, 128, 128)), (np.full((3, 4, 3), 0.2, np.float32), (51, 51, 51)),
    (np.full((3, 4, 1), 1.0, np.float64), (255, 255, 255)), (np.full((3, 4), 1.1), (255, 255, 255)),
    (np.full((3, 4), -0.1), (0, 0, 0)), (np.full((3, 4), np.nan), (0, 0, 0)), (np.full((3, 4), np.inf), (0, 0, 0)),
    (np.full((3, 4), True), (255, 255, 255)), (np.full((3, 4, 3), 77, np.int64), (77, 77, 77)),
    (np.full((1, 3, 4, 3), 8, np.int8), (8, 8, 8)),
    (np.full((3, 4), 25700, ">u2"), (100, 100, 100)), (np.full((6, 8, 3), 9, np.uint8)[::2, ::-2], (9, 9, 9)),
])
def test_arrays(array, rgb):
    picture = open_picture(array)
    assert picture.size == (4, 3) and picture.mode == "RGB" and picture.getpixel((3, 2)) == rgb


@pytest.mark.parametrize(("array", "told"), [
    (np.zeros(3, np.uint8), r"shape \(3,\)"), (np.zeros((2, 3, 4, 3), np.uint8), r"shape \(2, 3, 4, 3\)"),
    (np.zeros((5, 4, 2), np.uint8), r"shape \(5, 4, 2\)"), (np.zeros((9, 32, 32), np.uint8), r"shape \(9, 32, 32\)"),
    (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"), (np.zeros((0, 0)), r"shape \(0, 0\)"),
    (np.array(5), r"shape \(\)"), (np.full((3, 4), 256), "found int64 from 256 to 256; try array.astype"),
    (np.full((3, 4), -1, np.int8), "found int8 from -1 to -1"), (np.full((3, 4), 3.0), "float64 from 3 to 3; try"),
    (np.full((3, 4), 254.7, "f4"), r"float32 from 254.7 to 254.7; try array / 255, or array.astype\('uint8'\)"),
    (np.full((3, 4), 60000.0), "try array / 65535"), (np.full((3, 4), -2.1), "as it was before it was normalised"),
    (np.zeros((3, 4), complex), "found complex128"),
    (np.full((3, 4), "a"), "found <U1"),
])
def test_arrays_of_no_use_are_refused(array, told):
    with pytest.raises(PictureError, match=told):
        open_picture(array)


def noise(format, **how):
    rng = np.random.default_rng(0)
    return written(Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)), format, **how)


BROKEN = {
    "cut.jpg": noise("JPEG")[:-1500], "cut.png": noise("PNG")[:-4000], "cut.gif": noise("GIF")[:900],
    "cut.webp": noise("WEBP")[:-500], "empty.png": b"", "text.png": b"<html>not found</html>",
    "start.jpg": b"\xff\xd8\xff", "cut.bmp": noise("BMP")[:-3000], "cut.mpo": noise("MPO")[:-1500],
    "cut.tif": noise("TIFF")[:-6000], "strips.tif": tiff(RAMP, rowsperstrip=7)[:-1000],
    "deep.png": png(COLOURS)[:-3000], "cut.jp2": noise("JPEG2000")[:200],
    "packed.tif": tiff(RAMP, compression="zlib", rowsperstrip=7)[:-500],
    **({"cut.avif": noise("AVIF")[:-800]} if AVIF else {}),
    "zero.png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(8) + b"\x08\x02\0\0\0") + chunk(b"IEND", b""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_error_with_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(PictureError, match=rf"{name}': .") as told:
        open_picture(tmp_path / name)
    assert "\n" not in str(told.value) and isinstance(told.value, ImgregError)
    with pytest.raises(PictureError, match=r"'bytes': ."):
        open_picture(BROKEN[name], (0, 4095))
    good, told = fit_images([png(RAMP), tmp_path / name], task((4, 4)))
    assert good.pixels.shape == (4, 4, 3) and isinstance(told, PictureError) and name in str(told)


def test_text_is_said_to_be_no_picture():
    with pytest.raises(PictureError, match="not an image Pillow can read"):
        open_picture(b"hello")


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(PictureError, match=r"found no file '.*gone\.png'"):
        open_picture(tmp_path / "gone.png")
    with pytest.raises(PictureError, match=f"'{tmp_path}': Is a directory$"):
        open_picture(tmp_path)
    for rubbish in (None, 5, "a\0b", "x" * 300):
        with pytest.raises(PictureError):
            open_picture(rubbish)


@pytest.mark.parametrize(("side", "refused"), [(10, False), (11, True), (20, True)])
def test_a_decompression_bomb_is_refused_before_it_goes_off(monkeypatch, side, refused):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns above it, and refuses above the double
    data = written(Image.new("L", (side, side)))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded") if refused else None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not refused:
            assert open_picture(data).size == (side, side)
            return
        with pytest.raises(PictureError, match="pixels"):
            open_picture(data)


def test_a_large_jpeg_is_no_bomb_if_it_is_decoded_small(monkeypatch):
    """Memory is what the limit saves; of a progressive JPEG all coefficients are held, however small it comes out."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    photo, spot = Image.new("RGB", (400, 300), "red"), task((30, 40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        baseline = written(photo, "JPEG")
        assert load_image(baseline, spot).picture.getpixel((20, 15)) == pytest.approx((255, 0, 0), abs=3)
        assert read_header(baseline)[:2] == (400, 300)
        huge = written(Image.new("RGB", (500, 500)), "JPEG")  # above the double of its limit, Pillow does not open it
        assert read_header(huge)[:2] == (500, 500) and load_image(huge, spot).picture.size == (40, 30)
        for data, view in ((baseline, task((300, 400))), (written(photo, "JPEG", progressive=True), spot),
                           (written(photo), spot)):
            with pytest.raises(PictureError, match="pixels"):
                load_image(data, view)
        with pytest.raises(PictureError, match="pixels"):
            read_header(written(photo))
        with pytest.raises(PictureError, match="400 x 300 pixels, more than 100000"):
            open_picture(baseline)


def test_the_limit_can_be_lifted(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert open_picture(written(Image.new("L", (20, 20)))).size == (20, 20)


def test_opening_on_threads_leaves_pythons_warnings_alone(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    data, before = noise("PNG"), list(warnings.filters)
    assert len(list(fit_images([data] * 200, task((8, 8))))) == 200
    assert list(warnings.filters) == before


# fit

@pytest.mark.parametrize("policy", ["pad", "crop", "squish"])
@pytest.mark.parametrize("size", [(30, 50), (50, 30), (7, 90), (1, 1)])
def test_fit_gives_the_size_that_was_asked_for(policy, size):
    assert fit_to(four_corners(), size, policy).size == size[::-1]
    for thin in ((1000, 1), (1, 1000)):
        assert fit_to(Image.new("RGB", thin), size, policy).size == size[::-1]


@pytest.mark.parametrize("policy", ["pad", "crop", "squish"])
def test_a_picture_that_fits_is_left_alone(policy):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8))
    assert fit_to(picture, (24, 40), policy) is picture


@pytest.mark.parametrize(("shape", "size", "box"), [  # box: left, top, right, bottom of the image in its frame
    ((200, 100), (60, 60), (0, 15, 60, 45)), ((100, 200), (60, 60), (15, 0, 45, 60)),
    ((20, 10), (60, 60), (0, 15, 60, 45)),
    ((100, 100), (40, 80), (20, 0, 60, 40)),
])
def test_pad_keeps_all_of_the_picture_its_shape_and_the_middle(shape, size, box):
    padded = np.asarray(fit_to(Image.new("RGB", shape, "white"), size, "pad"))
    inside = np.zeros(size, bool)
    inside[box[1]:box[3], box[0]:box[2]] = True
    assert (padded[inside] == 255).all() and (padded[~inside] == GREY).all()


def test_pad_keeps_every_corner():
    padded = fit_to(four_corners(80, 40), (60, 60), "pad")
    assert [padded.getpixel(at) for at in ((3, 18), (56, 18), (3, 41), (56, 41))] == list(CORNERS.values())


def test_crop_takes_the_middle_and_keeps_its_shape():
    picture = Image.new("RGB", (300, 100), "red")
    picture.paste("blue", (100, 0, 200, 100))
    cropped = np.asarray(fit_to(picture, (50, 50), "crop"))
    assert (cropped[:, 2:-2] == CORNERS["blue"]).all()
    tall = picture.transpose(Image.Transpose.ROTATE_90)
    assert (np.asarray(fit_to(tall, (50, 50), "crop"))[2:-2] == CORNERS["blue"]).all()


def test_squish_keeps_all_and_bends_the_shape():
    squished = np.asarray(fit_to(four_corners(80, 20), (60, 60), "squish"))
    expected = np.asarray(four_corners(60, 60))
    assert np.abs(squished.astype(int) - expected).mean() < 10
    assert [tuple(squished[y, x]) for y, x in ((0, 0), (0, 59), (59, 0), (59, 59))] == list(CORNERS.values())


# fitted

def test_fitted_keeps_the_order_and_puts_errors_in_their_places():
    sources = [np.full((9, 9), i, np.uint8) if i % 7 else b"broken" for i in range(150)]
    done = list(fit_images(sources, task((4, 6))))
    assert len(done) == 150
    for i, picture in enumerate(done):
        if i % 7:
            pixels, view, *_ = picture
            assert pixels.shape == (4, 6, 3) and pixels.dtype == np.uint8 and (pixels[2, 3] == i).all()
            assert view.shape == (4,)
        else:
            assert isinstance(picture, PictureError)
    assert list(fit_images([], task((4, 6)))) == []


def test_fitted_does_what_open_and_fit_do():
    picture = four_corners(50, 30)
    for policy in ("pad", "crop", "squish"):
        (done,) = fit_images([picture], task((20, 20), policy))
        assert np.array_equal(done.pixels, fit_to(picture, (20, 20), policy))
        assert np.array_equal(done.view, place_picture(picture.size, (20, 20), policy).view)
    assert not np.array_equal(fit_to(picture, (20, 20), "pad"), ImageOps.fit(picture, (20, 20)))


def test_fitted_gives_each_picture_its_own_box_and_names_a_box_that_is_none():
    picture, boxes = four_corners(40, 24), [[10, 6, 8, 8], [30, 18, 8, 8], [90, 6, 8, 8], [10, 6, 0, 8], [np.nan] * 4]
    boxed = task((16, 16), box=("x", "y", "w", "h"), margin=0.0)
    done = list(fit_images([picture] * 5, boxed, np.array(boxes)))
    for (pixels, view, *_), colour, box in zip(done[:2], ("red", "white"), boxes, strict=False):
        assert (pixels == CORNERS[colour]).all()
        assert np.array_equal(view, place_picture((40, 24), (16, 16), "pad", box).view)
    for wrong, told in zip(done[2:], ("outside", "no box", "no box"), strict=True):
        assert isinstance(wrong, PictureError) and told in str(wrong) and "box within the image" in str(wrong)


def test_the_margin_of_the_task_widens_the_box():
    """A box of 8 pixels with a quarter of it on each side shows 12 pixels, of which the middle 8 are the blue ones."""
    picture = Image.new("RGB", (40, 40), "red")
    picture.paste("blue", (16, 16, 24, 24))
    (done,) = fit_images([picture], task((60, 60), box=("x", "y", "w", "h"), margin=0.25), np.array([[20, 20, 8, 8]]))
    blue = (done.pixels == CORNERS["blue"]).all(axis=2)
    assert blue[13:47, 13:47].all() and not blue[:7].any() and not blue[:, 53:].any()


def test_fitted_opens_only_a_few_ahead_and_ends_when_its_reader_does():
    taken = []

    def sources():
        for i in range(10_000):
            taken.append(i)
            yield np.zeros((2, 2), np.uint8)

    running = fit_images(sources(), task((2, 2)))
    next(running)
    assert len(taken) < 100
    running.close()
    assert len(taken) < 100 and threading.active_count() < 20


# look: decoded no larger than needed

@pytest.fixture
def decoded(monkeypatch):
    """The sizes at which JPEGs are decoded."""
    sizes, jpeg = [], JpegImagePlugin.JpegImageFile
    load = jpeg.load_prepare
    monkeypatch.setattr(jpeg, "load_prepare", lambda self: sizes.append(self.size) or load(self))
    return sizes


@pytest.mark.parametrize(("shape", "size", "policy", "box", "seen"), [
    ((1003, 777), (48, 48), "pad", None, (126, 98)), ((1003, 777), (48, 48), "squish", None, (126, 98)),
    ((1003, 777), (48, 48), "crop", None, (126, 98)), ((1003, 777), (97, 97), "squish", None, (251, 195)),
    ((1003, 777), (98, 98), "squish", None, (502, 389)), ((1003, 777), (200, 200), "squish", None, (1003, 777)),
    ((1003, 777), (48, 48), "pad", (500, 400, 200, 200), (502, 389)),
    ((1003, 777), (48, 48), "pad", (500, 400, 190, 190), (1003, 777)),
    ((1003, 777), (48, 48), "squish", (0, 0, 400, 400), (251, 195)),  # of which a quarter lies in the image
    ((200, 200), (5, 5), "pad", None, (200, 200)),
])
def test_of_a_large_jpeg_at_least_twice_what_is_seen_is_decoded(decoded, shape, size, policy, box, seen):
    data = written(Image.new("RGB", shape, "white"), "JPEG")
    load_image(data, task(size, policy, margin=0.0), box)
    assert decoded == [seen]


SIZES = ((403, 277), (301, 402), (1201, 70))


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("policy", ["pad", "crop", "squish"])
@pytest.mark.parametrize("boxed", [False, True])
def test_a_jpeg_decoded_small_is_seen_as_the_whole_one_is(orientation, policy, boxed, decoded):
    """The view is the whole image's own, points come back to 1e-9 pixels, and what is seen differs by a grey."""
    rng, exif = np.random.default_rng(orientation), Image.Exif()
    exif[274] = orientation
    for shape in SIZES:
        upright = photo_like(*shape)
        turned = upright if orientation == 1 else upright.transpose(TURNED[orientation])
        data = written(turned, ["JPEG", "MPO"][orientation % 2], exif=exif, quality=92)
        box = (shape[0] * 0.45, shape[1] * 0.55, shape[0] * 0.7, shape[1] * 0.8) if boxed else None
        of = task((20, 27), policy, margin=0.1)
        seen = load_image(data, of, box)
        whole = place_picture(shape, of.size, policy, box, of.margin)
        assert seen.place == whole
        points, views = rng.uniform(-50, 2000, (1, 9, 2)), (whole.view[None], seen.place.view[None])
        np.testing.assert_allclose(in_pixels(in_view(points, views[0]), views[1]), points, atol=1e-9)
        off = np.asarray(seen.picture, int) - np.asarray(fit(open_picture(data), whole), int)
        assert np.abs(off).mean() < 1 and np.abs(off).max() < 30 and abs(off.mean()) < 0.5
    assert sum(size[0] * size[1] < 1 << 15 for size in decoded) >= 2  # it was decoded small


@pytest.mark.parametrize("orientation", TURNED)
def test_a_spot_in_a_jpeg_decoded_small_is_where_the_view_says(orientation):
    """Sizes that no eighth fits: rounding, at whichever side it came to lie, moves nothing."""
    exif = Image.Exif()
    exif[274] = orientation
    for shape, at in (((1001, 777), (90.0, 700.0)), ((1001, 777), (930.0, 60.0)), ((993, 505), (940.0, 470.0))):
        y, x = np.mgrid[:shape[1], :shape[0]] + 0.5
        bell = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 15**2))
        upright = Image.fromarray(bell.astype(np.uint8))
        turned = upright if orientation == 1 else upright.transpose(TURNED[orientation])
        seen = load_image(written(turned, "JPEG", exif=exif, quality=95), task((56, 56), "squish"))
        bright = np.asarray(seen.picture, float)[..., 0]
        row, column = np.mgrid[:56, :56] + 0.5
        found = np.array([(bright * column).sum(), (bright * row).sum()]) / bright.sum()
        told = in_pixels((found / 28 - 1)[None, None], seen.place.view[None])[0, 0]
        np.testing.assert_allclose(told, at, atol=1.5)  # of the original's pixels, of which 14 make one of the view's


def test_the_callers_own_jpeg_stays_whole():
    mine = Image.open(io.BytesIO(written(Image.new("RGB", (800, 600)), "JPEG")))
    assert load_image(mine, task((8, 8))).picture.size == (8, 8) and mine.size == (800, 600)


@pytest.mark.parametrize("policy", ["pad", "crop", "squish"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 70_000), (70_000, 1), (2, 60_000)])
def test_the_thinnest_pictures_are_seen(policy, shape):
    """With points that come back, in JPEG (which ends at 65,500 pixels), PNG and TIFF of 16 bits."""
    small = min(shape[0], 60_000), min(shape[1], 60_000)
    for size, data in ((small, written(Image.new("RGB", small, "white"), "JPEG")),
                       (shape, written(Image.new("L", shape, "white"))),
                       (shape, tiff(np.full(shape[::-1], 65535, np.uint16)))):
        seen = load_image(data, task((20, 30), policy))
        assert np.asarray(seen.picture).max() >= 254 and seen.place == place_picture(size, (20, 30), policy)
        points = np.array([[[0.3, 0.6], [size[0] / 2, size[1] / 2]]])
        view = seen.place.view[None]
        np.testing.assert_allclose(in_pixels(in_view(points, view), view), points, atol=1e-9)


# the training's own image

def test_fastais_picture_is_read_by_whoever_looks_and_no_larger_by_fit(tmp_path, decoded):
    from imgreg_fastai.training.transforms import Boxed, Fit, Picture

    exif = Image.Exif()
    exif[274] = 6
    path = tmp_path / "photo.jpg"
    path.write_bytes(written(photo_like(1000, 800), "JPEG", exif=exif))
    of = task((40, 50))
    (fitted_to,) = Fit(of)((Picture.create(path),))
    assert decoded == [(125, 100)] and isinstance(fitted_to, Picture) and fitted_to.size == (50, 40)
    assert np.array_equal(fitted_to, next(fit_images([path], of)).pixels)
    whole = Picture.create(path)
    assert whole.size == (800, 1000) and np.array_equal(whole, open_picture(path)) and "800x1000" in repr(whole)
    assert np.array_equal(Fit(of)((whole,))[0], fitted_to)
    with pytest.raises(PictureError, match="outside"):
        Fit(task((8, 8), box=("x", "y", "w", "h")))((Picture.create(Boxed(str(path), (-90, 9, 9, 9))),))
    for look_at in (Picture.load, lambda p: p.size, np.asarray, lambda p: Fit(of)((p,))):
        with pytest.raises(PictureError, match="no file"):
            look_at(Picture.create(tmp_path / "gone.png"))


# find

@pytest.fixture
def photos(tmp_path):
    for name in ("b.png", "a.JPG", "c.txt", "sub/d.webp", "sub/deep/e.Tiff", "a[1].png", "a1.png", "labels.csv"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "photos" / "folder.png").mkdir()
    return tmp_path / "photos"


def names(root, found):
    assert all(isinstance(path, str) for path in found)
    return [path.removeprefix(f"{root}/") for path in found]


def test_find_searches_folders_sorted_and_below(photos):
    assert names(photos, find_images([photos])) == [
        "a.JPG", "a1.png", "a[1].png", "b.png", "sub/d.webp", "sub/deep/e.Tiff"]


def test_find_takes_places_in_the_order_given_and_files_by_any_name(photos):
    given = [photos / "c.txt", photos / "sub", str(photos / "b.png"), photos / "b.png"]
    assert names(photos, find_images(given)) == ["c.txt", "sub/d.webp", "sub/deep/e.Tiff", "b.png", "b.png"]


@pytest.mark.parametrize(("glob", "found"), [
    ("*.png", ["a1.png", "a[1].png", "b.png"]), ("?.png", ["b.png"]), ("a[0-9].png", ["a1.png"]),
    ("[ab].*", ["a.JPG", "b.png"]),
    ("**/*.*", ["a.JPG", "a1.png", "a[1].png", "b.png", "sub/d.webp", "sub/deep/e.Tiff"]), ("*/*.webp", ["sub/d.webp"]),
    ("a[[]1].png", ["a[1].png"]),
])
def test_find_knows_globs(photos, glob, found):
    assert names(photos, find_images([photos / glob])) == found


def test_a_real_file_with_brackets_in_its_name_is_that_file(photos):
    assert names(photos, find_images([photos / "a[1].png"])) == ["a[1].png"]
    (photos / "a[1].png").unlink()
    assert names(photos, find_images([photos / "a[1].png"])) == ["a1.png"]


def test_a_missing_file_is_left_to_be_told_with_the_broken_ones(photos):
    assert find_images([photos / "gone.png"]) == [str(photos / "gone.png")]
    assert find_images(["x" * 300, "a\0b"]) == ["x" * 300, "a\0b"]


@pytest.mark.parametrize("place", ["empty", "*.gone", "gone[1].png", "folder.png", "*.csv"])
def test_a_place_without_pictures_is_refused(photos, place):
    (photos / "empty").mkdir()
    told = r"expected images; found none in '[^']*'( \(1 .csv\))?; try a file, a folder or a glob"
    with pytest.raises(ImgregError, match=told):
        find_images([photos / "b.png", photos / place])


def test_nothing_asked_for_is_nothing_found():
    assert find_images([]) == []
