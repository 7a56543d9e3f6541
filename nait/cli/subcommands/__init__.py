"""The commands of `nait`: one module each, which imports nothing heavy until its command runs."""
