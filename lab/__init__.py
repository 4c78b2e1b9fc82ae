"""What a scientist runs: the simulator, training, measurement. Nothing here serves a request."""
