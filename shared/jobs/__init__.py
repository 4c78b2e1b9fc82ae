"""The job in the broker: records, scripts, messages, queues, workers' cards."""
