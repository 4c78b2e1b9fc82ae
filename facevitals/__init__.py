"""The command line: `facevitals …`."""
