"""Images that are drawn in chunks: a drawing that broke off goes on with the chunks that are missing."""
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.files import FULL_DISK, atomic_folder
from ...utils.messages import ImgregError, say
from .processes import run_in_processes


class Chunk(NamedTuple):
    """Images that one call draws.

    Attributes:
        n: The number of images.
        arguments: Of the function that draws them, after the folder.
    """

    n: int
    arguments: tuple


@dataclass(frozen=True)
class Drawing:
    """A folder that is being filled with images.

    A chunk counts as drawn when its record is there: a file with what the function that drew it returned, written by
    the process that drew it. Files of a chunk without a record are written again, with the same content.

    Attributes:
        folder: The folder to write to.
        chunks: All of its chunks.
    """

    folder: Path
    chunks: list[Chunk]

    def record(self, i: int) -> Path:
        """Return the path of the record of chunk number `i`."""
        return self.folder.with_name("chunks") / f"{i}.json"

    @property
    def n_drawn(self) -> int:
        """The number of images that are drawn."""
        return sum(chunk.n for i, chunk in enumerate(self.chunks) if self.record(i).is_file())

    @property
    def progress(self) -> str:
        """How far it is: "4,300 of 10,000 images"."""
        return f"{self.n_drawn:,} of {sum(chunk.n for chunk in self.chunks):,} images"

    def draw(self, function: Callable, jobs: int | None, description: str) -> list:
        """Draw the chunks that are missing.

        Args:
            function (callable): a function of a module: (folder, *arguments of a chunk) -> a value for JSON.
            jobs (int or None): the number of processes; None: one for each core.
            description (str): the text before the progress bar.

        Returns:
            list: the values of all chunks, in order.
        """
        records = [self.record(i) for i in range(len(self.chunks))]
        records[0].parent.mkdir(exist_ok=True)
        calls = [(function, record, self.folder, *chunk.arguments)
                 for record, chunk in zip(records, self.chunks, strict=True) if not record.is_file()]
        for _ in run_in_processes(_draw_chunk, calls, jobs, description, n_complete=len(records) - len(calls)):
            pass
        return [json.loads(record.read_text(encoding="utf-8")) for record in records]


@contextmanager
def drawing_folder(out: str | Path, chunks: list[Chunk], **settings: Any) -> Iterator[Drawing]:
    """Draw into a folder that appears when it is complete. What is drawn is kept for the next call if this one ends.

    Args:
        out (str or Path): a new or empty folder.
        chunks (list of Chunk): what is to be drawn.
        **settings: what the images depend on, beside the versions of imgreg and of the libraries.

    Yields:
        Drawing: the drawing, begun or continued.

    Raises:
        ImgregError: if `out` is in use or cannot be written, or the disk is full.
    """
    with atomic_folder(out, "draw into", "--out with another name", settings | {"versions": _versions()}) as folder:
        drawing = Drawing(folder, chunks)
        if drawing.n_drawn:
            say(f"{drawing.progress} are drawn already: going on from there")
        try:
            yield drawing
        except KeyboardInterrupt:
            if drawing.n_drawn:
                say(f"{drawing.progress} are drawn, in '{folder.parent}': the same command goes on from there")
            raise
        except OSError as e:
            if e.errno not in FULL_DISK:
                raise
            raise ImgregError(f"room on the disk for '{out}'", f"it full after {drawing.progress}: '{folder.parent}'",
                              "making room, then the same again: it goes on from there") from e


def _draw_chunk(function: Callable, record: Path, folder: Path, *arguments: Any) -> None:
    """Draw a chunk, then write its record, completely or not at all."""
    value = function(folder, *arguments)
    temporary = record.with_suffix(".tmp")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    os.replace(temporary, record)


def _versions() -> dict[str, str]:
    """What images depend on beside their settings: this code, and the libraries that draw and encode them."""
    code = sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(file.read_bytes())
    return {"code": code.hexdigest(), **{name: version(name) for name in ("numpy", "pillow", "scipy")}}
