"""Tests of what is reported in rendered clips that nothing was fitted to (`make test-world`)."""
