"""Tests of the installed wheel: `make test-wheel`."""
