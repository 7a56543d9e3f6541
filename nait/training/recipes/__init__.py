"""Fine-tuning recipes: the options of `conf/train`."""
