"""Evaluation by a server: an OpenAI-compatible completions endpoint, or vLLM started in its own environment."""
