"""Weights & Biases: the tracker, its folders, saved views, and records pulled from a project."""

import os

# The client's reports of its own errors: a server that does not take them would hold up the end of the process.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
