"""The supernet's arithmetic in C: what a graph of operations carries through memory piece by piece, in few passes."""
