"""Simulator, training, calibration and measurement. The service does not import this package."""
