"""Results of evaluations, and the statistics of a difference between two methods."""
