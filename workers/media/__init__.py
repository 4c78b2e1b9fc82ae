"""Decoding of uploads into frames with presentation times, within budgets."""
