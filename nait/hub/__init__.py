"""The Hugging Face Hub: reachability, and data set splits fetched from it."""
