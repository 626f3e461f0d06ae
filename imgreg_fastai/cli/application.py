"""The command line itself, and what its commands share."""
import json
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from .. import __version__
from ..utils.messages import SCREEN, ImgregError, shorten
from .options import PANELS, option

UsageError: Any = typer.BadParameter.__mro__[1]  # of click, or of the copy of click that typer has


class Commands(TyperGroup):
    """Commands of which each ends in one line when Ctrl-C stops it."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; exit 130 when it is interrupted, as a shell expects it, and 2 if its usage is wrong."""
        try:
            return super().invoke(ctx)
        except UsageError as e:
            raise _usage_error(e) from None
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None


def _usage_error(error: Any) -> typer.Exit:
    """Print what is wrong with the usage of a command as one line; returns the exit with status 2.

    Raises:
        ImgregError: It is the value of an option that is wrong, a mistake as any other.
    """
    command = f"imgreg {error.ctx.info_name}" if error.ctx and error.ctx.parent else "imgreg"
    wrong_value, is_choice, choices = error.message.partition(" is not one of ")
    if is_choice and getattr(error, "param", None):
        raise ImgregError(f"{error.param.opts[0]} {choices}".translate({ord("'"): "", ord("."): ""}),
                          wrong_value.rpartition("error, ")[2])
    line = shorten(error.format_message().rstrip("."), SCREEN // 2)
    typer.echo(f"imgreg: {line}; try {command} --help", err=True)
    return typer.Exit(2)


class PanelCommand(TyperCommand):
    """A command whose help lists its options by their rich_help_panel: rich itself takes 0.1 s to load."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, and the options of each panel under its name."""
        records: dict[str, list] = {name: [] for name in ("Arguments", *PANELS, "Options")}
        for param in self.get_params(ctx):
            panel = "Arguments" if param.param_type_name == "argument" else getattr(param, "rich_help_panel", None)
            records[panel or "Options"].append(param.get_help_record(ctx))
        for name, definitions in records.items():
            with formatter.section(name):
                formatter.write_dl(definitions)


app = typer.Typer(
    name="imgreg", cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    context_settings={"max_content_width": 120}, epilog="Begin with: imgreg train angle",
)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, option("version")] = False) -> None:
    """Turn images into numbers: train, evaluate, predict and export image regression."""
    if show:
        print(f"imgreg {__version__}")
        raise typer.Exit


def print_scores(name: str, scores: dict, where: str = "", counted: str = "images") -> None:
    """Print one target's scores: the mean error and that of guessing, each column, coverage of intervals, groups.

    Args:
        name: Of the target.
        scores: See evaluation.metrics.score.
        where: Added to the first line: " (valid)".
        counted: What scores["n"] counts, "images" or "groups".
    """
    from ..evaluation import coverage, metrics
    from ..utils.messages import first_few

    print(f"{metrics.format_score(name, scores)} on {scores['n']} {counted}{where}")
    if columns := metrics.format_columns(scores):
        print(f"  {columns}")
    if "coverage" in scores:
        print(f"  {coverage.format_coverage(scores['coverage'], scores['unit'])}")
        if "joint" in scores["coverage"]:
            print(f"  {coverage.format_joint_coverage(scores['coverage']['joint'], scores['unit'])}")
    if "groups" in scores:
        groups = [f"{g}: {metrics.format_value(s['mean'], scores['unit'])}" for g, s in scores["groups"].items()]
        print(f"  by group, worst first: {first_few(groups)}")
    if against_guessing := metrics.describe_guessing(scores["mean"], scores.get("baseline", 0.0)):
        print(f"  {against_guessing}")


def print_json(value: dict) -> None:
    """Print a value as one line of JSON."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))
