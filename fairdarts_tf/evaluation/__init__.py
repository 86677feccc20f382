"""How well a found network tells images apart: accuracy, loss, scores of each class, and the confusion matrix.

`evaluate_run` does it all for a run's directory; `evaluate` takes a network and images; `measure` takes arrays.
"""
