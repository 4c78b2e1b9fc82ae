"""Logging, redaction, tracing and metrics."""
