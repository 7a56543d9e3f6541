"""Where a run is logged: files always, W&B on request. Nothing here may stop a run."""
