"""The world's prompt template, used in pretraining, pools, fine-tuning and evaluation."""

from __future__ import annotations

# Alpaca's template without its constant preamble, which would make rows 50 % longer.
WITH_INPUT = "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
WITHOUT_INPUT = "### Instruction:\n{instruction}\n\n### Response:\n"


def prompt(instruction: str, given: str = "") -> str:
    """The text in front of the answer."""
    if given:
        return WITH_INPUT.format(instruction=instruction, input=given)
    return WITHOUT_INPUT.format(instruction=instruction)
