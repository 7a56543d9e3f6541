"""Fine-tuning recipes: LoRA and full, reproducible by seed."""
