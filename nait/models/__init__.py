"""Model folders, prompt templates, tokenization, batches, and the anatomy of a decoder."""
