"""Validation: layouts, references, numbers, and the whole command on small folders."""
