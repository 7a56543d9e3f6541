"""Context lengths of a model, from its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CONTEXTS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
ORIGINAL = "original_max_position_embeddings"
BY_LONGEST_ROW = ("longrope", "su")
"""Rotary positions that encode all rows of a batch in another way as soon as one is longer than `ORIGINAL`."""


def context_of(config: Mapping[str, Any]) -> int | None:
    """Maximum context in tokens; None if the config does not name it."""
    for part in _parts(config):
        found = [int(part[name]) for name in CONTEXTS if isinstance(part.get(name), int)]
        if found:
            return max(found)
    return None


def steady_context_of(config: Mapping[str, Any]) -> int | None:
    """Maximum tokens of rows whose values do not depend on their batch; None if no length changes them."""
    for part in _parts(config):
        given = part.get("rope_parameters") or part.get("rope_scaling")
        rope = given if isinstance(given, dict) else {}
        original = part.get(ORIGINAL) or rope.get(ORIGINAL)
        if rope.get("rope_type", rope.get("type")) in BY_LONGEST_ROW and isinstance(original, int):
            return original
    return None


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The config of the language model, which a multimodal config nests, then the whole config."""
    for part in (config.get("text_config"), config):
        if isinstance(part, Mapping):
            yield part
