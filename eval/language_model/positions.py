"""A network that runs texts behind shared prefixes, with logits only where they are asked for.

Shapes: B rows, T tokens, K positions, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nait.core.errors import ModelError, first_line
from nait.models.devices.sharded_network import local_bytes
from nait.models.kv.shared_decoder import Prefix, SharedDecoder
from nait.models.kv.stems import Ids
from nait.models.lm_head import LOGITS_AT_ONCE, LOW_PRECISION_TOLERANCE, TOLERANCE, LmHead, head_of
from nait.models.tokens.batches import width_of
from nait.models.tokens.uneven_rows import overhead_tokens

if TYPE_CHECKING:
    import torch

LEAST_TOKENS, MOST_TOKENS = 16_384, 131_072
MEMORY_SHARE = 0.6
"""The share of a GPU's free memory that a batch may take; the estimate is rough."""
UNITS = 32
"""Values per hidden unit and token that are in memory while a prompt is forwarded, apart from keys and values."""
PROBE = (20, 13, 7)
"""Tokens of the probe's prefix, and of its two rows."""


@dataclass(frozen=True)
class SharedNetwork:
    """A decoder with shared prefixes, and the network's LM head."""

    decoder: SharedDecoder
    head: LmHead
    overhead: float
    """The tokens that could be forwarded in the time that starting a batch takes."""

    @property
    def device(self) -> str:
        """Where token ids go."""
        return self.decoder.device

    def padded(self, rows: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids [B, T], padded on the right, and lengths [B]."""
        import torch

        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = np.zeros((len(rows), width_of(int(lengths.max()))), dtype=np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        return torch.from_numpy(ids).to(self.device), torch.from_numpy(lengths).to(self.device)

    @property
    def states_at_once(self) -> int:
        """States whose logits are in memory at once."""
        most = LOGITS_AT_ONCE.get(self.device.partition(":")[0], LOGITS_AT_ONCE["other"])
        return max(1, most // self.head.vocabulary)

    def logits(self, h_kd: torch.Tensor) -> torch.Tensor:
        """Logits [K, V] of these states, in their dtype."""
        return self.head(h_kd).to(h_kd.dtype)


def open_shared(network: Any, *, most_tokens: int) -> SharedNetwork:
    """The network with shared prefixes, checked against its own logits of a few rows.

    `most_tokens` is the model's context. Raises: ModelError, with the reason, if it gives other logits.
    """
    import torch

    with torch.inference_mode():
        decoder = SharedDecoder(network)
        overhead = overhead_tokens(decoder.anatomy, torch.device(decoder.device))
        shared = SharedNetwork(decoder, _head(network), overhead)
        try:
            _check(network, shared, most_tokens)
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
            raise ModelError(f"its decoder cannot continue a shared prefix ({first_line(error)})") from error
    return shared


def automatic_tokens(network: Any) -> int:
    """The budget of `eval.batch_tokens=auto`: the least on a CPU, else what the network's GPUs hold."""
    import torch

    parameters = list(network.parameters())
    devices = {parameter.device for parameter in parameters if parameter.device.type == "cuda"}
    if not devices:
        return LEAST_TOKENS
    memory = sum(torch.cuda.get_device_properties(device).total_memory for device in devices)
    config = network.config.get_text_config(decoder=True)
    return fitting_tokens(config, network.dtype.itemsize, memory - local_bytes(parameters))


def fitting_tokens(config: Any, value_bytes: int, free_bytes: int) -> int:
    """The largest power of two tokens, within bounds, whose keys, values and activations fit into so much memory.

    `config` is that of the decoder, `value_bytes` the size of a number.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = value_bytes * (2 * config.num_hidden_layers * heads * size + UNITS * config.hidden_size)
    fitting = max(1, int(MEMORY_SHARE * free_bytes) // int(per_token))
    return max(LEAST_TOKENS, min(MOST_TOKENS, 1 << (fitting.bit_length() - 1)))


def _head(network: Any) -> LmHead:
    from nait.models.anatomy import dissect

    return head_of(network, dissect(network))


def _check(network: Any, shared: SharedNetwork, most_tokens: int) -> None:
    """Raises: ModelError if rows behind a prefix, and a token after them, have other logits than whole rows."""
    import torch

    first, *sizes = (max(1, min(size, (most_tokens - 1) // 2)) for size in PROBE)
    ids = (np.arange(first + sum(sizes) + 2, dtype=np.int64) * 7 + 3) % shared.decoder.vocabulary
    prefix_ids, ids = ids[:first], ids[first:]
    tails = [ids[: sizes[0] + 1], ids[sizes[0] + 1 :]]
    prefix = shared.decoder.prefix(prefix_ids, Prefix())
    inputs, lengths = shared.padded([tail[:-1] for tail in tails])
    rows, h_btd = shared.decoder.start(prefix, inputs, lengths)
    last, _ = shared.padded([tail[-1:] for tail in tails])
    after_bd = shared.decoder.extend(rows, last[:, :1], torch.ones_like(lengths))[:, 0]
    for i, tail in enumerate(tails):
        whole = torch.from_numpy(np.concatenate([prefix_ids, tail]))[None].to(shared.device)
        wanted = network(input_ids=whole, use_cache=False).logits[0, first:].float().cpu()
        states = torch.cat([h_btd[i, : len(tail) - 1], after_bd[i : i + 1]])
        error = float((shared.logits(states).float().cpu() - wanted).abs().max())
        allowed = TOLERANCE.get(str(states.dtype).removeprefix("torch."), LOW_PRECISION_TOLERANCE)
        if not error <= allowed * float(wanted.abs().max()):
            raise ModelError(f"its decoder gives other values behind a shared prefix (off by {error:.3g})")
