"""Fits of the workers' thresholds, weights and intervals: `python -m lab.calibrate` and its modules."""
