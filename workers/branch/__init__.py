"""The result of a branch, its progress callbacks, and the outcome of a branch that failed."""
