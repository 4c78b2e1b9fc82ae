"""Faces and a tracker, as the tests of the clip's way have them."""

from tests.unit.media.conftest import astronaut, tracker

__all__ = ["astronaut", "tracker"]
