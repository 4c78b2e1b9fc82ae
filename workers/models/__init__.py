"""The manifest of weights, and how each becomes something that runs."""
