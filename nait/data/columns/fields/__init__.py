"""Fields of a row: question and answer, options, input, system text, and what excludes a row."""
