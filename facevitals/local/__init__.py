"""A whole service on this machine: broker, processes, settings of its own."""
