"""Load, chaos and bursts on a service that is started for it."""
