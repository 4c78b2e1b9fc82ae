"""Traces of a face, the estimators of its pulse, and the vitals that the pulse carries."""
