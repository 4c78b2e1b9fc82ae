"""Frames become a tracked face: mesh, skin, crops, portraits, patches, and the checks on all of it."""
