"""The second renderer of the world."""
