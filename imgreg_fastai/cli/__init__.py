"""The verbs for the terminal: results go to stdout, everything else to stderr; exit 0, 1 (a mistake) or 2 (usage)."""
import logging
import shlex
import sys
import warnings

from ..utils.errors import ImgregError
from . import learning, using
from .app import app, tell

__all__ = ["app", "main"]


def _quieten() -> None:
    """Plain lines on stderr for what we say; fastai's two import-time warnings, and those alone, are not shown."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("imgreg").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning, message=r".*torch\.jit\.script.*")
    warnings.filterwarnings("ignore", message=r".*(Pandas4|copy_on_write|copy keyword).*")


def main(args: list[str] | None = None) -> None:
    """Run the command line; a mistake becomes one line on stderr and exit 1."""
    args = sys.argv[1:] if args is None else args
    if args and args[0] == "lr-find":  # a name with an underscore also answers to a dash
        args = ["lr_find", *args[1:]]
    _quieten()
    try:
        app(args, obj=shlex.join(["imgreg", *args]))
    except ImgregError as e:
        tell(f"imgreg: {e}")
        sys.exit(1)
