"""Controls and references: random rows, the longest rows, the untrained model and the whole pool."""
