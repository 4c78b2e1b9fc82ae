"""Training of the project's own networks; needs PyTorch (`make train-environment`)."""
