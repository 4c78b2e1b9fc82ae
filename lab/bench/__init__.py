"""Measured reports: `facevitals bench …`."""
