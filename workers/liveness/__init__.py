"""Liveness: whether a living person or a picture of one is before the camera."""
