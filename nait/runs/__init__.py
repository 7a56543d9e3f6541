"""One run of the harness: its jobs, built from a config and taken through the stages."""
