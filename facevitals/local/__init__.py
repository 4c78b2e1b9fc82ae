"""A whole service on this machine: broker, processes, isolated settings."""
