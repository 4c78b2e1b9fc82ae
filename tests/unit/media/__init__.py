"""Tests of decoding and face tracking on encoded video."""
