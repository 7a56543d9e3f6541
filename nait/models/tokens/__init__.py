"""Tokenization, encoding, batches and the KV cache of a prefix."""
