"""Import of the PyTorch checkpoints of the authors."""
