"""Age and gender from portraits, by several calibrated models."""
