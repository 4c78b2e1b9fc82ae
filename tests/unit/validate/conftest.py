"""Faces, shared with the tests of media."""

from tests.unit.media.conftest import astronaut

__all__ = ["astronaut"]
