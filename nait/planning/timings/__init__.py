"""Times of the stages of a job, from rehearsals on few rows, updates and items."""
