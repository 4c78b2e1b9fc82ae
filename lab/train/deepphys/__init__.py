"""DeepPhys: its network in PyTorch, rendered and recorded examples, training and evaluation."""
