"""The backward of the answers' losses, with the LM head at answer tokens only.

Shapes: B rows, T tokens, K answer tokens of a batch, D width of the stream, V words. No [B, T, V] ever exists:
the head sees the K hidden states that predict an answer token, a few at a time, and their gradients [K, D] start
the decoder's backward.
"""

from __future__ import annotations

import torch

from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch
from nait.signals.forward.lm_head import LmHead
from nait.signals.forward.output_meters import predicted
from nait.signals.runtime.out_of_memory import decoder_options

LOGITS_AT_ONCE = 1 << 23
"""Logits [tokens x words] that exist at a time: 32 MB in float32, about a processor's cache."""


def backward(head: LmHead, anatomy: Anatomy, batch: Batch) -> torch.Tensor:
    """[B] each row's mean NLL (nats) over its answer tokens, 0 without any; runs the backward of their sum.

    Rows do not mix in a decoder, so each row's part of that backward is the one of its own loss.
    """
    options = decoder_options(anatomy, batch)
    mask = predicted(batch, "answer")
    row, column = mask.nonzero(as_tuple=True)
    weight_k = (1.0 / mask.sum(dim=1).clamp(min=1))[row]
    losses = weight_k.new_zeros(len(mask))
    if not len(row):
        return losses
    with torch.enable_grad():
        h_btd = anatomy.decoder(input_ids=batch.input_ids, use_cache=False, **options).last_hidden_state
        last = h_btd.device  # of several, where a model is spread
        h_kd = h_btd[row.to(last), column.to(last) - 1]
    labels_k = batch.input_ids[row, column].to(last)
    nll_k, g_kd = _at_the_head(head, h_kd.detach(), labels_k, weight_k.to(last))
    h_kd.backward(g_kd)
    return losses.index_add_(0, row, nll_k.to(losses.device))


def _at_the_head(
    head: LmHead, h_kd: torch.Tensor, labels_k: torch.Tensor, weight_k: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each token's weighted NLL [K], and its gradient at the hidden states [K, D]."""
    nll_k, g_kd = torch.empty_like(weight_k), torch.empty_like(h_kd)
    step = max(1, LOGITS_AT_ONCE // int(head.module.weight.shape[0]))
    for at in range(0, len(h_kd), step):
        part = slice(at, at + step)
        with torch.enable_grad():
            h = h_kd[part].requires_grad_()
            nll = torch.nn.functional.cross_entropy(head(h), labels_k[part], reduction="none")
            weighted = nll * weight_k[part]
            (g_kd[part],) = torch.autograd.grad(weighted.sum(), h)
        nll_k[part] = weighted.detach()
    return nll_k, g_kd
