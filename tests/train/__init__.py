"""Training of the project's own networks: `make test-train`. It needs PyTorch, so `make test` leaves it out."""
