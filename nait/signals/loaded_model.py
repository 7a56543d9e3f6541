"""Opened: the one model whose weights are in memory, and every tokenizer that was asked for."""

from __future__ import annotations

import gc
import logging
from typing import Any

from nait.core.contracts import Model

log = logging.getLogger(__name__)


class Opened:
    """Shared by an extractor and its views."""

    def __init__(self) -> None:
        self._fingerprint = ""
        self._network: Any = None
        self._tokenizers: dict[str, Any] = {}

    def network(self, model: Model) -> Any:
        """The model, opened once; another one that was open is let go."""
        if self._network is None or self._fingerprint != model.fingerprint:
            self.close()
            log.info("Opening %s.", model.name)
            self._network, self._fingerprint = model.load_network(), model.fingerprint
        return self._network

    def tokenizer(self, model: Model) -> Any:
        """The model's tokenizer, opened once."""
        if model.fingerprint not in self._tokenizers:
            self._tokenizers[model.fingerprint] = model.load_tokenizer()
        return self._tokenizers[model.fingerprint]

    def close(self) -> None:
        """Lets go of the model's memory."""
        if self._network is not None:
            self._network = None
            gc.collect()
