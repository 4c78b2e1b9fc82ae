"""The training of the project's own networks: `make test-train`; PyTorch is needed, and `make test` leaves them out."""
