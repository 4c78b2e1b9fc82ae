"""What runs behind the queues: an upload becomes frames, a tracked face, traces, vitals."""
