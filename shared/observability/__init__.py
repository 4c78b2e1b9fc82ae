"""Logs, redaction, traces, metrics."""
