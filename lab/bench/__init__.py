"""Measured reports on clips and portraits: `facevitals bench speed` and `accuracy`, and `python -m lab.bench.…`."""
