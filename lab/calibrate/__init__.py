"""Fits of the workers' thresholds, weights and intervals: each module is a command."""
