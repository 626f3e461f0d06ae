"""New folders and files with the next free number in their names."""
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from .errors import ImgregError, error_reason


def new_folder(parent: Path, name: str, always: bool = False) -> Path:
    """Make a folder PARENT/NAME, or PARENT/NAME-NNN if there is one.

    Args:
        parent: Made if it does not exist.
        name: Of the folder.
        always: Whether the name always has a number, from NAME-001.

    Raises:
        ImgregError: If it cannot be made.
    """
    return _claim(parent, name, ("",), always, Path.mkdir)


@contextmanager
def new_files(folder: Path, name: str, *suffixes: str) -> Iterator[list[Path]]:
    """Claim the paths FOLDER/NAME-NNN of new files, which are written in the block and removed if it fails.

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
    """Create a path that nothing has yet; takes the next one if another process creates it first."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            path = folder / _unused_name(folder, name, suffixes, always)
            try:
                create(path)
                return path
            except FileExistsError:
                continue
    except OSError as e:
        raise ImgregError("a folder that can be written", f"'{folder}': {error_reason(e)}", "--out DIR") from e


def _unused_name(folder: Path, name: str, suffixes: tuple[str, ...], always: bool) -> str:
    """Return NAME, or NAME-NNN with a number higher than that of any file in the folder with one of the suffixes."""
    numbers = [0 if always or not (folder / name).exists() else 1]
    for suffix in suffixes:
        for path in folder.glob(f"{escape(name)}-*{escape(suffix)}"):
            number = path.name.removesuffix(suffix)[len(name) + 1 :]
            if number.isdigit():
                numbers.append(int(number))
    number = max(numbers) + 1
    return f"{name}-{number:03}" if always or number > 1 else name
