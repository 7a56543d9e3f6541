"""Answer loss and its backward pass, with the LM head applied at answer tokens only.

Shapes: B rows, T tokens, K answer tokens of a batch, D hidden size, V vocabulary. Logits [B, T, V] never exist:
the head sees the K hidden states that predict an answer token, a few at a time, and their gradients [K, D] start
the decoder's backward pass.
"""

from __future__ import annotations

import torch

from nait.models.anatomy import Anatomy
from nait.models.lm_head import LmHead, head_backward
from nait.models.tokens.batches import Batch
from nait.signals.forward.output_meters import predicted
from nait.signals.runtime.out_of_memory import decoder_options


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
    nll_k, g_kd = head_backward(head, h_kd.detach(), labels_k, weight_k.to(last))
    h_kd.backward(g_kd)
    return losses.index_add_(0, row, nll_k.to(losses.device))
