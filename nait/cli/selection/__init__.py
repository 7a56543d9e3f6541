"""Selections as objects, files, texts and explanations: what `nait select` and `nait.select` have in common."""
