"""The one prompt template of the world: pretraining, pools, fine-tuning and evaluation all use it."""

from __future__ import annotations

# Alpaca's template without its preamble, the same in every row, which would make rows half as long again.
WITH_INPUT = "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
WITHOUT_INPUT = "### Instruction:\n{instruction}\n\n### Response:\n"


def prompt(instruction: str, given: str = "") -> str:
    """The text a model reads before it answers."""
    if given:
        return WITH_INPUT.format(instruction=instruction, input=given)
    return WITHOUT_INPUT.format(instruction=instruction)
