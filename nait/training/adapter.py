"""LoRA adapters: attach, save and load. Only this module imports peft.

Weights are stored as safetensors only. The path of the base model is neither saved nor read: an adapter is attached
to the base model that the caller provides.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from nait.core.addresses import address
from nait.core.contracts import Model
from nait.core.errors import ConfigError, ModelError, StoreError, did_you_mean
from nait.core.inputs.checks import check_choice, check_number, check_whole
from nait.models.checkpoint.loaded_weights import check_finite, check_loaded
from nait.models.checkpoint.safetensors_headers import tensors_of
from nait.models.devices.open_networks import borrow, give_back
from nait.models.devices.sharded_network import is_sharded
from nait.models.devices.tensor_parallel import is_split
from nait.store import check_path, read_json, reading, repair_advice, write_json
from nait.store.jsonable import plain

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
MODEL_CONFIG = "config.json"
TARGETS = "train.lora.target_modules"
SAVED = "train.lora.modules_to_save"
FIELDS = (
    "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save", "use_dora", "use_rslora",
    "bias", "fan_in_fan_out", "rank_pattern", "alpha_pattern",
)  # fmt: skip
"""The fields of a saved adapter that are read. Others can name a module to import, such as `megatron_core`."""
PLAIN_STARTS = ("gaussian", "eva", "orthogonal")
"""Ways in which peft starts an adapter without a change of the model's own weights. PiSSA and OLoRA change them."""
ALL_LINEAR = "all-linear"
VARIANTS = ("lora", "dora", "rslora", "pissa")
_FACTOR = re.compile(r"\.lora_[AB]\.")

Merge = bool | Literal["auto"]
"""Whether an adapter is added to the weights, so that its layers cost nothing. "auto": where the weights are float32.
In 16 bits, small updates would round away."""

_replaced: WeakKeyDictionary[Any, list[tuple[Any, Any]]] = WeakKeyDictionary()
"""The parameters of a network to whose weights an adapter is added, and their own values."""


@dataclass(frozen=True)
class LoraRecipe:
    """A low-rank adapter: rank `r`, scale `alpha / r`, dropout on its input, and the modules that it adapts.

    `target_modules` is "all-linear" (every linear layer except the LM head, whatever their names), or module names,
    each of which must exist in the model. LoRA recipes for Alpaca-sized data use dropout 0.05; selected subsets are
    smaller and benefit from regularisation at least as much.

    `variant`: "lora"; "dora" also trains the norm of each weight's rows (arXiv 2402.09353); "rslora" scales by
    alpha / sqrt(r) (arXiv 2312.03732); "pissa" starts from the weights' r largest singular directions (arXiv
    2404.02948) and is saved as a LoRA of rank 2 r for the original weights. `modules_to_save` are trained whole and
    saved with the adapter, such as a new embedding.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    target_modules: str | Sequence[str] = ALL_LINEAR
    variant: Literal["lora", "dora", "rslora", "pissa"] = "lora"
    modules_to_save: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_whole("train.lora.r", self.r, least=1)
        check_number("train.lora.alpha", self.alpha, "(0, inf)")
        check_number("train.lora.dropout", self.dropout, "[0, 1)")
        if not self.target_modules:
            raise ConfigError("is empty", where=TARGETS, fix="Give all-linear or names.")
        if isinstance(self.target_modules, str) and self.target_modules != ALL_LINEAR:
            object.__setattr__(self, "target_modules", (self.target_modules,))  # one name, not a pattern
        check_choice("train.lora.variant", self.variant, VARIANTS)
        whole = self.modules_to_save or ()
        object.__setattr__(self, "modules_to_save", (whole,) if isinstance(whole, str) else tuple(whole))

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The settings that determine the result. The order of module names does not matter."""
        names = self.target_modules
        return {
            "r": self.r,
            "alpha": float(self.alpha),
            "dropout": float(self.dropout),
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

    _check_on_devices(network)
    names = lora.target_modules
    if not isinstance(names, str):
        _check_targets(network, names, where=TARGETS)
    _check_targets(network, lora.modules_to_save, where=SAVED)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=names if isinstance(names, str) else sorted(names),
        use_dora=lora.variant == "dora",
        use_rslora=lora.variant == "rslora",
        init_lora_weights="pissa" if lora.variant == "pissa" else True,
        modules_to_save=sorted(lora.modules_to_save) or None,
    )
    try:
        with _without_rename_warning():
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
    if lora.variant == "pissa":
        adapted.pissa_start = {
            name: tensor.detach().clone()
            for name, tensor in adapted.named_parameters()
            if _FACTOR.search(name)
        }
    return adapted


def _check_on_devices(network: Any) -> None:
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
def _without_rename_warning() -> Iterator[None]:
    """Ignore the warning that peft 0.21 causes by a name that transformers 5.23 renamed. Remove with a newer peft."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        yield


def save(network: Any, folder: Path, *, base: str, weights: Mapping[str, Any] | None = None) -> None:
    """Save the network's adapter, or all its weights when it has none, into `folder`.

    `base` is the name of the base model, recorded for information; only the last part of a path is kept. `weights`:
    all weights by name, of a network that holds shards of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not hasattr(network, "peft_config"):
        _save_all(network, folder, weights)
        return
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = get_peft_model_state_dict(network, save_embedding_layers=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(weights.items())}
    config = network.peft_config["default"].to_dict()
    if hasattr(network, "pissa_start"):
        tensors, config = _as_lora(tensors, config, network.pissa_start)
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config |= {"base_model_name_or_path": public_name(base), "inference_mode": True}
    # Sets have a random order in each process. Sorted, equal adapters give equal files.
    write_json(folder / ADAPTER_CONFIG, plain(dict(sorted(config.items())), finite=False))


def _as_lora(
    tensors: Mapping[str, Any], config: Mapping[str, Any], start: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A PiSSA adapter as a LoRA for the original weights: B A - B0 A0 = [B, -B0] [A; A0], of rank 2 r.

    `start`: the factors B0 and A0 at the start, which were subtracted from the weights.
    """
    import torch

    first = {name.replace(".default", ""): tensor.cpu() for name, tensor in start.items()}
    found = {}
    for name, tensor in tensors.items():
        if name in first and ".lora_A." in name:
            found[name] = torch.cat([tensor, first[name].to(tensor.dtype)], dim=0)
        elif name in first:
            found[name] = torch.cat([tensor, -first[name].to(tensor.dtype)], dim=1)
        else:
            found[name] = tensor
    twice = {"r": 2 * config["r"], "lora_alpha": 2 * config["lora_alpha"], "init_lora_weights": True}
    return found, {**config, **twice}


def is_zero(network: Any) -> bool:
    """Whether the adapter has no effect: one factor of every low-rank product is all zero."""
    parts = [p for name, p in network.named_parameters() if ".lora_B." in name or "lora_embedding_B" in name]
    return not any(bool(part.any()) for part in parts)


def _save_all(network: Any, folder: Path, weights: Mapping[str, Any] | None) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # shards are written within a second
    network.save_pretrained(folder, **({"state_dict": dict(weights)} if weights else {}))


def public_name(name: str) -> str:
    """A Hub id unchanged, or the last part of a local path."""
    path = Path(name)
    is_local = path.is_absolute() or len(path.parts) > 2 or name.startswith((".", "~"))
    return path.name if is_local else name


def release(network: Any) -> None:
    """Give a borrowed base model back, without the adapter that `attach` or `load_adapted` put on it."""
    if is_sharded(network):
        return  # the next user opens the whole model
    for parameter, values in _replaced.pop(network, []):
        parameter.data = values
    give_back(network.unload() if hasattr(network, "peft_config") else network)


def load_adapted(model: Model, folder: Path | None, *, merge: Merge = False) -> tuple[Any, Any]:
    """The network, in eval mode, and its tokenizer: the base model, or the adapter or model saved in `folder`.

    The base model is borrowed from the process's open networks: call `release` when it is no longer needed. It puts
    the weights back, to the bit, to which `merge` adds the adapter.

    Raises: StoreError when the folder holds neither an adapter nor a model, or a file is damaged; ModelError for an
    adapter that is to be added to weights that cannot take it.
    """
    if folder is not None:
        check_path(folder)
    network, tokenizer = borrow(model), model.load_tokenizer()
    if folder is None:
        return network, tokenizer
    if (folder / ADAPTER_CONFIG).is_file() and (folder / ADAPTER_WEIGHTS).is_file():
        return _merged(_with_adapter(network, folder), merge, folder), tokenizer
    if (folder / MODEL_CONFIG).is_file():
        return _with_weights(network, folder), tokenizer
    raise StoreError(
        "contains no adapter and no model",
        where=str(folder),
        fix=repair_advice(folder, "Give the folder of an adapter or a model."),
    )


@dataclass(frozen=True)
class AdaptedModel:
    """A base model with the adapter or weights saved in `folder`; `content` is their address in the store."""

    base: Model
    folder: Path
    content: str

    @property
    def name(self) -> str:
        return f"{self.base.name} + {self.content[:16]}"

    @property
    def fingerprint(self) -> str:
        return address([self.base.fingerprint, self.content])

    @property
    def max_length(self) -> int:
        return self.base.max_length

    def load(self) -> tuple[Any, Any]:
        """The network, in eval mode, and its tokenizer."""
        return load_adapted(self.base, self.folder)

    def load_network(self) -> Any:
        """The network, in eval mode."""
        return self.load()[0]

    def load_tokenizer(self) -> Any:
        """The base's tokenizer."""
        return self.base.load_tokenizer()

    def vocabulary(self) -> int | None:
        """The number of rows of the base's embedding, when its config has it."""
        return self.base.vocabulary()


def _with_adapter(network: Any, folder: Path) -> Any:
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    _check_on_devices(network)
    with reading(folder):
        config = read_json(folder / ADAPTER_CONFIG)
        saved = {key: value for key, value in config.items() if key in FIELDS}
        weights = load_file(folder / ADAPTER_WEIGHTS)
    _check_start(config.get("init_lora_weights"), folder)
    with _without_rename_warning():
        adapted = get_peft_model(network, LoraConfig(**saved))
    try:
        wrong = set_peft_model_state_dict(adapted, weights)
    except RuntimeError as error:  # tensors of other sizes
        raise _misfit(str(error).strip().splitlines()[-1].strip(), folder) from error
    missing = [name for name in wrong.missing_keys if "lora_" in name]
    if missing or wrong.unexpected_keys:
        raise _misfit((missing + list(wrong.unexpected_keys))[0], folder)
    return adapted.eval()


def _merged(adapted: Any, merge: Merge, folder: Path) -> Any:
    """The base network with the adapter added to copies of its weights, or `adapted` where that is not asked for.

    Raises: ModelError if it is asked for, and the weights are quantised, sharded or shared with another module; if
    a sum of both is not finite.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not merge:
        return adapted
    bases = [one.get_base_layer() for one in adapted.modules() if isinstance(one, BaseTunerLayer)]
    weights: list[Any] = [getattr(base, "weight", None) for base in bases]
    if obstacle := _obstacle(adapted, weights):
        if merge == "auto":
            return adapted
        raise ModelError(
            f"the adapter cannot be added to the weights: {obstacle}",
            where=str(folder),
            fix="Set eval.merge_adapter=auto.",
        )
    if merge == "auto" and any(weight.dtype != torch.float32 for weight in weights):
        return adapted
    values = [(weight, weight.data) for weight in weights]
    try:
        network = adapted.merge_and_unload(safe_merge=True)  # it adds to copies: `values` stay as they are
    except ValueError as error:  # peft's for sums that are infinite or not numbers
        raise ModelError(
            "the adapter is too large: weights to which it is added are infinite or not numbers",
            where=str(folder),
            fix="Train it again with a lower train.learning_rate.",
        ) from error
    _replaced[network] = values
    return network


def _obstacle(adapted: Any, weights: Sequence[Any]) -> str | None:
    """Why the adapter cannot be added to these weights; None if it can."""
    owners = Counter(id(one) for module in adapted.modules() for one in module.parameters(recurse=False))
    if any(weight is None or not weight.is_floating_point() for weight in weights):
        return "they are quantised"
    network = adapted.get_base_model()
    if is_sharded(network) or is_split(network) or any(weight.is_meta for weight in weights):
        return "they are not all in this process's memory"
    if any(owners[id(weight)] > 1 for weight in weights):
        return "the adapted embedding and the LM head are one weight"
    if not all(bool(one.isfinite().all()) for name, one in adapted.named_parameters() if "lora_" in name):
        return "it has values that are not finite"
    return None


def _check_start(start: object, folder: Path) -> None:
    """Raises: ModelError for an adapter that is saved for weights from which its start was subtracted."""
    if isinstance(start, str) and start not in PLAIN_STARTS:
        raise ModelError(
            f"the adapter is for other weights than the model's own (init_lora_weights={start})",
            where=str(folder / ADAPTER_CONFIG),
            fix="Save it with save_pretrained(FOLDER, path_initial_model_for_weight_conversion=START), which makes "
            "it an adapter of the model itself.",
        )


def _misfit(what: str, folder: Path) -> ModelError:
    return ModelError(
        f"the adapter does not fit this model: {what}",
        where=str(folder),
        fix="Use the model that it was trained with.",
    )


def _with_weights(network: Any, folder: Path) -> Any:
    """The saved model, with the base's dtype, attention kernel and device."""
    tensors_of(folder, read_json(folder / MODEL_CONFIG))  # refuses weights that are not safetensors
    spread = getattr(network, "hf_device_map", None)
    trained, info = type(network).from_pretrained(
        folder,
        output_loading_info=True,
        dtype=network.dtype,
        attn_implementation=network.config._attn_implementation,
        device_map=spread,
        local_files_only=True,
        use_safetensors=True,
    )
    check_loaded(trained, info, where=str(folder))
    check_finite(trained, where=str(folder))
    return (trained if spread else trained.to(network.device)).eval()
