"""LoRA adapters: their recipe, and a new one on a network."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from nait.core.errors import ConfigError, ModelError, did_you_mean
from nait.core.inputs.checks import check_choice, check_number, check_whole

TARGETS = "train.lora.target_modules"
SAVED = "train.lora.modules_to_save"
ALL_LINEAR = "all-linear"
VARIANTS = ("lora", "dora", "rslora", "pissa")
_FACTOR = re.compile(r"\.lora_[AB]\.")


def default_dropout(variant: str) -> float:
    """The dropout of an adapter for which none is given.

    LoRA recipes for Alpaca-sized data use 0.05; selected subsets are smaller and benefit from regularisation at least
    as much. An adapter of PiSSA holds the largest directions of the model's own weights, which dropout would drop
    too: its authors use 0.
    """
    return 0.0 if variant == "pissa" else 0.05


@dataclass(frozen=True)
class LoraRecipe:
    """A low-rank adapter: rank `r`, scale `alpha / r`, dropout on its input, and the modules that it adapts.

    `target_modules` is "all-linear" (every linear layer except the LM head, whatever their names), or module names,
    each of which must exist in the model. `dropout`: null is `default_dropout(variant)`.

    `variant`: "lora"; "dora" also trains the norm of each weight's rows (arXiv 2402.09353); "rslora" scales by
    alpha / sqrt(r) (arXiv 2312.03732); "pissa" starts from the weights' r largest singular directions (arXiv
    2404.02948) and is saved as a LoRA of rank 2 r for the original weights. `modules_to_save` are trained whole and
    saved with the adapter, such as a new embedding.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float | None = None
    target_modules: str | Sequence[str] = ALL_LINEAR
    variant: Literal["lora", "dora", "rslora", "pissa"] = "lora"
    modules_to_save: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_whole("train.lora.r", self.r, least=1)
        check_number("train.lora.alpha", self.alpha, "(0, inf)")
        if self.dropout is not None:
            check_number("train.lora.dropout", self.dropout, "[0, 1)")
        if not self.target_modules:
            raise ConfigError("is empty", where=TARGETS, fix="Give all-linear or names.")
        if isinstance(self.target_modules, str) and self.target_modules != ALL_LINEAR:
            object.__setattr__(self, "target_modules", (self.target_modules,))  # one name, not a pattern
        check_choice("train.lora.variant", self.variant, VARIANTS)
        whole = self.modules_to_save or ()
        object.__setattr__(self, "modules_to_save", (whole,) if isinstance(whole, str) else tuple(whole))

    @property
    def holds_weights(self) -> bool:
        """Whether a part of the model's own weights is moved into the adapter before it is trained."""
        return self.variant == "pissa"

    @property
    def rate(self) -> float:
        """The dropout in effect."""
        return default_dropout(self.variant) if self.dropout is None else float(self.dropout)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The settings that determine the result. The order of module names does not matter."""
        names = self.target_modules
        return {
            "r": self.r,
            "alpha": float(self.alpha),
            "dropout": self.rate,
            "target_modules": names if isinstance(names, str) else sorted(names),
            **({"variant": self.variant} if self.variant != "lora" else {}),
            **({"modules_to_save": sorted(self.modules_to_save)} if self.modules_to_save else {}),
        }


def attach(network: Any, lora: LoraRecipe) -> Any:
    """The network with a new LoRA adapter, initialised from torch's global generator: seed that first.

    Raises: ModelError when a target module is missing, or shares its weights with the embeddings; for an offloaded
    network.
    """
    from peft import LoraConfig, get_peft_model

    check_on_devices(network)
    names = lora.target_modules
    if not isinstance(names, str):
        _check_targets(network, names, where=TARGETS)
    _check_targets(network, lora.modules_to_save, where=SAVED)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.rate,
        target_modules=names if isinstance(names, str) else sorted(names),
        use_dora=lora.variant == "dora",
        use_rslora=lora.variant == "rslora",
        init_lora_weights="pissa" if lora.holds_weights else True,
        modules_to_save=sorted(lora.modules_to_save) or None,
    )
    try:
        with without_rename_warning():
            adapted = get_peft_model(network, config)
    except ValueError as error:  # peft has no exception class for a missing module
        raise ModelError(
            f"LoRA cannot be attached to this model ({error})",
            where=TARGETS,
            fix="Use all-linear.",
        ) from error
    # At every save, peft looks the base model's name up on the Hub. An empty name prevents that.
    config.base_model_name_or_path = ""
    for name, parameter in adapted.named_parameters():
        if ".modules_to_save." in name:
            parameter.data = parameter.data.float()  # small steps round to zero in bfloat16
    if lora.holds_weights:
        adapted.pissa_start = {
            name: tensor.detach().clone()
            for name, tensor in adapted.named_parameters()
            if _FACTOR.search(name)
        }
    return adapted


def check_on_devices(network: Any) -> None:
    """Raises: ModelError for a network with offloaded layers, beside which the factors would have no values."""
    places = {str(place) for place in (getattr(network, "hf_device_map", None) or {}).values()}
    if places & {"cpu", "disk"} and any(one.is_meta for one in network.parameters()):
        raise ModelError(
            "the devices do not hold the whole model: some layers are offloaded, and they take no adapter",
            where="model.device_map",
            fix="Use more or larger devices, or model.dtype=bfloat16.",
        )


def _check_targets(network: Any, names: Sequence[str], *, where: str) -> None:
    """Raises: ModelError for targets that peft would silently ignore or could not load again."""
    modules = dict(network.named_modules())
    for name in names:
        if not any(full == name or full.endswith(f".{name}") for full in modules):
            leaves = {
                full.rpartition(".")[2] for full, module in modules.items() if hasattr(module, "weight")
            }
            raise ModelError(
                f"the model has no module '{name}'",
                where=where,
                fix=f"{did_you_mean(name, leaves)} all-linear means every linear layer."
                if where == TARGETS
                else did_you_mean(name, leaves),
            )
    inner, outer = network.get_input_embeddings(), network.get_output_embeddings()
    if outer is None or outer.weight is not inner.weight:
        return
    tied = [outer] if where == TARGETS else [outer, inner]
    for full in (full for full, module in modules.items() if any(module is one for one in tied)):
        if any(full == name or full.endswith(f".{name}") for name in names):
            raise ModelError(
                f"the output layer '{full}' shares its weights with the embeddings: its adapter cannot be loaded "
                "again"
                if where == TARGETS
                else f"'{full}' shares its weights with another layer: it cannot be loaded again",
                where=where,
                fix=f"Remove it from {where}.",
            )


@contextmanager
def without_rename_warning() -> Iterator[None]:
    """Ignore the warning that peft 0.21 causes by a name that transformers 5.23 renamed. Remove with a newer peft."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


def is_zero(network: Any) -> bool:
    """Whether the adapter has no effect: one factor of every low-rank product is all zero."""
    parts = [p for name, p in network.named_parameters() if ".lora_B." in name or "lora_embedding_B" in name]
    return not any(bool(part.any()) for part in parts)
