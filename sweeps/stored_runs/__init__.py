"""What a store holds: run records, selections and costs."""
