"""Whether a living person sits before the camera."""
