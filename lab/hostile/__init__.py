"""Hostile clips for the real decode path: a seeded corpus, and a probe that each file is decoded in.

`python -m lab.hostile` runs it; `--seconds 3600` continues with new mutations for an hour.
"""
