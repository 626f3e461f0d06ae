"""Copies with the predictions drawn on them: of the same size and kind, upright, and never over another file."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai.plots import copies
from imgreg_fastai.tasks import HEADPOSE, Number, Task
from imgreg_fastai.utils import messages
from imgreg_fastai.utils.messages import ImgregError

AGE = Task("faces", (Number("age", ("age",), "years", low=0, high=100),))


def picture(path, size=(80, 60), **how):
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, (200, 210, 220)).save(path, **how)
    return str(path)


def of_heads(*images):
    return pd.DataFrame([{"image": i, "centre_x": 30.5, "centre_y": 20.5, "yaw": 90.0, "pitch": 0.0, "roll": 0.0}
                         for i in images])


@pytest.mark.parametrize("size", [(100, 100), (37, 211), (640, 480), (3001, 2003), (1, 1)])
def test_draw_keeps_the_size_and_marks_the_place(tmp_path, size):
    fields = {"centre_x": size[0] / 2 + 0.5, "centre_y": size[1] / 2 + 0.5}
    frame = of_heads(picture(tmp_path / "in" / "a.png", size)).assign(**fields)
    (path,) = copies.draw(tmp_path / "out", HEADPOSE, frame)
    with Image.open(path) as image:
        assert path == tmp_path / "out" / "a.png" and image.size == size and image.mode == "RGB"
        if min(size) > 1:
            at = image.getpixel((size[0] // 2, size[1] // 2))
            assert np.abs(np.array(at) - (0xD5, 0x5E, 0x00)).max() < 60  # vermilion


def test_draw_writes_numbers_in_words(tmp_path):
    frame = pd.DataFrame({"image": [picture(tmp_path / "in" / "a.png", (200, 100))], "age": [43.21]})
    (path,) = copies.draw(tmp_path / "out", AGE, frame)
    assert (np.asarray(Image.open(path)) != (200, 210, 220)).any(axis=2).mean() > 0.02


def test_draw_never_writes_over_a_file(tmp_path):
    images = [picture(tmp_path / d / "a.png") for d in ("one", "two", "three")]
    before = (tmp_path / "one" / "a.png").read_bytes()
    frame = of_heads(*images, picture(tmp_path / "one" / "a.JPG"))
    names = [p.name for p in copies.draw(tmp_path / "one", HEADPOSE, frame)]
    assert names == ["a-2.png", "a-3.png", "a-4.png", "a.jpg"]
    assert [p.name for p in copies.draw(tmp_path / "one", HEADPOSE, frame[:1])] == ["a-5.png"]
    assert (tmp_path / "one" / "a.png").read_bytes() == before
    assert not list((tmp_path / "one").glob(".*"))


def test_draw_looks_once_for_each_number_of_pictures_of_one_name(tmp_path, monkeypatch):
    images, looked = [picture(tmp_path / str(i) / "a.png", (4, 4)) for i in range(20)], []
    monkeypatch.setattr(copies.os.path, "lexists", lambda path: looked.append(path) or path.exists())
    assert copies.draw(tmp_path / "out", HEADPOSE, of_heads(*images))[-1].name == "a-20.png"
    assert len(looked) < 2 * len(images)


def test_draw_is_upright(tmp_path):
    tag = Image.Exif()
    tag[0x0112] = 6  # to be turned by a quarter
    (path,) = copies.draw(tmp_path / "out", HEADPOSE, of_heads(picture(tmp_path / "in" / "a.jpg", (80, 60), exif=tag)))
    with Image.open(path) as image:
        assert image.size == (60, 80) and not image.getexif().get(0x0112) and image.format == "JPEG"


def test_draw_leaves_out_what_cannot_be_opened(tmp_path, caplog):
    frame = of_heads(picture(tmp_path / "in" / "a.png"), str(tmp_path / "gone.png"), 2)
    with caplog.at_level("WARNING", messages.log.name):
        paths = copies.draw(tmp_path / "out", HEADPOSE, frame)
    assert [p.name for p in paths] == ["a.png"]
    assert "left out 2 of 3 images" in caplog.text and "gone.png" in caplog.text and "number 2" in caplog.text


def test_draw_tells_of_pictures_without_a_file_by_their_number(tmp_path, caplog):
    with caplog.at_level("WARNING", messages.log.name):
        assert copies.draw(tmp_path / "out", HEADPOSE, of_heads(0, 1)) == []
    assert "number 0, which" in caplog.text and not (tmp_path / "out").exists()


def test_a_copy_whose_prediction_is_no_number_is_left_as_it_was(tmp_path):
    (path,) = copies.draw(tmp_path, HEADPOSE, of_heads(picture(tmp_path / "in" / "a.png")).assign(
        centre_x=np.nan, yaw=np.inf))
    assert (np.asarray(Image.open(path)) == (200, 210, 220)).all()


def test_a_folder_that_can_be_written_is_made_and_left_empty_one_that_cannot_is_told_of(tmp_path):
    copies.check_writable(tmp_path / "new" / "drawn")
    assert not list((tmp_path / "new" / "drawn").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ImgregError, match="place that can be written"):
        copies.check_writable(tmp_path / "file")
