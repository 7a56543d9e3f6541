"""Trackers: local files always, Weights & Biases on request. A tracker never stops a run."""
