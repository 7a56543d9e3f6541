"""Batches of the pretraining text: token ids and loss weights."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import torch

from nait.nano.pretraining.pretraining_recipe import EOS_ID, PAD_ID, Recipe
from nait.nano.pretraining.pretraining_text import documents


def batches(tokenizer: Any, recipe: Recipe) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Token ids and loss weights, both [B, T]: one document per row, of similar lengths, about `tokens` in total.

    This model learns half as fast with several documents packed into a row: attention starts out uniform, and a
    shorter row has fewer positions to attend to.
    """
    stream, random = documents(recipe.seed), Random(recipe.seed)
    while True:
        texts = list(islice(stream, recipe.shuffle))
        rows = []
        for document, encoding in zip(texts, tokenizer.encode_batch([d.text for d in texts]), strict=True):
            weights = _weights(encoding.offsets, document.answers, recipe.question_weight)
            rows.append(([*encoding.ids, EOS_ID], [*weights, 1.0]))
        groups = _grouped(sorted(rows, key=lambda row: len(row[0])), recipe.tokens)
        random.shuffle(groups)
        for group in groups:
            width = len(group[-1][0])
            ids = [ids + [PAD_ID] * (width - len(ids)) for ids, _ in group]
            yield torch.tensor(ids), torch.tensor([own + [0.0] * (width - len(own)) for _, own in group])


def _grouped(
    rows: list[tuple[list[int], list[float]]], tokens: int
) -> list[list[tuple[list[int], list[float]]]]:
    """Groups of rows, which are sorted by length, of at most `tokens` each with padding."""
    groups: list[list[tuple[list[int], list[float]]]] = [[]]
    for row in rows:
        if groups[-1] and (len(groups[-1]) + 1) * len(row[0]) > tokens:
            groups.append([])
        groups[-1].append(row)
    return groups


def _weights(
    offsets: list[tuple[int, int]], answers: tuple[tuple[int, int], ...], other: float
) -> list[float]:
    """Loss weights: 1 for tokens that overlap an answer, `other` for the rest."""
    return [
        1.0 if any(start < last and first < end for first, last in answers) else other
        for start, end in offsets
    ]
