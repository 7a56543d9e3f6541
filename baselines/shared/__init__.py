"""Parts that several baselines share: single-column score tables and Cherry's warm-up."""
