"""Answer loss and its backward pass, with the LM head applied at answer tokens only.

Shapes: B rows, T tokens, K answer tokens of a batch, D hidden size, V vocabulary. Logits [B, T, V] never exist:
the head sees the K hidden states that predict an answer token, a few at a time, and their gradients [K, D] start
the decoder's backward pass.
"""

from __future__ import annotations

import torch

from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch
from nait.signals.forward.lm_head import LmHead
from nait.signals.forward.output_meters import predicted
from nait.signals.runtime.out_of_memory import decoder_options

LOGITS_AT_ONCE = 1 << 23
"""Maximum logits (tokens times vocabulary) in memory at once: 32 MB in float32, about a CPU cache."""


def backward(head: LmHead, anatomy: Anatomy, batch: Batch) -> torch.Tensor:
    """Mean NLL [B] (nats) of each row's answer tokens, 0 for a row without any; runs the backward pass of the sum.

    Rows do not interact in a decoder, so each row's gradient is the gradient of its own loss.
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
        last = h_btd.device  # a model may be spread over several devices
        h_kd = h_btd[row.to(last), column.to(last) - 1]
    labels_k = batch.input_ids[row, column].to(last)
    nll_k, g_kd = _head_backward(head, h_kd.detach(), labels_k, weight_k.to(last))
    h_kd.backward(g_kd)
    return losses.index_add_(0, row, nll_k.to(losses.device))


def _head_backward(
    head: LmHead, h_kd: torch.Tensor, labels_k: torch.Tensor, weight_k: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted NLL of each token [K], and its gradient with respect to the hidden states [K, D]."""
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
