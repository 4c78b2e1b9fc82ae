"""One worker process, and how it carries a branch of a job from claim to outcome."""
