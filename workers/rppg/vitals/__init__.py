"""Vitals of the pulse: one module each, with the name of the vital. An accepted pulse becomes a vital, or a reason."""
