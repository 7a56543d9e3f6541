"""Model folders, prompt templates, tokenization, batches, the anatomy of a decoder and its LM head."""
