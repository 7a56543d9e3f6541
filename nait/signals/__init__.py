"""Every forward and backward pass made for selection."""
