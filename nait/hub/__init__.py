"""The Hugging Face Hub (reachability, and data set splits fetched from it), and files at other URLs."""
