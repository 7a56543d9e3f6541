"""The LM head: logits of selected hidden states, equal to the network's own.

Logits are the output embeddings applied to the decoder's output, followed in some families by one more step: a soft
cap (Gemma) or a scale (Cohere, Granite, Falcon-H1, HyperCLOVA X). The steps that the config names are compared
with the network's own logits, so an unknown step is an error, never a wrong number.

Shapes: P positions, K answer tokens, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

from nait.core.errors import ModelError
from nait.models.anatomy import Anatomy, device_of
from nait.models.devices.sharded_network import decoder_of

if TYPE_CHECKING:
    import torch

PROBE_TOKENS = 8
TOLERANCE = {"float32": 1e-4, "float64": 1e-4}
LOW_PRECISION_TOLERANCE = 2e-2
LOGITS_AT_ONCE = {"cpu": 1 << 23, "other": 1 << 26}
"""Maximum logits (tokens times vocabulary) in memory at once: 32 MB on a CPU, about its cache; 256 MB on a GPU."""

Step = Callable[["torch.Tensor"], "torch.Tensor"]


class Head(Protocol):
    """Logits [P, V] in float32 of states [P, D], and V."""

    @property
    def vocabulary(self) -> int: ...

    def __call__(self, h_pd: torch.Tensor) -> torch.Tensor: ...


@dataclass(frozen=True)
class LmHead:
    """The output embeddings and the step after them."""

    module: Any
    step: Step | None

    @property
    def vocabulary(self) -> int:
        """The number of logits of a position."""
        return int(self.module.weight.shape[0])

    def __call__(self, h_pd: torch.Tensor) -> torch.Tensor:
        """Logits [P, V] in float32, which the caller may overwrite. The product runs in the network's dtype."""
        logits: torch.Tensor = self.module(h_pd)
        return (logits if self.step is None else self.step(logits)).float()


def head_backward(
    head: Head, h_kd: torch.Tensor, labels_k: torch.Tensor, weight_k: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted NLL of each token [K], and its gradient with respect to the hidden states [K, D].

    The head runs on a few tokens at a time: logits [K, V] never exist. Its own parameters accumulate their gradients
    if they require one.
    """
    import torch

    nll_k, g_kd = torch.empty_like(weight_k), torch.empty_like(h_kd)
    most = LOGITS_AT_ONCE.get(h_kd.device.type, LOGITS_AT_ONCE["other"])
    step = max(1, most // head.vocabulary)
    for at in range(0, len(h_kd), step):
        part = slice(at, at + step)
        with torch.enable_grad():
            h = h_kd[part].detach().requires_grad_()
            nll = torch.nn.functional.cross_entropy(head(h), labels_k[part], reduction="none")
            weighted = nll * weight_k[part]
            weighted.sum().backward()
        assert h.grad is not None
        g_kd[part], nll_k[part] = h.grad, weighted.detach()
    return nll_k, g_kd


_FOUND: WeakKeyDictionary[Any, LmHead] = WeakKeyDictionary()
"""Checked heads by network."""


def head_of(network: Any, anatomy: Anatomy) -> LmHead:
    """The network's head, checked once per network against its own logits of a few tokens.

    Raises: ModelError if no known step reproduces the network's logits.
    """
    if network not in _FOUND:
        _FOUND[network] = _find(network, anatomy)
    return _FOUND[network]


def _find(network: Any, anatomy: Anatomy) -> LmHead:
    import torch

    base = network.get_base_model() if hasattr(network, "get_base_model") else network
    module = base.get_output_embeddings()
    if module is None:
        raise ModelError(
            f"{anatomy.name} has no LM head", where="model.path", fix="Use a causal language model."
        )
    ids = torch.arange(PROBE_TOKENS, device=device_of(base))[None] + 3
    ids = ids % base.config.get_text_config(decoder=True).vocab_size
    with torch.no_grad():  # not inference mode, whose tensors a sharded network could not train with
        # Compared on the CPU: in a model on several devices, the head and its inputs may be on different ones.
        wanted = base(input_ids=ids, use_cache=False).logits[0].float().cpu()
        h_pd = decoder_of(network, anatomy)(input_ids=ids, use_cache=False).last_hidden_state[0]
        heads = [LmHead(module, step) for step in _steps(base)]
        errors = [float((head(h_pd).cpu() - wanted).abs().max()) for head in heads]
    best = min(range(len(heads)), key=errors.__getitem__)
    allowed = TOLERANCE.get(str(h_pd.dtype).removeprefix("torch."), LOW_PRECISION_TOLERANCE)
    if not errors[best] <= allowed * float(wanted.abs().max()):
        raise ModelError(
            f"{anatomy.name} computes its logits in a way that is not known here (off by {errors[best]:.3g})",
            where="model.path",
            fix="Use a selector that needs no losses (nait, rds, length), or add its step to "
            "nait/models/lm_head.py.",
        )
    return heads[best]


def _steps(base: Any) -> Iterator[Step | None]:
    """Steps that the config names, then None. The first of equally good steps wins."""
    config = base.config.get_text_config(decoder=True)
    cap = getattr(config, "final_logit_softcapping", None)
    if cap:
        yield lambda logits: (logits / cap).tanh() * cap
    for name in ("logit_scale", "logits_scaling", "lm_head_multiplier"):
        scale = getattr(config, name, None)
        if scale:
            yield from (_times(scale), _times(1 / scale))
    yield None


def _times(factor: float) -> Step:
    return lambda logits: logits * factor
