"""Levels: of 16 and 32 bits those that are black and white, by type or as given, in files another library wrote."""
import io
import json
import logging
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgreg_fastai.data.images import fit_images, open_picture
from imgreg_fastai.data.images.levels import (
    compare_levels,
    proposed_range,
    summarise_levels,
    unusual_levels,
    warn_levels,
)
from imgreg_fastai.tasks import Number, Task


def chunk(name, data):
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def png(array, after=b""):
    """A PNG of 16 bits, [h, w] or [h, w, 2, 3 or 4]; `after`: chunks behind its pixels."""
    high, wide, bands = *array.shape[:2], 1 if array.ndim == 2 else array.shape[2]
    header = wide.to_bytes(4, "big") + high.to_bytes(4, "big") + bytes((16, {1: 0, 2: 4, 3: 2, 4: 6}[bands], 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + after
            + chunk(b"IEND", b""))


def tiff(array, **how):
    """A TIFF, by another library than Pillow."""
    tifffile.imwrite(out := io.BytesIO(), array, metadata=None, **how)
    return out.getvalue()


def file_of(array):
    if array.dtype == np.uint16:
        return png(array)
    return tiff(array.astype("f4"), **({"photometric": "rgb"} if array.ndim == 3 else {}))


def seen(size, ends=None, **how):
    return Task("t", (Number("n", ("n",)),), size=size, margin=0.0, value_range=ends, augment=(), **how)


def grey(source, at=(0, 0)):
    """What a pixel of one grey comes out as."""
    (value,) = set(open_picture(source).getpixel(at))
    return value


@pytest.mark.parametrize(("kind", "how", "value", "shown"), [
    ("u2", {}, 0, 0), ("u2", {}, 25700, 100), ("u2", {"byteorder": ">"}, 25700, 100), ("u2", {}, 65535, 255),
    ("u2", {"rowsperstrip": 2}, 25700, 100), ("u2", {"rowsperstrip": 2, "byteorder": ">"}, 25700, 100),
    ("u2", {"compression": "zlib", "rowsperstrip": 2}, 25700, 100), ("u2", {"tile": (16, 16)}, 25700, 100),
    ("u2", {"photometric": "miniswhite"}, 0, 255), ("u2", {"photometric": "miniswhite"}, 65535, 0),
    ("u1", {"photometric": "miniswhite"}, 0, 255),
    ("i2", {}, -32768, 0), ("i2", {}, 0, 128), ("i2", {}, 32767, 255), ("i2", {"byteorder": ">"}, -32768, 0),
    ("i1", {}, -128, 0), ("i1", {}, 0, 128), ("i1", {}, 127, 255),
    ("i4", {}, 25700, 100), ("i4", {"byteorder": ">", "rowsperstrip": 2}, 25700, 100), ("i4", {}, -9, 0),
    ("i4", {}, 2**31 - 1, 255), ("u4", {}, 25700, 100), ("u4", {}, 2**32 - 1, 255),  # and not black for having a sign
    ("f4", {}, 0.5, 128), ("f4", {"byteorder": ">"}, 0.5, 128), ("f4", {"rowsperstrip": 2}, 1.0, 255),
    ("f4", {}, 1e20, 0), ("f4", {}, 3.4e38, 0), ("f4", {}, -np.inf, 0), ("f4", {}, np.inf, 0), ("f4", {}, np.nan, 0),
])
def test_deep_tiffs_are_scaled_by_their_type(kind, how, value, shown):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert grey(tiff(np.full((5, 4), value, kind), **how), (3, 4)) == shown


def test_twelve_bits_have_a_range_of_their_own():
    packed, tags = bytes((0xFF, 0xF0, 0x00, 0x80, 0x00, 0x00)), b""  # two rows: 4095 and 0, 2048 and 0
    fields = ((256, 2), (257, 2), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 2), (279, len(packed)))
    for tag, value in fields:
        tags += tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + value.to_bytes(4, "little")
    data = b"II*\0\x0e\0\0\0" + packed + len(fields).to_bytes(2, "little") + tags + bytes(4)
    shown = np.asarray(open_picture(data))[..., 0]
    assert shown.tolist() == [[255, 0], [128, 0]]


def test_brightness_does_not_depend_on_what_else_is_in_the_picture():
    dark, light = np.full((4, 4), 1000, np.uint16), np.full((4, 4), 1000, np.uint16)
    light[2:] = 60000
    for write in (png, tiff):
        assert grey(write(dark)) == grey(write(light)) == 4


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)  # all that a camera of 12 bits can give
COLOURS = np.dstack([RAMP, RAMP[::-1], RAMP.T])
CLEAR = np.full((64, 64), 65535, np.uint16)
PLANES = np.moveaxis(COLOURS, 2, 0).copy()
TWELVE = {
    "png": (png(RAMP), RAMP), "tiff": (tiff(RAMP), RAMP), "strips": (tiff(RAMP, rowsperstrip=7), RAMP),
    "big": (tiff(RAMP, byteorder=">"), RAMP), "i2": (tiff(RAMP.astype("i2")), RAMP),
    "i4": (tiff(RAMP.astype("i4")), RAMP), "u4": (tiff(RAMP.astype("u4")), RAMP),
    "f4": (tiff(RAMP.astype("f4"), rowsperstrip=7), RAMP), "array": (RAMP, RAMP), "floats": (RAMP.astype(float), RAMP),
    "pillow": (Image.fromarray(RAMP), RAMP), "white is 0": (tiff(RAMP, photometric="miniswhite"), 4095 - RAMP),
    "colours": (COLOURS, COLOURS), "clear": (np.dstack([COLOURS, CLEAR]), COLOURS),
    "clear floats": (np.dstack([COLOURS, CLEAR / 65535]), COLOURS),
    "png rgb": (png(COLOURS), COLOURS), "png rgba": (png(np.dstack([COLOURS, CLEAR])), COLOURS),
    "rgba": (tiff(np.dstack([COLOURS, CLEAR]), photometric="rgb", extrasamples=["unassalpha"]), COLOURS),
    **{f"rgb {order} {way}": (tiff(COLOURS, photometric="rgb", byteorder=order, **how), COLOURS) for order in "<>"
       for way, how in (("whole", {}), ("strips", {"rowsperstrip": 7}), ("tiles", {"tile": (16, 16)}),
                        ("packed", {"compression": "zlib", "rowsperstrip": 7}))},
    **{f"planes {order} {way}": (tiff(PLANES, photometric="rgb", planarconfig="separate", byteorder=order, **how),
                                 COLOURS) for order in "<>"
       for way, how in (("whole", {}), ("strips", {"rowsperstrip": 7}))},
    # of these Pillow gives the upper 8 bits, whatever it is asked for
    "png la": (png(np.dstack([RAMP, CLEAR])), RAMP >> 8 << 8 | RAMP >> 8),
    "planes packed": (tiff(PLANES, photometric="rgb", planarconfig="separate", compression="zlib"),
                      COLOURS >> 8 << 8 | COLOURS >> 8),
}


@pytest.mark.parametrize("name", TWELVE)
def test_a_given_range_uses_all_of_the_greys(name):
    """Every number of 12 bits becomes the nearest of 256 greys, in colours of 16 bits too, where Pillow gives but 8."""
    source, numbers = TWELVE[name]
    shown = np.asarray(open_picture(source, (0, 4095)))
    expected = np.floor(np.minimum(numbers, 4095) * (255 / 4095) + 0.5)
    assert (shown == (expected if expected.ndim == 3 else expected[..., None])).all()


def test_a_range_may_lie_anywhere_and_leaves_8_bits_alone():
    floats = np.array([[-1000.0, -500.0, 0.0, 1000.0, 2000.0, np.nan, np.inf]], "f4")
    shown = np.asarray(open_picture(tiff(floats), (-1000, 1000)))[0, :, 0]
    assert shown.tolist() == [0, 64, 128, 255, 255, 0, 0]
    assert grey(tiff(np.full((2, 2), 10**9 + 50, "i4"))) == 255
    assert open_picture(tiff(np.full((2, 2), 10**9 + 60, "i4")), (10**9, 10**9 + 100)).getpixel((0, 0)) == (153,) * 3
    for eight in (np.full((2, 2, 3), 9, np.uint8), tiff(np.full((2, 2), 9, np.uint8))):
        assert np.array_equal(open_picture(eight, (0, 4095)), open_picture(eight))


def test_the_range_of_a_task_holds_for_what_its_network_sees():
    of = seen((64, 64), (0.0, 4095.0))
    for name in ("png", "png rgb", "array"):
        source, _ = TWELVE[name]
        (done,) = fit_images([source], of)
        assert np.array_equal(done.pixels, open_picture(source, (0, 4095)))
        assert done.levels == (4, done.levels.high, 0, 4095, 0, 4095, "")
    assert next(fit_images([np.zeros((2, 2), np.uint8)], of)).levels is None


@pytest.mark.parametrize(("array", "ends", "told"), [
    (RAMP, None, "hold 4 to 4091, where 0 to 65535 is shown: try --range 0,4095"), (RAMP, (0, 4095), None),
    (COLOURS, None, "try --range 0,"), (RAMP * 1.0, None, "where 0 to 1 is shown: try --range 0,4095"),
    (RAMP / 4095, None, None), (RAMP * 16, None, None), (RAMP * 0 + 7, None, None), (RAMP, (0, 2000), "0 to 2000"),
    (RAMP, (1000, 5000), "1000 to 5000"), (RAMP * np.nan, None, None), (RAMP.astype(np.uint8), None, None),
])
def test_a_range_that_does_not_suit_is_told_once(array, ends, told, caplog):
    levels = [next(fit_images([source], seen((8, 8), ends))).levels
              for source in ([array, array] if array.dtype == np.uint8 else [file_of(array)] * 2)]
    with caplog.at_level(logging.WARNING):
        warn_levels([*levels, None])
    assert len(caplog.records) == (told is not None) and (told or "") in caplog.text


def test_training_sees_16_bits_as_predicting_does():
    from imgreg_fastai.training.datablock import Fit, Picture

    of = seen((64, 64), (0.0, 4095.0))
    assert np.array_equal(Fit(of)((Picture.create(TWELVE["png"][0]),))[0], open_picture(TWELVE["png"][0], (0, 4095)))


def field(low, high, n=4000, dtype="f4"):
    """Numbers from low to high, in an image."""
    return np.linspace(low, high, n).reshape(40, -1).astype(dtype)


@pytest.mark.parametrize(("array", "how", "nodata"), [
    (field(20, 40), {}, -9999), (field(20, 40), {}, -3.4028235e38), (field(20, 40), {}, 3.4028235e38),
    (field(20, 40), {}, 1e20), (field(20, 40), {}, np.nan), (field(20, 40), {}, np.inf), (field(20, 40), {}, -np.inf),
    (field(-200, 800, dtype="i2"), {}, -32768), (field(-200, 800, dtype="i2"), {}, -9999),
    (field(100, 900, dtype="u2"), {"tag": "65535"}, 65535), (field(100, 900, dtype="i4"), {"tag": "-1"}, -1),
    (field(20, 40), {"tag": "nan"}, np.nan), (field(20, 40), {"tag": "-1.5 "}, -1.5),
    (np.dstack([field(100, 900, dtype="u2")] * 3), {"tag": "65535", "photometric": "rgb"}, 65535),
])
def test_pixels_without_data_set_no_range_and_are_black_whatever_they_hold(array, how, nodata):
    tag = how.get("tag")
    how = {name: value for name, value in how.items() if name != "tag"}
    with_holes = array.copy()
    with_holes[:2, :9] = nodata
    data = tiff(with_holes, **how, **({"extratags": [(42113, "s", 0, tag, True)]} if tag else {}))
    ends = (float(array.min()), float(array.max()))
    (done,) = fit_images([data], seen(array.shape[:2], ends))
    (whole,) = fit_images([tiff(array, **how)], seen(array.shape[:2], ends))
    assert (done.pixels[:2, :9] == 0).all() and np.array_equal(done.pixels[2:], whole.pixels[2:])
    assert done.levels.lowest >= ends[0] and done.levels.highest == ends[1]
    assert done.levels.nodata == f"{nodata:g}".replace("nan", "NaN")
    assert not list(unusual_levels([done.levels]))


def test_a_number_like_a_fill_that_lies_among_others_is_data():
    depths = field(-12000, 5000)
    depths[3, 3] = -9999
    assert next(fit_images([tiff(depths)], seen((40, 100), (-12000, 5000)))).levels.nodata == ""
    assert next(fit_images([tiff(np.full((4, 4), -9999, "f4"))], seen((4, 4), (0, 1)))).levels.flat


PROPOSALS = [
    ("12 bits in 16", lambda s: (RAMP * s).astype("u2"), "0,4095"),
    ("celsius", lambda s: field(20, 20 + 20 * s), "20,40"),
    ("int16", lambda s: field(-200, -200 + 990 * s, dtype="i2"), "-200,790"),
    ("uint32", lambda s: field(0, 4e9 * s, dtype="u4"), "0,4294967295"),
    ("0 to 255 in floats", lambda s: field(0, 250 * s), "0,255"),
    ("kelvin", lambda s: field(29000, 29000 + 900 * s, dtype="u2"), "29000,29900"),
]


@pytest.mark.parametrize(("name", "draw", "proposal"), PROPOSALS)
def test_a_range_is_proposed_that_suits_when_it_is_typed(name, draw, proposal):
    images = [tiff(draw(s)) for s in np.linspace(0.1, 1, 12)]
    hot = draw(1.0).copy()
    hot[0, 0] = np.iinfo(hot.dtype).max if hot.dtype.kind in "iu" else 1e6  # a hot pixel sets no range
    images.append(tiff(hot))
    levels = [done.levels for done in fit_images(images, seen((40, 100)))]
    ((text, hint),) = unusual_levels(levels)
    assert hint.startswith(f"--range {proposal}, or"), text
    ends = tuple(map(float, proposal.split(",")))
    assert ("single pixels" in text) == (hot.max() > ends[1])
    assert not list(unusual_levels(done.levels for done in fit_images(images, seen((40, 100), ends))))


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9))
def test_a_proposed_range_contains_what_it_is_for(low, span):
    black, white = proposed_range(low, low + span)
    slack = 1e-6 * (abs(low) + span)
    assert black <= low + slack and white >= low + span - slack
    assert white - black < 3 * span + 2 * max(1.0, abs(low)) * 1e-6 or black == 0


def levels_of(arrays, ends=None):
    return [done.levels for done in fit_images(arrays, seen((8, 8), ends))]


@pytest.mark.parametrize(("trained", "images", "told"), [
    ([RAMP] * 3, [RAMP] * 2, None), ([RAMP] * 3, [field(0, 60000, dtype="u2")], "other brightness than in training"),
    ([field(0, 60000, dtype="u2")] * 3, [RAMP], "image 0 holds 4 to 4091"), ([RAMP] * 3, [RAMP * 3 // 4], None),
    ([RAMP] * 3, [np.zeros((8, 8), np.uint8)], "images of 8 bits: 1 of 1"),
    ([RAMP, np.zeros((8, 8), np.uint8)], [np.zeros((8, 8), np.uint8)], None),
    ([np.zeros((8, 8), np.uint8)], [np.zeros((8, 8), np.uint8)], None),
    ([np.zeros((8, 8), np.uint8)], [RAMP], "where 0 to 65535 is shown; the model was trained on images of 8 bits"),
    ([np.zeros((8, 8), np.uint8)], [field(0, 65000, dtype="u2")], None), (None, [RAMP], None),
    ([RAMP * np.nan], [RAMP], None),
])
def test_images_far_from_those_of_the_training_are_told(trained, images, told):
    summary = {} if trained is None else json.loads(json.dumps(summarise_levels(levels_of(trained, (0, 65535)))))
    levels = levels_of(images)
    lines = list(compare_levels([f"image {i}" for i in range(len(images))], levels, summary))
    assert len(lines) == (told is not None) and (told or "") in " ".join(lines)
