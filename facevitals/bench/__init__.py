"""Load, chaos, burst and flood measurements on a running service. Measurements on clips are in `lab.bench`."""
