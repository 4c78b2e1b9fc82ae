"""Estimators' waves become one pulse, and whether to believe it."""
