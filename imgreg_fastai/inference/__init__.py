"""The one inference path: predictor, conformal intervals, test-time augmentation, ensembles, output tables."""
