"""Age and gender of portraits: several models, calibrated, one answer."""
