"""Forward passes: activations, outputs, prefix caching and packing."""
