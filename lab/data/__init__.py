"""Recordings to train and to measure on: clips with the pulse that was recorded beside them."""
