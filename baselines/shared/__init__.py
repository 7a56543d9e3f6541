"""What several baselines use: single-column score tables and the brief warm-up training."""
