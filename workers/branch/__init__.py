"""What a branch gives back, and what an exception means for it."""
