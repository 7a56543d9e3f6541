"""The Hugging Face Hub: whether it can be reached, and data sets fetched from it."""
