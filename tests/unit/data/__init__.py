"""Recordings to train and to measure on."""
