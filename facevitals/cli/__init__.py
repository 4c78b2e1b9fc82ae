"""The `facevitals` command."""
