"""What an evaluation measured, and the statistics of a difference between two methods."""
