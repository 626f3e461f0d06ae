"""Does the trials that are not in benchmarks/trials.csv yet, and adds a row to it after each."""
import argparse
import math
import tempfile
import time
from pathlib import Path

from . import data_sets, table, techniques

SCREENED = ("gauges", "pointing")


def trainings(args: argparse.Namespace) -> list[table.Trial]:
    """The trials that the command line names, the quickest answers first: all techniques, then another fold or seed."""
    return [table.Trial(technique, name, fold, seed, epochs)
            for name in args.data for seed in args.seeds for fold in data_sets.DATA_SETS[name].folds
            for epochs in [args.epochs or data_sets.DATA_SETS[name].epochs // (2 if args.screen else 1)]
            for technique in args.techniques]


def run(trials: list[table.Trial], file: Path, minutes: float) -> None:
    """Do trials that have no result yet, and begin none after so many minutes; a data set is drawn or read once."""
    from .training import train

    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        frames = {}
        for trial in trials:
            data = data_sets.DATA_SETS[trial.data]
            if time.monotonic() > end or trial in table.done(table.read(file)):
                continue
            if not data_sets.is_available(data):
                print(f"left out: {trial.data}, without IMGREG_REAL_DATA", flush=True)
                continue
            if trial.data not in frames:
                frames[trial.data] = data_sets.labels(trial.data, Path(folder))
            results = train(trial, data, frames[trial.data])  # {} if the technique does not apply here
            for technique, result in results.items():
                measured = trial._replace(technique=technique)
                if measured not in table.done(table.read(file)):
                    table.append(measured, result, file)
                    print(*measured, result.errors, f"{result.score:.4f}", f"{result.seconds:.0f} s", flush=True)


def parse(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trials", description=__doc__)
    parser.add_argument("--screen", action="store_true", help="half length, one seed, gauges and pointing")
    parser.add_argument("--data", type=_names(data_sets.DATA_SETS), help=f"; of {', '.join(data_sets.DATA_SETS)}")
    parser.add_argument("--techniques", type=_names(techniques.TECHNIQUES), help="default: all")
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in text.split(",")], help="default: 0,1,2")
    parser.add_argument("--epochs", type=int, help="default: those of the data set")
    parser.add_argument("--file", type=Path, default=table.FILE, help="default: %(default)s")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no trial after so many")
    parser.add_argument("--show", action="store_true", help="train nothing, print the table of docs/benchmarks.md")
    args = parser.parse_args(args)
    args.data = args.data or (SCREENED if args.screen else tuple(data_sets.DATA_SETS))
    args.techniques = args.techniques or tuple(techniques.TECHNIQUES)
    args.seeds = args.seeds or ([0] if args.screen else [0, 1, 2])
    return args


def _names(known):
    def read(text):
        names = tuple(name.strip() for name in text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"'{unknown[0]}' is none of {', '.join(known)}")
        return names
    return read


def main() -> None:
    args = parse()
    if not args.show:
        run(trainings(args), args.file, args.minutes)
    about = {name: technique.about for name, technique in techniques.TECHNIQUES.items()}
    print(table.markdown(table.read(args.file), about))


if __name__ == "__main__":
    main()
