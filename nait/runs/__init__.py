"""One run: jobs are built from a config, taken through the stages, and recorded."""
