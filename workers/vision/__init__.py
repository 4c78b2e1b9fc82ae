"""What a face's looks answer: age and gender; each question a module."""
