"""The language model of an evaluation: prompts in its chat template, and the limits of its context and answers."""
