"""Fusion: the estimators' waves become one pulse, and the gate decides whether it is reported."""
