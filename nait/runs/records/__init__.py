"""Records of a run: its manifest `run.json`, its entry in the store, its phases, and its plan's accuracy."""
