"""Real trainings in processes of their own: killed, interrupted, on a disk that fills; each ends as a whole one."""
import os
import resource
import shutil
import signal
import subprocess
import time
from functools import partial

import numpy as np
import pytest

from benchmarks import resuming
from benchmarks.resuming import LAST, TRAIN, count_epochs, differences, ended, read_state, start, wait_until
from imgreg_fastai.training.checkpoint import read_checkpoint
from imgreg_fastai.utils.messages import SCREEN

pytestmark = pytest.mark.slow
MOMENTS = {"before the first checkpoint": lambda run: (run / "run.json").exists(),
           "in the second epoch": lambda run: count_epochs(run) >= 1,
           "while it is scored": lambda run: read_state(run) == "scoring"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with images and the run whole/angle-001."""
    folder = tmp_path_factory.mktemp("kills")
    resuming.draw(folder)
    resuming.train_whole(folder)
    return folder


def start_training(folder, out, arguments=TRAIN, prepare=None):
    return start([*arguments, "--data", str(folder / "data"), "--out", str(out)], out.parent / "log.txt", prepare)


def assert_resumed(folder, run, log):
    code, output = ended(start(["resume", str(run)], log), log)
    assert code == 0, output
    assert not differences(folder / "whole" / "angle-001", run)


@pytest.mark.parametrize("kind", range(5))
def test_a_training_that_is_killed_anywhere_and_resumed_ends_as_a_whole_one(folder, kind):
    rng = np.random.default_rng([14, kind])
    row = resuming.kill_and_resume(folder, resuming.draw_moment(rng, kind), rng, folder / "whole" / "angle-001")
    assert not row["differs in"], row


# ---- full disks


def assert_one_line(code, output, run, reason):
    *_, line = output.splitlines()
    assert code == 1 and "Traceback" not in output and len(line) <= SCREEN + len("imgreg: "), output
    assert reason in line and line.endswith(f"; try making room, then imgreg resume {run}"), output
    assert output.count("imgreg:") == 1, output


@pytest.mark.parametrize("moment", MOMENTS)
def test_files_that_reach_a_limit_while_a_training_runs_end_it_in_one_line(folder, tmp_path, moment):
    run, log = tmp_path / "runs" / "angle-001", tmp_path / "log.txt"
    process = start_training(folder, run.parent)
    wait_until(process, lambda: MOMENTS[moment](run))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    process.join(60)
    resumable = read_checkpoint(run)
    assert (resumable is None) == (moment == "before the first checkpoint")
    assert process.exitcode == 1 and (run / "history.csv").exists() != (resumable is None)
    assert_resumed(folder, run, log)


def limit_files():
    """Let this process write files of at most 3 MB: everything but a checkpoint."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))


def test_a_limit_from_the_start_stops_a_training_at_its_first_checkpoint(folder, tmp_path):
    run, log = tmp_path / "runs" / "angle-001", tmp_path / "log.txt"
    code, output = ended(start_training(folder, run.parent, prepare=limit_files), log)
    assert_one_line(code, output, run, f"'{run / LAST}': File too large")
    assert not list(run.rglob(".*"))
    assert_resumed(folder, run, log)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 32 MB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(disk)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk):
    """Write a file until the disk is full; returns it."""
    file = disk / "filler"
    with open(file, "wb", buffering=0) as f:
        try:
            while f.write(bytes(65536)):
                pass
        except OSError:
            return file


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_full_disk_ends_a_training_in_one_line_and_it_goes_on_after_room_is_made(folder, small_disk, tmp_path,
                                                                                   moment):
    run, log = small_disk / "runs" / "angle-001", tmp_path / "log.txt"
    process = start([*TRAIN, "--data", str(folder / "data"), "--out", str(run.parent)], log)
    wait_until(process, lambda: MOMENTS[moment](run))
    files = []
    while process.is_alive():  # what is renamed or removed makes room
        files.append(fill(small_disk).rename(small_disk / f"filler{len(files)}"))
        time.sleep(0.01)
    assert_one_line(*ended(process, log), run, "No space left on device")
    before = read_checkpoint(run)
    assert (before is None) == (moment == "before the first checkpoint")
    files.append(fill(small_disk))
    code, output = ended(start(["resume", str(run)], log), log)
    assert_one_line(code, output, run, "No space left on device")  # still full
    for file in files:
        file.unlink()
    assert_resumed(folder, run, log)


# ---- signals


def send_signal_in_step(number):
    """Let this process get a signal in the fourth step of its second epoch."""
    from imgreg_fastai.training import loop

    seed_step = loop.seed_step

    def sending(seed, epoch, batch):
        seed_step(seed, epoch, batch)
        if (epoch, batch) == (1, 3):
            os.kill(os.getpid(), number)

    loop.seed_step = sending


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_after_the_running_step_and_resume_goes_on(folder, tmp_path, number):
    run, log = tmp_path / "runs" / "angle-001", tmp_path / "log.txt"
    arguments = [*TRAIN, "--save-minutes", "10"]
    code, output = ended(start_training(folder, run.parent, arguments, partial(send_signal_in_step, number)), log)
    assert code == 130 and "Traceback" not in output, output
    assert output.splitlines()[-1].startswith(f"next: imgreg resume {run}"), output
    saved = read_checkpoint(run)
    assert (saved.progress.epoch, saved.progress.step_in_epoch) == (1, 4) and read_state(run) == "interrupted"
    assert_resumed(folder, run, log)


def take_long_steps():
    """Let each training step take a minute."""
    from imgreg_fastai.training import loop

    loop.seed_step = lambda *_: time.sleep(60)


def test_a_second_signal_ends_a_training_at_once(folder, tmp_path):
    run, log = tmp_path / "runs" / "angle-001", tmp_path / "log.txt"
    process = start_training(folder, run.parent, prepare=take_long_steps)
    wait_until(process, lambda: (run / "plots" / "batch.png").exists())
    time.sleep(1)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.is_alive()  # the step is to end
    before = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    code, output = ended(process, log)
    assert code == 130 and time.monotonic() - before < 10 and "Traceback" not in output, output
    assert_resumed(folder, run, log)
