"""A pass over a pool: batches read, chunks written, work shared among processes."""
