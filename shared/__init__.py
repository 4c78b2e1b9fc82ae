"""What gateway and workers both speak: settings, schemas, the job record, the clip store, queue names."""
