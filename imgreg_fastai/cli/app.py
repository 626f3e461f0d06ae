"""The command line itself, and what its verbs share."""
import sys

import typer

from .. import __version__
from . import options as o

app = typer.Typer(
    name="imgreg", no_args_is_help=True, add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Turn pictures into numbers: train, evaluate, predict and export image regression.",
    epilog="Begin with: imgreg train angle",
)


@app.callback(invoke_without_command=True)
def version(show: o.Version = False):
    """Turn pictures into numbers: train, evaluate, predict and export image regression."""
    if show:
        print(f"imgreg {__version__}")
        raise typer.Exit


def print_scores(name: str, numbers: dict, where: str = "", judged: str = "pictures") -> None:
    """Print one target's scores: the mean beside guessing, each column, what its intervals hold, the worst groups."""
    from ..evaluation import coverage, metrics

    print(f"{metrics.format_score(name, numbers)} on {numbers['n']} {judged}{where}")
    if columns := metrics.format_columns(numbers):
        print(f"  {columns}")
    if "coverage" in numbers:
        print(f"  {coverage.format_coverage(numbers['coverage'], numbers['unit'])}")
    if groups := numbers.get("groups"):
        worst = ", ".join(f"{g}: {metrics.format_value(s['mean'], numbers['unit'])}" for g, s in list(groups.items())[:5])
        print(f"  by group, worst first: {worst}" + (f" and {len(groups) - 5} more" if len(groups) > 5 else ""))


def tell(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)
