"""How good the predictions are: metrics, calibration, coverage, baselines, comparisons, learning curves."""
