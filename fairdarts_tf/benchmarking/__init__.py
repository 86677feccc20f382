"""Time, start-up and memory of search, training and inference on this machine, beside a PyTorch peer."""
