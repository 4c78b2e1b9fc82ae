"""Traces, estimators, gate and vitals of the rppg branch."""
