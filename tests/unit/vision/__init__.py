"""Age and gender: what the models say, and when nothing is said."""
