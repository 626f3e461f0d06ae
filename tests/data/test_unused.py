"""What of an image is not used is told: further bands and frames, transparency, pixels without data; and only that."""
import io
import logging

import numpy as np
import pytest
import tifffile
from PIL import Image

from imgreg_fastai.data.images import Unused, fit_images, image_views, warn_unused
from tests.data.test_images import four_corners, palette, task, written
from tests.data.test_levels import RAMP, png, tiff

PAGES = [four_corners(), four_corners().rotate(90), four_corners().rotate(180)]
GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
CLEAR = Image.new("RGBA", (8, 6), (10, 20, 30, 255))
HALF = Image.new("RGBA", (8, 6), (10, 20, 30, 128))


def bands(n, dtype=np.uint8, extra=0):
    array = np.zeros((8, 8, n), dtype)
    return tiff(array, photometric="rgb", extrasamples=[extra] * (n - 3))


def pyramid():
    """A TIFF with a smaller copy of its page, as scanners and GDAL write it."""
    with tifffile.TiffWriter(out := io.BytesIO()) as writer:
        writer.write(np.zeros((64, 64), np.uint8))
        writer.write(np.zeros((32, 32), np.uint8), subfiletype=1)
    return out.getvalue()


IMAGES = {
    "bands 4": (bands(4), Unused(bands=1)), "bands 6": (bands(6), Unused(bands=3)),
    "bands 16 bits": (bands(4, np.uint16), Unused(bands=1)),
    "grey and more": (tiff(np.zeros((8, 8, 2), np.uint8), photometric="minisblack", planarconfig="contig",
                           extrasamples=[0]), Unused(bands=1)),
    "gif": (written(PAGES[0], "GIF", save_all=True, append_images=PAGES[1:]), Unused(frames=2)),
    "webp": (written(PAGES[0], "WEBP", save_all=True, append_images=PAGES[1:]), Unused(frames=2)),
    "apng": (written(PAGES[0], "PNG", save_all=True, append_images=PAGES[1:]), Unused(frames=2)),
    "pages": (written(PAGES[0], "TIFF", save_all=True, append_images=PAGES[1:]), Unused(frames=2)),
    "half": (written(HALF), Unused(transparent=True)), "clear": (written(CLEAR), Unused()),
    "palette": (written(palette(), transparency=1), Unused(transparent=True)),
    "alpha of a tiff": (written(HALF, "TIFF"), Unused(transparent=True)),
    "nodata": (tiff(np.where(np.eye(8, dtype=bool), -9999, 20).astype("f4")), Unused(nodata="-9999")),
    "tag": (tiff(np.where(np.eye(8, dtype=bool), 7, 9).astype("u2"), extratags=[(42113, "s", 0, "7", True)]),
            Unused(nodata="7")),
    # what uses all of an image, or has no more than a copy of it
    "phone": (written(PAGES[0], "MPO", save_all=True, append_images=PAGES[1:]), Unused()),
    "copies": (pyramid(), Unused()), "plain": (written(PAGES[0]), Unused()), "deep": (png(RAMP), Unused()),
    "cmyk": (written(Image.new("CMYK", (4, 4)), "TIFF"), Unused()), "grey": (tiff(GREY), Unused()),
}


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_not_used_is_known_when_an_image_is_decoded_and_as_far_as_headers_go(name):
    data, unused = IMAGES[name]
    (done,) = fit_images([data], task((8, 8)))
    assert done.unused == unused
    (view,) = image_views([data], task((8, 8)))
    assert view.unused == unused._replace(transparent=False, nodata="") and np.array_equal(view.view, done.view)


def test_the_first_frame_is_the_one_that_is_seen():
    for name in ("gif", "webp", "apng", "pages"):
        (done,) = fit_images([IMAGES[name][0]], task((24, 40)))
        assert np.abs(done.pixels.astype(int) - np.asarray(PAGES[0])).mean() < 12


def test_it_is_one_line_for_each_kind_with_count_and_examples(caplog):
    images = {name: unused for name, (_, unused) in IMAGES.items()}
    with caplog.at_level(logging.WARNING):
        warn_unused(images, images.values(), len(images))
    lines = [record.message for record in caplog.records]
    assert len(lines) == 4
    assert lines[0].startswith("an image of further bands (1 more): 4 of 20 images (bands 4, bands 6, bands 16")
    assert "several frames or pages (2 more): 4 of 20 images (gif, webp, apng and 1 more); the first" in lines[1]
    assert lines[2].endswith("(half, palette, alpha of a tiff); it is laid on white") and "shown black" in lines[3]


def test_a_pillow_image_of_the_user_stays_at_its_frame_and_is_not_told_of():
    picture = Image.open(io.BytesIO(IMAGES["gif"][0]))
    picture.seek(1)
    (done,) = fit_images([picture], task((24, 40)))
    assert done.unused == Unused() and picture.tell() == 1
    assert np.abs(done.pixels.astype(int) - np.asarray(PAGES[1])).mean() < 12
