"""Files and folders that are written completely or not at all, and new ones with the next free number."""
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakSet

from .messages import ImgregError, error_reason, say

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the last one: the limit that `ulimit -f` sets
LOCKED = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)  # what lock_file fails with where another process has the lock
OTHER_PLACE, SAME_AGAIN = "another --out", "making room, then the same again"  # hints
LOCK, SETTINGS = "lock", "settings.json"  # in a folder .NAME-part


def is_full_disk(error: BaseException) -> bool:
    """Tell whether an error, or what an ImgregError was raised from, is that of a full disk."""
    cause = error.__cause__ if isinstance(error, ImgregError) else error
    return isinstance(cause, OSError) and cause.errno in FULL_DISK


@contextmanager
def atomic_file(path: str | Path, hint: str = OTHER_PLACE) -> Iterator[Path]:
    """Write a file so that a reader sees the old file or the complete new one.

    Args:
        path: The file to write. Its folder is created if needed.
        hint: What the user can do about an error.

    Yields:
        A temporary file beside `path` to write to. It replaces `path` when the block ends without an error, and
        is deleted otherwise.

    Raises:
        ImgregError: If `path` cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as e:
        # torch.save reports a full disk by a RuntimeError that names this C++ file.
        if isinstance(e, RuntimeError) and "inline_container" not in str(e):
            raise
        reason = getattr(e, "strerror", None) or "torch could not write it; is the disk full?"
        if is_full_disk(e) and hint == OTHER_PLACE:
            hint = SAME_AGAIN
        raise ImgregError("a place that can be written", f"'{path}': {reason}", hint) from e


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    return sha256(Path(path).read_bytes()).hexdigest()


def flush(path: Path) -> None:
    """Wait until a file, or the names of a folder, are on the disk, so that they survive a power cut."""
    if path.is_dir() and sys.platform == "win32":  # where a folder cannot be opened
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove what `atomic_file`, and safetensors within it, leave in a folder when their process is killed."""
    for file in folder.glob(".*"):
        if re.fullmatch(r"\..+\.\d+|\.tmp\w{6}", file.name) and file.is_file():
            file.unlink(missing_ok=True)


_locked_files: WeakSet[BinaryIO] = WeakSet()


def _close_locked_files() -> None:
    """In a forked process, close what this one has locked: or the lock would outlive it as long as the other lives."""
    for file in list(_locked_files):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_locked_files)


def lock_file(file: BinaryIO) -> None:
    """Lock a file until it is closed or this process ends, however it ends; raises OSError if it is locked already.

    A file that is open for reading only is locked for writers, not for other readers: several processes can look at
    once whether a run is training. The number of a process would not do: after a power cut another may have it.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # beyond its end, so that others can read it
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        kind = fcntl.LOCK_EX if file.writable() else fcntl.LOCK_SH
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    _locked_files.add(file)


def has_content(folder: str | Path) -> bool:
    """Return whether `folder` is a folder that is not empty."""
    folder = Path(folder)
    return folder.is_dir() and any(folder.iterdir())


@contextmanager
def atomic_folder(path: str | Path, purpose: str, hint: str | None = None,
                  settings: dict[str, Any] | None = None) -> Iterator[Path]:
    """Fill a new or empty folder completely or not at all.

    Args:
        path: The folder to fill.
        purpose: What the folder is for, in the words of the messages: "draw into".
        hint: What the user can do about an error.
        settings: What the content depends on, as JSON can hold it. With it, what a block has written is kept when the
            block breaks off, and yielded to the next one with the same settings.

    Yields:
        A temporary folder `all` to write to; it lies in a folder .NAME-part beside `path`, where notes about it have
        room. When the block ends without an error it becomes `path`, or its content moves to `path`. It is deleted
        otherwise, unless there are settings.

    Raises:
        ImgregError: If `path` is a file or a folder that is not empty, if another process is filling it, or if
            something cannot be written.
    """
    target = Path(path).resolve()
    part = target.parent / f".{target.name}-part"
    _check_unused(target, purpose, hint, str(path))
    if not (part / LOCK).is_file():  # not by imgreg
        _check_unused(part, purpose, hint)
    try:
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (part / LOCK).open("ab") as lock:
            _lock_folder(lock, part / LOCK, purpose, str(path))
            _check_unused(target, purpose, hint, str(path))  # another process may just have filled it
            is_complete = False
            try:
                yield _begin_part(part, settings)
                _move_into(part, target)
                is_complete = True
            finally:
                if is_complete or settings is None:
                    _remove_part(part, lock)
    except OSError as e:
        if is_full_disk(e):
            hint = SAME_AGAIN
        raise ImgregError(f"a folder that can be written, to {purpose}", f"'{target}': {error_reason(e)}", hint) from e


def _check_unused(folder: Path, purpose: str, hint: str | None, name: str = "") -> None:
    """Raise ImgregError, which calls it `name`, if there is such a file, or such a folder that is not empty."""
    if has_content(folder) or folder.is_file():
        expected = f"a new or empty folder to {purpose}, so that nothing is lost"
        raise ImgregError(expected, f"'{name or folder}' in use", hint)


def _lock_folder(lock: BinaryIO, path: Path, purpose: str, name: str) -> None:
    """Lock the file of a folder .NAME-part; raise ImgregError if another process has it, or has just removed it."""
    is_ours = True
    try:
        lock_file(lock)
    except OSError as e:
        is_ours = e.errno not in LOCKED  # there are file systems without locks
    if not (is_ours and path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat())):
        raise ImgregError(f"a folder to {purpose} that no other process is filling",
                          f"'{name}', which one is filling now", "the same again when that one has ended")


def _begin_part(part: Path, settings: dict[str, Any] | None) -> Path:
    """Return the folder `all` of a .NAME-part: with what is in it if that was written with these settings, else new."""
    folder, file, text = part / "all", part / SETTINGS, json.dumps(settings, indent=1, sort_keys=True)
    earlier = file.read_text(encoding="utf-8") if file.is_file() and folder.is_dir() else None
    if settings is None or text != earlier:
        if settings is not None and earlier is not None:
            say(f"'{part}' was begun with other settings or another version: it begins anew")
        _empty_part(part)
        folder.mkdir()  # it has the permissions of any new folder; `part` is closed to other users
        file.write_text(text, encoding="utf-8")  # a write cut short differs from any settings
    return folder


def _empty_part(part: Path) -> None:
    """Delete all that is in a .NAME-part but its lock."""
    (part / SETTINGS).unlink(missing_ok=True)  # without them the rest counts for nothing, if this breaks off
    for child in part.iterdir():
        if child.is_dir():
            shutil.rmtree(child)
        elif child.name != LOCK:
            child.unlink()


def _remove_part(part: Path, lock: BinaryIO) -> None:
    """Delete a .NAME-part; what cannot be deleted is emptied the next time."""
    with suppress(OSError):
        _empty_part(part)
        if sys.platform == "win32":
            lock.close()  # an open file cannot be deleted there
        (part / LOCK).unlink()  # last: it says that the folder is imgreg's
        part.rmdir()


def _move_into(part: Path, target: Path) -> None:
    """Move what a .NAME-part holds to its place."""
    folder = part / "all"
    if target.is_dir():
        (part / SETTINGS).unlink()  # from here on, what is left in it is no longer all
        # Children move one by one, as the target may be the current folder. Files move last: where a labels
        # table is, all of its images are.
        for child in sorted(folder.iterdir(), key=Path.is_file):
            child.rename(target / child.name)
    else:
        folder.rename(target)


def new_folder(parent: Path, name: str, always: bool = False) -> Path:
    """Make a folder PARENT/NAME, or PARENT/NAME-NNN if there is one.

    Args:
        parent: Made if it does not exist.
        name: The name of the folder.
        always: Whether the name always has a number, from NAME-001.

    Returns:
        The folder.

    Raises:
        ImgregError: If it cannot be made.
    """
    return _claim(parent, name, ("",), always, Path.mkdir)


@contextmanager
def new_files(folder: Path, name: str, *suffixes: str) -> Iterator[list[Path]]:
    """Claim the paths FOLDER/NAME-NNN of new files, which are written in the block and removed if it fails.

    Args:
        folder: Made if it does not exist.
        name: The name of the files, without number and suffix.
        *suffixes: The suffix of each file, such as ".html".

    Yields:
        A path for each suffix, all with the same number.

    Raises:
        ImgregError: If the folder cannot be written.
    """
    stem = _claim(folder, name, suffixes, True, lambda path: Path(f"{path}{suffixes[0]}").touch(exist_ok=False))
    paths = [Path(f"{stem}{suffix}") for suffix in suffixes]
    try:
        yield paths
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def _claim(folder: Path, name: str, suffixes: tuple[str, ...], always: bool, create: Callable[[Path], None]) -> Path:
    """Create FOLDER/NAME-NNN with a number higher than that of any file or folder that ends in one of the suffixes.

    The first one has no number, unless it is to have one `always`. If another process creates the path first, the next
    number is tried.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        numbers = [0]
        if not always and (folder / name).exists():
            numbers.append(1)
        for suffix in suffixes:
            for path in folder.glob(f"{escape(name)}-*{escape(suffix)}"):
                ending = path.name.removesuffix(suffix)[len(name) + 1 :]
                if ending.isdecimal():
                    numbers.append(int(ending))
        number = max(numbers)
        while True:
            number += 1
            path = folder / (f"{name}-{number:03}" if always or number > 1 else name)
            with suppress(FileExistsError):
                create(path)
                return path
    except OSError as e:
        raise ImgregError("a folder that can be written", f"'{folder}': {error_reason(e)}", OTHER_PLACE) from e
