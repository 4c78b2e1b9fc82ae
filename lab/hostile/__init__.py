"""Hostile clips for the real decode path: a seeded corpus, and the trial that each file has to end well in.

`python -m lab.hostile` makes and tries one; `--seconds 3600` goes on with new mutations for an hour.
"""
