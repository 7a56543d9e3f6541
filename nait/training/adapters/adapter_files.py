"""Adapters and fully trained models as files: safetensors and a config.

The path of the base model is neither saved nor read: an adapter is put on the base model that the caller provides.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.errors import ModelError
from nait.models.checkpoint.loaded_weights import check_finite, check_loaded
from nait.models.checkpoint.safetensors_headers import tensors_of
from nait.store import read_json, reading, write_json
from nait.store.jsonable import plain
from nait.training.adapters.lora import check_on_devices, without_rename_warning

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
MODEL_CONFIG = "config.json"
FIELDS = (
    "task_type", "r", "lora_alpha", "lora_dropout", "target_modules", "modules_to_save", "use_dora", "use_rslora",
    "bias", "fan_in_fan_out", "rank_pattern", "alpha_pattern",
)  # fmt: skip
"""The fields of a saved adapter that are read. Others can name a module to import, such as `megatron_core`."""
PLAIN_STARTS = ("gaussian", "eva", "orthogonal", "mica")
"""Ways in which peft starts an adapter without a change of the model's own weights. PiSSA, OLoRA, CorDA and others
change them."""
OTHER_KINDS = (
    "alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "monteclora_config", "use_bdlora",
    "use_qalora",
)  # fmt: skip
"""Fields of a saved adapter with which it computes something else than LoRA or DoRA, from the same tensors."""


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


def _save_all(network: Any, folder: Path, weights: Mapping[str, Any] | None) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()  # shards are written within a second
    network.save_pretrained(folder, **({"state_dict": dict(weights)} if weights else {}))


def public_name(name: str) -> str:
    """A Hub id unchanged, or the last part of a local path."""
    path = Path(name)
    is_local = path.is_absolute() or len(path.parts) > 2 or name.startswith((".", "~"))
    return path.name if is_local else name


def with_adapter(network: Any, folder: Path) -> Any:
    """The network, in eval mode, with the adapter saved in `folder`.

    Raises: ModelError for an adapter of another model, or with offloaded layers; StoreError for damaged files.
    """
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    check_on_devices(network)
    with reading(folder):
        config = read_json(folder / ADAPTER_CONFIG)
        saved = {key: value for key, value in config.items() if key in FIELDS}
        weights = load_file(folder / ADAPTER_WEIGHTS)
    _check_start(config.get("init_lora_weights"), folder)
    _check_kind(config, folder)
    with without_rename_warning():
        adapted = get_peft_model(network, LoraConfig(**saved))
    try:
        wrong = set_peft_model_state_dict(adapted, weights)
    except RuntimeError as error:  # tensors of other sizes
        raise _misfit(str(error).strip().splitlines()[-1].strip(), folder) from error
    missing = [name for name in wrong.missing_keys if "lora_" in name]
    if missing or wrong.unexpected_keys:
        raise _misfit((missing + list(wrong.unexpected_keys))[0], folder)
    return adapted.eval()


def _check_start(start: object, folder: Path) -> None:
    """Raises: ModelError for an adapter that is saved for weights from which its start was subtracted."""
    if isinstance(start, str) and start not in PLAIN_STARTS:
        raise ModelError(
            f"the adapter is for other weights than the model's own (init_lora_weights={start})",
            where=str(folder / ADAPTER_CONFIG),
            fix="Save it with save_pretrained(FOLDER, path_initial_model_for_weight_conversion=START), which makes "
            "it an adapter of the model itself.",
        )


def _check_kind(config: Mapping[str, Any], folder: Path) -> None:
    """Raises: ModelError for an adapter whose outputs would be others if it was read as a plain one."""
    if other := [name for name in OTHER_KINDS if config.get(name)]:
        raise ModelError(
            f"the adapter is neither LoRA nor DoRA: {', '.join(other)}",
            where=str(folder / ADAPTER_CONFIG),
            fix="Train a LoRA or a DoRA, or evaluate it with eval.backend=endpoint.",
        )


def _misfit(what: str, folder: Path) -> ModelError:
    return ModelError(
        f"the adapter does not fit this model: {what}",
        where=str(folder),
        fix="Use the model that it was trained with.",
    )


def with_weights(network: Any, folder: Path) -> Any:
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
