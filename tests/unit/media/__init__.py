"""Clip and face: real encoded video, real frames."""
