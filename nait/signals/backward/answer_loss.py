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

FLOAT16_SCALE = 16.0
"""Factor of a float16 model's losses, beside the number of answer tokens. Gradients below 6e-8 are 0 in float16."""


def loss_scales(anatomy: Anatomy, predicted_bt: torch.Tensor) -> torch.Tensor | None:
    """The factor [B] of each row's loss with which float16 does not round its gradient to 0; None for other models.

    With it the gradients of a long answer's tokens are as large as those of a short one.
    """
    if getattr(anatomy.decoder, "dtype", None) != torch.float16:
        return None
    return FLOAT16_SCALE * predicted_bt.sum(dim=1).clamp(min=1)


def backward(
    head: LmHead, anatomy: Anatomy, batch: Batch, scale_b: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean NLL [B] (nats) of each row's answer tokens, 0 for a row without any; runs the backward pass of the sum.

    Rows do not interact in a decoder, so each row's gradient is the gradient of its own loss, times its `scale_b`.
    """
    options = decoder_options(anatomy, batch)
    mask = predicted(batch, "answer")
    row, column = mask.nonzero(as_tuple=True)
    weight_b = 1.0 / mask.sum(dim=1).clamp(min=1)
    weight_k = (weight_b if scale_b is None else weight_b * scale_b)[row]
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
    losses.index_add_(0, row, nll_k.to(losses.device))
    return losses if scale_b is None else losses / scale_b
