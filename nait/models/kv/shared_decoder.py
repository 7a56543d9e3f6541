"""A decoder that runs rows behind shared prefixes, checked against the network's own forward.

Shapes: B rows, T tokens, P prefix tokens, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nait.core.errors import ModelError
from nait.models.anatomy import device_of, dissect
from nait.models.devices.tensor_parallel import is_split
from nait.models.kv.frozen_cache import empty, frozen, thawed
from nait.models.kv.row_cache import RowCache
from nait.models.kv.shared_attention import attending

if TYPE_CHECKING:
    import torch

KINDS = {"full_attention", "sliding_attention"}
"""Kinds of layers, in a config's `layer_types`, whose state is keys and values alone."""


@dataclass(frozen=True)
class Prefix:
    """The frozen keys and values of a prefix of `tokens` tokens; None without tokens."""

    tokens: int = 0
    cache: Any | None = None


class SharedDecoder:
    """Runs a network's decoder behind prefixes. Raises: ModelError for a network whose layers it does not know."""

    def __init__(self, network: Any) -> None:
        self.anatomy = dissect(network)
        self.decoder: Any = self.anatomy.decoder
        self.device = device_of(network)
        config = _text_config(self.decoder)
        self.vocabulary = int(config.vocab_size)
        kinds = set(getattr(config, "layer_types", None) or ())
        if is_split(network) or getattr(network, "_is_stateful", False) or not kinds <= KINDS:
            raise ModelError(f"{self.anatomy.name} keeps state other than keys and values")
        # torch's kernel (sdpa) has no soft cap: a network that uses it ignores its cap, and so does this decoder.
        self.soft_cap = config._attn_implementation != "sdpa"
        self.sliding = _has_windows(config)

    def prefix(self, ids: Any, shorter: Prefix) -> Prefix:
        """The prefix `shorter` continued by the token ids [T]. Raises: ModelError without plain keys and values."""
        import torch

        cache = empty() if shorter.cache is None else thawed(shorter.cache)
        tokens = shorter.tokens + len(ids)
        ids_1t = torch.as_tensor(ids, dtype=torch.int64)[None].to(self.device)
        positions = torch.arange(shorter.tokens, tokens, device=self.device)[None]
        self.decoder(input_ids=ids_1t, position_ids=positions, past_key_values=cache, use_cache=True)
        kept = frozen(cache, tokens=tokens)
        if kept is None:
            raise ModelError(f"{self.anatomy.name} keeps state other than keys and values")
        return Prefix(tokens, kept)

    def start(
        self, prefix: Prefix, ids_bt: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[RowCache, torch.Tensor]:
        """Rows of `lengths` [B] tokens behind a prefix, padded on the right; and their output [B, T, D]."""
        rows = RowCache.of(lengths, prefix.cache, prefix.tokens, self.anatomy.layers)
        return rows, self._run(rows, ids_bt, rows.lengths, fresh=True)

    def extend(self, rows: RowCache, ids_bt: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Output [B, T, D] of `lengths` [B] more tokens of each row, padded on the right."""
        after = rows.lengths + lengths
        output = self._run(rows, ids_bt, after, fresh=False)
        rows.lengths = after
        return output

    def _run(self, rows: RowCache, ids_bt: torch.Tensor, after: torch.Tensor, *, fresh: bool) -> torch.Tensor:
        """Output [B, T, D] of these tokens, after which the rows have `after` [B] tokens behind the prefix.

        Padding has the position of a row's last token: a model has no position beyond its context, or encodes all
        others in another way.
        """
        last = (after + rows.prefix_tokens - 1)[:, None]
        step = rows.step(ids_bt.shape[1], soft_cap=self.soft_cap, fresh=fresh)
        with attending(self.decoder, step):
            output = self.decoder(
                input_ids=ids_bt,
                position_ids=rows.positions(step).minimum(last),
                past_key_values=rows.cache(),
                use_cache=True,
            ).last_hidden_state
        if len(step.called) != self.anatomy.layers or bool(step.windows) != self.sliding:
            raise ModelError(f"{self.anatomy.name} has attention of its own")
        states: torch.Tensor = output
        return states


def _text_config(decoder: Any) -> Any:
    return decoder.config.get_text_config(decoder=True)


def _has_windows(config: Any) -> bool:
    """Whether a layer's attention has a sliding window."""
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return "sliding_attention" in kinds
    return (
        bool(getattr(config, "sliding_window", None))
        and getattr(config, "use_sliding_window", True) is not False
    )
