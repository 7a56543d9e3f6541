"""What a command line means: its words, the keys they set, the jobs of its sweep, and what is wrong with it."""
