"""Where the pulse's thresholds and error bars come from: `python -m lab.calibrate`."""
