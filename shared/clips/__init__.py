"""The clip store: encryption, writers, clean-up."""
