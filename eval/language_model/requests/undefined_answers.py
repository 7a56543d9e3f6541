"""Answers that are not numbers (NaN), as of a network whose activations overflow: an error.

Of NaN or infinite logits, the first counts as the largest: every multiple-choice answer would be the first option,
and every generated token one of the first of the vocabulary. The model would seem weak, not broken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nait.core.errors import ModelError

if TYPE_CHECKING:
    import torch


def undefined(what: str) -> ModelError:
    """The error for answers that are not numbers. `what`: which ones."""
    return ModelError(
        f"{what} not a number (NaN): the network overflows",
        where="evaluate",
        fix="Set model.dtype=float32 or bfloat16. If it was trained, lower train.learning_rate.",
    )


def check_rated(requests: Sequence[Any], answers: Sequence[Any]) -> None:
    """Check log-likelihoods, in the order of their requests. Raises: ModelError if one is not a number."""
    broken = [
        request.task_name
        for request, answer in zip(requests, answers, strict=True)
        if isinstance(answer, (tuple, list)) and math.isnan(answer[0])
    ]
    if broken:
        tasks = ", ".join(dict.fromkeys(map(str, broken)))
        raise undefined(f"{len(broken)} of {len(requests)} log-likelihoods ({tasks}) are")


def check_logits(logits_bv: torch.Tensor) -> None:
    """Raises: ModelError if a row of logits has no finite highest value."""
    if not bool(logits_bv.amax(dim=-1).isfinite().all()):
        raise undefined("logits are infinite or")


@contextmanager
def checked_logits(network: Any) -> Iterator[None]:
    """Context in which a forward pass raises ModelError if a row's last position has no finite highest logit."""

    def check(_module: Any, _inputs: Any, output: Any) -> None:
        logits = getattr(output, "logits", None)
        if logits is not None:
            check_logits(logits[:, -1])

    handle = network.register_forward_hook(check)
    try:
        yield
    finally:
        handle.remove()
