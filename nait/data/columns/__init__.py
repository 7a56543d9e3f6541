"""Column layouts: which columns of a row hold the instruction, the answer and other fields."""
