"""Which columns of a row hold the instruction, the answer and the rest."""
