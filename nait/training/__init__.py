"""Fine-tuning: a recipe in, an adapter or a whole model out, the same bytes for the same seed."""
