"""LoRA adapters: attached to a model, saved, loaded, and added to its weights."""
