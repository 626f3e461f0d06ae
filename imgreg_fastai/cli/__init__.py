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
        print(f"imgreg: {e}", file=sys.stderr)
        sys.exit(1)
