"""Shared by gateway and workers: settings, schemas, the job record, the clip store, queue names."""
