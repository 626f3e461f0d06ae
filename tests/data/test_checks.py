"""The doctor: faults planted by a seed into a clean table are all found, and nothing else is."""
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFilter

from imgreg_fastai import cli
from imgreg_fastai.api import functions
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.data import checks
from imgreg_fastai.data.checks import duplicates, opened_images
from imgreg_fastai.data.splits import connected_groups
from imgreg_fastai.plots import overview
from imgreg_fastai.tasks import Angle, Number, Point, Task

N, EACH = 120, 3
TASK = Task("heads", (Number("age", ("age",)), Point("spot", ("x", "y")), Angle("heading", ("heading",))), group="who")
BOX = ("cx", "cy", "w", "h")


def picture(rng, size=(80, 64)) -> Image.Image:
    """Some soft discs on a coloured ground: no two are alike."""
    drawn = Image.new("RGB", size, tuple(rng.integers(40, 216, 3).tolist()))
    pen = ImageDraw.Draw(drawn)
    for x, y, r in rng.uniform((0, 0, 8), (*size, 26), (6, 3)):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return drawn.filter(ImageFilter.GaussianBlur(1))


def clean(folder, seed) -> pd.DataFrame:
    """A table without fault: four images of each of 30 people, each of whom is in one part."""
    folder.mkdir()
    rng, who = np.random.default_rng(seed), np.arange(N) // 4
    for i in range(N):
        picture(rng).save(folder / f"{i:03}.png")
    return pd.DataFrame({
        "image": [f"{i:03}.png" for i in range(N)], "age": rng.integers(18, 80, N), "x": rng.uniform(1, 79, N).round(1),
        "y": rng.uniform(1, 63, N).round(1), "heading": rng.uniform(0, 360, N).round(1), "who": [f"p{w}" for w in who],
        "split": np.where(who < 24, "train", np.where(who < 28, "valid", "test"))}).astype(object)


def checked(folder, frame, task=TASK, **how):
    frame.to_csv(folder / "labels.csv", index=False)
    return checks.check(folder / "labels.csv", task, **how)


def by_kind(findings) -> dict[str, set]:
    rows: dict[str, set] = {}
    for f in findings:
        rows.setdefault(f.code, set()).update(f.rows)
    return rows


def fault(path, kind, i):
    """Put a fault into the file of an image, whose rows stay as they are."""
    whole = Image.open(path).convert("RGB")
    if kind == "broken":
        data = path.read_bytes()
        path.write_bytes((data[: len(data) // 2], b"", b"<html>404</html>")[i % 3])
    elif kind == "depth":
        numbers = np.asarray(whole.convert("L")).astype(np.uint16) * 250
        Image.fromarray(numbers).save(path)
    elif kind == "blank":
        Image.new("RGB", whole.size, (i * 40, 9, 9)).save(path)
    elif kind == "turned":
        exif = Image.Exif()
        exif[274] = 6
        whole.save(path, "JPEG", exif=exif)
    else:
        whole.save(path, "GIF", save_all=True, append_images=[whole.rotate(90)])


OF_FILES = ("broken", "depth", "blank", "turned", "animated")
OF_CELLS = {  # kind: the column, and what is put there
    "absent": ("image", lambda i: f"gone{i}.png"), "unnamed": ("image", lambda i: ""),
    "word": ("age", lambda i: ("old", "<5", "12 years")[i % 3]), "infinite": ("age", lambda i: ("inf", "-inf")[i % 2]),
    "missing": ("age", lambda i: ""), "outlier": ("age", lambda i: (10**6, -(10**5), 2500)[i % 3]),
    "outside": ("x", lambda i: (95, -15, 400)[i % 3]), "wrapped": ("heading", lambda i: (400, -500, 1e4)[i % 3]),
    "split": ("split", lambda i: ("part 1", "2", "")[i % 3]),
}
COPIES = {  # what is found of a copy of an image: how it differs
    "exact": ({"duplicate"}, {}), "exact, another label": ({"contradicting"}, {"age": 99}),
    "exact, across": ({"duplicate", "leak"}, {"split": "valid", "who": "p25"}),
    "near": ({"near"}, {}), "near, another label": ({"contradicting"}, {"age": 99, "who": ""}),
    "near, across": ({"near", "leak"}, {"split": "valid", "who": "p25"}),
}


def copied(folder, row, how, i) -> dict:
    """A row with a copy of its image: the same pixels in another file, or saved again, or of another size."""
    source, new = folder / row["image"], {**row, **COPIES[how][1]}
    whole, name = Image.open(source), f"{how} {i}".replace(", ", "_")
    if how.startswith("exact"):
        new["image"] = name + (".png", ".bmp")[i % 2]
        if i % 2:
            whole.save(folder / new["image"])
        else:
            shutil.copy(source, folder / new["image"])
    else:
        new["image"] = f"{name}.jpg"
        larger = (1, 1.5, 2)[i % 3]
        whole = whole.resize((int(80 * larger), int(64 * larger)), Image.Resampling.BICUBIC)
        whole.save(folder / new["image"], quality=(50, 80, 60)[i % 3])
        new |= {"x": row["x"] * larger, "y": row["y"] * larger}
    return new


def plant(folder, frame, seed):
    """(the table with faults in random rows, the rows of each kind)."""
    rng, expected = np.random.default_rng(seed), {}
    own = rng.permutation(24)[:EACH]  # people of the training part, whose rows have no other fault
    free = iter(rng.permutation([i for i in range(96) if i // 4 not in own]))
    frame, more = frame.copy(), []
    for kind, (column, value) in OF_CELLS.items():
        for k in range(EACH):
            frame.loc[i := next(free), column] = value(k)
            expected.setdefault(kind, set()).add(i + 2)
    for kind in OF_FILES:
        for k in range(EACH):
            fault(folder / frame["image"][i := next(free)], kind, k)
            frame.loc[i, ["x", "y"]] = 20.0
            expected.setdefault(kind, set()).add(i + 2)
    for how, (kinds, _) in COPIES.items():
        for k in range(EACH):
            more.append(copied(folder, frame.loc[i := next(free)].to_dict(), how, k))
            for kind in kinds:
                expected.setdefault(kind, set()).update((i + 2, N + 1 + len(more)))
    for person in own:
        frame.loc[person * 4 + rng.integers(4), "split"] = "valid"
        expected.setdefault("group", set()).update(range(person * 4 + 2, person * 4 + 6))
    return pd.concat([frame, pd.DataFrame(more)]), expected


@pytest.mark.parametrize("seed", range(4))
def test_faults_planted_by_a_seed_are_all_found_and_nothing_else_is(tmp_path, seed):
    frame = clean(tmp_path / "t", seed)
    health = checked(tmp_path / "t", frame)
    assert health.issues == [] and health.fine and health.summary == "120 rows, 120 images: nothing found"
    frame, expected = plant(tmp_path / "t", frame, seed)
    health = checked(tmp_path / "t", frame)
    found = by_kind(health.issues)
    assert found == expected
    print(f"seed {seed}: {sum(map(len, expected.values()))} rows with {len(expected)} kinds of fault, all found")
    assert not health.fine and [f.code for f in health.issues_at("stop")] == ["split", "group"]
    assert {f.code for f in health.issues_at("leave out")} == {"absent", "unnamed", "broken"}
    assert health.facts["usable"] == len(frame) - 3 * EACH == health.frame["usable"].sum()
    same = {row for group in health.facts["duplicates"]["same"] for row in group}
    nearly = [set(group) for group in health.facts["duplicates"]["nearly"]]
    assert len(same) == 6 * EACH and len(nearly) == 3 * EACH and all(len(group) == 2 for group in nearly)
    json.dumps(health.to_dict(), allow_nan=False)
    assert all("\n" not in f.describe() for f in health.issues)
    fast = by_kind(checked(tmp_path / "t", frame, fast=True).issues)
    opened = {"broken", "duplicate", "near", "contradicting", "leak", "depth", "blank", "animated"}
    assert fast == {kind: rows for kind, rows in expected.items() if kind not in opened}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """A clean table and its folder; what is written beside its images is the test's own."""
    folder = tmp_path_factory.mktemp("clean") / "heads"
    return folder, clean(folder, 9)


def finding(health, kind):
    (one,) = [f for f in health.issues if f.code == kind]
    return one


def test_what_is_told_names_rows_files_and_reasons(heads):
    folder, frame = heads
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("a,b,c")
    again = frame.iloc[[4, 4, 3]].assign(image=["again.png", "third.png", "more.png"])
    for name, source in zip(again["image"], ("004.png", "004.png", "003.png"), strict=True):
        shutil.copy(folder / source, folder / name)
    rows = pd.concat([frame, frame.iloc[[0, 1]].assign(image=["empty.png", "text.jpg"]), again])
    health = checked(folder, rows)
    assert finding(health, "broken").describe() == (
        "an image that cannot be opened: 2 of 125 rows (row 122 'empty.png' (an empty file), row 123 'text.jpg' "
        "(not an image Pillow can read))")
    assert finding(health, "duplicate").describe() == (
        "2 images in several files, with the same labels: 5 of 125 rows (row 5 '003.png', row 126 'more.png' "
        "like row 5, row 6 '004.png', row 124 'again.png' like row 6, row 125 'third.png' like row 6); keep one row of "
        "each")
    assert sorted(health.facts["duplicates"]["same"]) == [[5, 126], [6, 124, 125]]
    assert health.describe().endswith(
        "125 rows, of which 123 can be used, 123 images: 1 that leave rows out, 1 worth knowing")


def test_the_split_that_a_training_would_draw_is_looked_at_where_the_table_has_none(heads):
    folder, frame = heads
    copies = frame.iloc[:30].assign(image=[f"copy{i}.png" for i in range(30)], who="")
    for i, name in enumerate(copies["image"]):
        shutil.copy(folder / f"{i:03}.png", folder / name)
    whole = pd.concat([frame, copies]).drop(columns="split")
    health = checked(folder, whole)
    leak, parts = finding(health, "leak"), health.facts["split"]
    assert "a training would draw" in leak.text and 0 < len(leak.rows) < 60 and sum(parts.values()) == 150
    valid = make_config(TASK, valid=0.5)
    assert len(finding(checked(folder, whole, cfg=valid), "leak").rows) > len(leak.rows)
    own = checked(folder, whole.assign(split="train").astype({"split": object}).pipe(
        lambda f: f.assign(split=np.where(np.arange(150) < 40, "valid", "train"))))
    assert "a training" not in finding(own, "leak").text
    held = checked(folder, frame, cfg=make_config(TASK, hold_out=("p3",)))
    assert held.facts["drawn"] and held.facts["split"] == {"train": 116, "valid": 4}
    alone = checked(folder, frame.assign(who="one").drop(columns="split"))
    assert finding(alone, "part").level == "stop"


def test_boxes_outside_their_picture_are_left_out_and_those_over_its_edge_noted(heads):
    folder, frame = heads
    frame = frame.assign(cx=40, cy=32, w=30, h=30)
    task = Task("t", (TASK.targets[0],), box=BOX, group="who")
    assert checked(folder, frame, task).issues == []
    frame.loc[[3, 7, 8], "cx"], frame.loc[[11, 12], "cy"], frame.loc[20, "w"] = 500, 5, 81
    shutil.copy(folder / "000.png", folder / "other_box.png")
    other = frame.iloc[[0]].assign(image="other_box.png", cx=20, age=5)  # of another thing in the image
    health = checked(folder, pd.concat([frame, other]), task)
    assert by_kind(health.issues) == {"box": {5, 9, 10}, "edge": {13, 14}}
    assert finding(health, "box").level == "leave out" and "up to 10 px" in finding(health, "edge").text
    assert health.facts["usable"] == 118


def test_too_few_pictures_that_can_be_opened_stop(heads):
    folder, frame = heads
    for i in range(8):
        (folder / f"no{i}.png").write_bytes(b"no")
    few = pd.concat([frame.iloc[:9], frame.iloc[90:98].assign(image=[f"no{i}.png" for i in range(8)])])
    health = checked(folder, few.drop(columns="split"))
    assert [f.code for f in health.issues] == ["broken", "few"] and not health.fine
    none = checked(folder, few.iloc[9:].assign(image="no1.png"))
    assert not none.fine and "few" in by_kind(none.issues) and overview.draw_overview(none)


def test_a_folder_is_told_by_the_names_of_its_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):
        picture(rng).save(tmp_path / f"age_{i + 20}.png")
    shutil.copy(tmp_path / "age_20.png", tmp_path / "b_age_20.png")
    (tmp_path / "age_77.png").write_bytes(b"")
    health = checks.check(tmp_path, Task("t", TASK.targets[:1], name_pattern=r"age_(?P<age>\d+)"))
    assert finding(health, "broken").names == ("age_77.png (an empty file)",)
    assert finding(health, "duplicate").names == ("age_20.png", "b_age_20.png like age_20.png")


def test_pairs_are_found_whatever_bits_differ_and_no_others():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 4000, dtype=np.uint64)
    tiny = rng.integers(0, 256, (4000, 432)).astype(np.uint8)
    pairs = rng.permutation(4000)[:400].reshape(-1, 2)
    for k, (i, j) in enumerate(pairs):
        bits = rng.permutation(64)[: k % 9]
        hashes[j] = hashes[i] ^ np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64), initial=np.uint64(0))
        tiny[j] = tiny[i] if k % 2 else np.clip(tiny[i].astype(int) + rng.integers(-2, 3, 432), 0, 255)
    found, whole = duplicates.near_pairs(hashes, tiny)
    wanted = {tuple(sorted(pair)) for k, pair in enumerate(pairs.tolist()) if k % 9 <= duplicates.MAX_BITS}
    assert whole and len(found) == len(wanted) and {tuple(sorted(pair)) for pair in found.tolist()} == wanted
    assert len(np.unique(connected_groups(found, 4000))) == 4000 - len(wanted)
    for n in (0, 1):
        assert duplicates.near_pairs(hashes[:n], tiny[:n])[0].shape == (0, 2)


def test_dark_pictures_of_16_bits_are_not_taken_for_each_other(tmp_path):
    frame, rng = clean(tmp_path / "t", 3), np.random.default_rng(3)
    for name in frame["image"]:  # all that is shown of them is black
        Image.fromarray(np.asarray(picture(rng).convert("L")).astype(np.uint16)).save(tmp_path / "t" / name)
    assert "duplicate" not in by_kind(checked(tmp_path / "t", frame).issues)
    shown = Task("t", TASK.targets, group="who", value_range=(0, 255))
    assert checked(tmp_path / "t", frame, shown).issues == []


def test_a_large_picture_is_compared_by_a_smaller_copy(tmp_path):
    large = picture(np.random.default_rng(0)).resize((1600, 1200), Image.Resampling.BICUBIC)
    seen = []
    for name, how in (("a.png", {}), ("b.bmp", {}), ("c.jpg", {"quality": 70})):
        large.save(tmp_path / name, **how)
        seen.append(opened_images.fingerprint(tmp_path / name, TASK))
    a, b, c = seen
    assert a.content == b.content != c.content and a.header[:2] == c.header[:2] == (1600, 1200)
    hashes, tiny = np.array([s.hash for s in seen], np.uint64), np.stack([s.tiny.ravel() for s in seen])
    pairs, _ = duplicates.near_pairs(hashes, tiny)
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 1), (0, 2), (1, 2)}


def ran(capsys, *args):
    """(exit code, stdout) of the command line, run in this process."""
    with pytest.raises(SystemExit) as e:
        cli.main([str(a) for a in args])
    out = capsys.readouterr()
    return e.value.code, out.out, out.err


def test_the_verb_tells_draws_and_names_the_next_command(heads, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder, frame = heads
    table = folder / "my table.csv"
    frame.to_csv(table, index=False)
    options = ["--target", "age", "--target", "spot=x,y:point", "--group", "who", "--valid", "0.3",
               "--flip-pairs", "none"]
    code, out, _ = ran(capsys, "check", table, *options)
    lines = out.splitlines()
    assert code == 0 and lines[-3] == "120 rows, 120 images: nothing found"
    assert lines[-2] == "plot: runs/check-my table-001.png"
    assert lines[-1] == (f"next: imgreg train '{table}' --target age --target spot=x,y:point --group who --valid 0.3 "
                         "--flip-pairs none")
    code, out, _ = ran(capsys, "check", table, *options, "--json", "--fast", "--plot", "own.png")
    told = json.loads(out)
    assert code == 0 and told["fine"] and told["issues"] == [] and told["plot"] == "own.png"
    assert told["facts"]["rows"] == 120 and told["facts"]["targets"]["age"]["columns"]["age"]["n"] == 120
    assert Image.open("own.png").width > 600 and {p.name for p in tmp_path.iterdir()} == {"runs", "own.png"}
    code, out, err = ran(capsys, "check", table, *options, "--plot", "own.png")
    assert code == 1 and not out and "a new file for --plot; found 'own.png' in place" in err
    frame.assign(split="mine", age=frame["age"].mask(frame.index == 5, "old")).to_csv(table, index=False)
    code, out, _ = ran(capsys, "check", table, *options)
    assert code == 1 and "would stop a training:\n  a split that is none of" in out and "next: mend these" in out
    code, out, _ = ran(capsys, "check", table, *options, "--json")
    assert code == 1 and json.loads(out)["counts"] == {"stop": 1, "leave out": 0, "note": 1}
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [f"check-my table-00{i}.png" for i in (1, 2, 3)]


def test_a_plot_is_written_by_its_ending_and_a_wrong_one_is_told_before_the_work(heads, tmp_path, capsys):
    folder, frame = heads
    frame.to_csv(folder / "p.csv", index=False)
    code, _, err = ran(capsys, "check", folder / "gone.csv", "--plot", tmp_path / "x.foo")
    assert code == 1 and "a file for a plot, ending in .png, .jpg" in err and "gone.csv" not in err
    how = ["--target", "age", "--fast", "--plot"]
    for ending, start in (("pdf", b"%PDF"), ("JPG", b"\xff\xd8"), ("svg", b"<?xml"), ("webp", b"RIFF")):
        assert ran(capsys, "check", folder / "p.csv", *how, tmp_path / f"x.{ending}")[0] == 0
        assert (tmp_path / f"x.{ending}").read_bytes().startswith(start)


def test_a_range_that_does_not_suit_deep_pictures_is_found(tmp_path, caplog):
    frame, rng = clean(tmp_path / "t", 3), np.random.default_rng(3)
    for name in frame["image"]:
        Image.fromarray(np.asarray(picture(rng).convert("L")).astype(np.uint16) * 16).save(tmp_path / "t" / name)
    found = finding(checked(tmp_path / "t", frame), "levels")
    assert found.level == "note" and "where 0 to 65535 is shown; try --range" in found.describe() and not caplog.records


def test_strict_stops_at_what_is_only_worth_knowing(heads, tmp_path, capsys):
    folder, frame = heads
    frame.assign(age=frame["age"].mask(frame.index == 5, 10**6)).to_csv(folder / "s.csv", index=False)
    how = ["check", folder / "s.csv", "--target", "age", "--out", tmp_path, "--fast"]
    assert ran(capsys, *how)[0] == 0 and ran(capsys, *how, "--strict")[0] == 1
    code, out, err = ran(capsys, "check", folder / "s.csv", "--target", "agee")
    assert code == 1 and not out and "'age'" in err


def test_a_built_in_task_is_checked_by_its_name(drawn, tmp_path):
    health, plot = functions.check("angle", data=drawn, out=tmp_path)
    assert health.issues == [] and health.facts["opened"] == 120 and plot == tmp_path / "check-angle-001.png"


def test_the_plot_has_a_chart_for_each_column_for_points_and_for_sizes(heads):
    folder, frame = heads
    health = checked(folder, frame)
    sheet = overview.draw_overview(health)
    assert [ax.get_xlabel().split(" ")[0].rstrip(":") for ax in sheet.axes] == ["age", "heading", "spot", "width"]
    assert sum(bar.get_height() for bar in sheet.axes[0].patches) == 120
    assert "nothing found" in sheet.get_suptitle() and sheet.legends[0].get_texts()[0].get_text() == "train (96)"
    odd = checked(folder, frame.assign(age=frame["age"].mask(frame.index == 5, 10**6)), fast=True)
    ages, *_, spots = overview.draw_overview(odd).axes
    assert sum(bar.get_height() for bar in ages.patches) == 119 and "1 far beyond" in ages.texts[0].get_text()
    assert spots.yaxis_inverted() and "px" in spots.get_xlabel()
