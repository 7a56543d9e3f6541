"""Several processes of one command: how they start, and how they share a job's training and evaluation."""
