"""The model in memory: one network at a time, and every tokenizer that was opened."""

from __future__ import annotations

import logging
from typing import Any

from nait.core.contracts import Model
from nait.models.devices.open_networks import borrow, give_back

log = logging.getLogger(__name__)


class LoadedModel:
    """The network of one model, and the tokenizers of all; an extractor and its views share one."""

    def __init__(self) -> None:
        self._fingerprint = ""
        self._network: Any = None
        self._tokenizers: dict[str, Any] = {}

    def network(self, model: Model) -> Any:
        """The model's network, borrowed at the first call. The network of any other model is given back."""
        if self._network is None or self._fingerprint != model.fingerprint:
            self.close()
            log.info("Opening %s.", model.name)
            self._network, self._fingerprint = borrow(model), model.fingerprint
        return self._network

    def tokenizer(self, model: Model) -> Any:
        """The model's tokenizer, loaded at the first call."""
        if model.fingerprint not in self._tokenizers:
            self._tokenizers[model.fingerprint] = model.load_tokenizer()
        return self._tokenizers[model.fingerprint]

    def close(self) -> None:
        """Give the network back; tokenizers stay."""
        if self._network is not None:
            give_back(self._network)
            self._network = None
