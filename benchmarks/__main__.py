"""Runs the benchmarks on this machine and prints them as Markdown: python -m benchmarks --help."""
import argparse
import json
import os
import platform
from pathlib import Path

from imgreg_fastai import runs

QUICK = "small data and one round: it tests that everything runs; the numbers mean nothing"


def throughput(args):
    from . import throughput

    return throughput.measure(1, n=72, bs=16) if args.quick else throughput.measure(args.rounds)


def time_to_1(args):
    from . import throughput

    return throughput.time_to(1.0, 1, n=100, epochs=1) if args.quick else throughput.time_to(1.0, min(args.rounds, 3))


def starting(args):
    from . import throughput

    return throughput.starting(1 if args.quick else 2 * args.rounds)


def drawing(args):
    from . import drawing

    return drawing.measure(1, 100, 3) if args.quick else drawing.measure(args.rounds)


def classical(args):
    from . import classical, question

    return classical.measure(*question.pictures(5 if args.quick else 200, 12345))


def accuracy(args):
    from . import accuracy

    return accuracy.measure(args.run, n=10 if args.quick else 500, epochs=1 if args.quick else args.epochs,
                            quick=args.quick)


def pointing(args):
    from . import pointing

    return pointing.measure(args.quick)


def few_groups(args):
    from . import few_groups

    return few_groups.measure(args.quick)


def keypoints(args):
    from . import keypoints

    return keypoints.measure(args.quick)


def coverage(args):
    from . import coverage

    return coverage.measure(args.quick)


def new_people(args):
    from . import new_people

    return new_people.measure(args.quick)


def merging(args):
    from . import merging

    return merging.measure(args.quick)


def resuming(args):
    from . import resuming

    return resuming.measure(5 if args.quick else 20)


def headpose(args):
    from . import headpose

    return headpose.measure(args.quick)


PARTS = {
    "throughput": throughput, "time_to_1": time_to_1, "help": starting, "drawing": drawing, "classical": classical,
    "accuracy": accuracy, "headpose": headpose, "pointing": pointing, "keypoints": keypoints,
    "coverage": coverage, "new_people": new_people, "few_groups": few_groups, "merging": merging, "resuming": resuming,
}


def machine() -> dict:
    """Describe the machine and the versions that the numbers depend on."""
    import torch

    from imgreg_fastai.training.precision import has_bfloat16

    model = platform.processor()
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        lines = [line for line in cpu_info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    return {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "processor": model,
            "bfloat16": has_bfloat16(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none", **runs.versions()}


def markdown(rows: list[dict]) -> str:
    """Format rows as a Markdown table; its columns are all keys, in the order of their first row."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([_text(row.get(name, "")) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def parse(args=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure imgreg on this machine.")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="number of repetitions; medians are reported")
    parser.add_argument("--quick", action="store_true", help=QUICK)
    parser.add_argument("--run", help="measure the accuracy of this run, instead of training one")
    parser.add_argument("--epochs", type=int, help="epochs of the training for accuracy; default: the task's own")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    args = parser.parse_args(args)
    args.only = [part.strip() for part in args.only.split(",")]
    unknown = [part for part in args.only if part not in PARTS]
    if unknown or args.rounds < 1:
        parser.error(f"--only takes {', '.join(PARTS)} and --rounds at least 1")
    return args


def main():
    args = parse()
    results = {"machine": machine(), "quick": args.quick}
    print(markdown([{"machine": name, "": value} for name, value in results["machine"].items()]), flush=True)
    if args.quick:
        print(f"\n--quick: {QUICK}.")
    for part in args.only:
        results[part] = PARTS[part](args)
        print(f"\n{part}\n\n{markdown(results[part])}", flush=True)
        if args.out:  # after each part, so that an interruption costs one
            args.out.write_text(json.dumps(results, indent=2, default=float) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
