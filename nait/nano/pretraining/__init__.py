"""Pretraining of the embedded model: text, tokenizer, training run, model card."""
