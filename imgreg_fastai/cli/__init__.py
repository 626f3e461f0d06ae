"""The command line: results on stdout, all else on stderr; exit 0, 1 (a mistake), 2 (wrong usage) or 130 (Ctrl-C)."""
import logging
import shlex
import signal
import sys
import threading
import warnings

from ..utils.messages import ImgregError
from . import training_commands  # first in --help

# isort: split
from . import run_commands
from .application import app


def main(args: list[str] | None = None) -> None:
    """Run the command line; a mistake becomes one line on stderr and exit 1."""
    args = list(sys.argv[1:] if args is None else args)
    if args[:1] == ["lr-find"]:  # a name with an underscore may also be typed with a dash
        args[0] = "lr_find"
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("imgreg").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning, message=r".*torch\.jit\.script.*")  # fastai's imports
    warnings.filterwarnings("ignore", message=r".*(Pandas4|copy_on_write|copy keyword).*")
    if threading.current_thread() is threading.main_thread():  # Python allows no handler in others
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends a training as Ctrl-C does
    try:
        app(args, obj=shlex.join(["imgreg", *args]))
    except ImgregError as e:
        line = ImgregError(e.expected, e.actual) if was_typed(e.hint, args) else e
        print(f"imgreg: {line}", file=sys.stderr)
        sys.exit(1)


def was_typed(hint: str | None, args: list[str]) -> bool:
    """Tell whether a hint names what was typed already: `--images DIR` beside --images, or the very same command."""
    words = (hint or "").replace(",", " ").split()
    if not words or not words[0].startswith("--"):
        return words[:1] == ["imgreg"] and words[1:] == args
    typed = [word for arg in args for word in (arg.split("=", 1) if arg.startswith("--") else [arg])]
    if words[0] not in typed or words[1:2] in (["with"], ["of"]):  # "--image-col with one of 'a', 'b'" corrects it
        return False
    value = typed[typed.index(words[0]) + 1 :][:1]
    is_name = bool(words[1:]) and words[1].isupper() and not words[1].isdigit()
    return not words[1:] or is_name or words[1:2] == value
