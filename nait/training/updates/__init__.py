"""The rows of one update: split into micro-batches, and turned into the gradient of their mean loss."""
