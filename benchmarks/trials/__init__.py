"""Techniques of training, compared on several data sets: python -m benchmarks.trials --help."""
