"""The simulator: physiology, clips, kinds."""
