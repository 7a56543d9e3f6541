"""Base models with a saved adapter, or with fully trained weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.core.contracts import Model
from nait.core.errors import StoreError
from nait.models.devices.open_networks import borrow, give_back
from nait.models.devices.sharded_network import is_sharded
from nait.store import check_path, repair_advice
from nait.training.adapters.adapter_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    MODEL_CONFIG,
    with_adapter,
    with_weights,
)
from nait.training.adapters.merging import Merge, merged, put_back


def release(network: Any) -> None:
    """Give a borrowed base model back, without the adapter that `attach` or `load_adapted` put on it."""
    if is_sharded(network):
        return  # the next user opens the whole model
    put_back(network)
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
        return merged(with_adapter(network, folder), merge, folder), tokenizer
    if (folder / MODEL_CONFIG).is_file():
        return with_weights(network, folder), tokenizer
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
