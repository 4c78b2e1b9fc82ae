"""Models: the manifest of weights, and what loads, builds and runs each of them."""
