"""One worker process, and its run of a branch of a job from claim to outcome."""
