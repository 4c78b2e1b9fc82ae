"""Faces and a tracker, shared with the tests of media."""

from tests.unit.media.conftest import astronaut, tracker

__all__ = ["astronaut", "tracker"]
