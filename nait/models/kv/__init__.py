"""Key-value caches: a prefix shared by rows, rows that continue it, and the prefixes that a set of rows shares."""
