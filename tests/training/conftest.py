"""A tiny random Llama with a tokenizer of its own, opened through the Model contract."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.contracts import Files
from nait.core.dataset.token_table import TokenTable, token_table

VOCABULARY = 48


@dataclass(frozen=True)
class TinyModel:
    """A Model in a folder. Its name is the folder's path, to test unusual characters in names."""

    folder: Path
    max_length: int = 64
    dtype: str = "float32"

    @property
    def name(self) -> str:
        return str(self.folder)

    @property
    def fingerprint(self) -> str:
        return f"{self.folder} in {self.dtype}"

    def load(self) -> tuple[Any, Any]:
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        import torch
        from transformers import LlamaForCausalLM

        torch.set_num_threads(1)
        return LlamaForCausalLM.from_pretrained(self.folder, dtype=self.dtype).eval()

    def load_on(self, device: str) -> Any:
        from transformers import LlamaForCausalLM

        return LlamaForCausalLM.from_pretrained(self.folder, dtype=self.dtype, device_map=device).eval()

    def load_tokenizer(self) -> Any:
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast.from_pretrained(self.folder)


@dataclass
class Records:
    """A tracker that records its calls, and can stop the training at a step, as a kill would."""

    stop_at: int | None = None
    logged: list[tuple[int | None, dict[str, float]]] = field(default_factory=list)

    def start(
        self, name: str, config: Mapping[str, Any], *, group: str, tags: Sequence[str], kind: str = "", key: str = ""
    ) -> None: ...  # fmt: skip

    def log(self, metrics: Mapping[str, float], *, phase: str, step: int | None = None) -> None:
        assert phase == "train"
        self.logged.append((step, dict(metrics)))
        if step == self.stop_at:
            raise KeyboardInterrupt

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def histogram(self, name: str, values: Any) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def artifact(
        self, name: str, kind: str, files: Files, metadata: Mapping[str, Any], *, used: bool = False,
        aliases: Sequence[str] = (),
    ) -> None: ...  # fmt: skip

    def finish(self, *, failed: bool = False) -> None: ...


@pytest.fixture(scope="session", autouse=True)
def _light_collections() -> None:
    """Exclude libraries from the garbage collection at the trainer's start, which saves 0.3 s per test."""
    import peft
    import transformers

    assert peft.LoraConfig
    assert transformers.Trainer
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny"
    words = {"<unk>": 0, "</s>": 1} | {f"w{i}": i for i in range(2, VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>").save_pretrained(
        folder
    )
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=None,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return TinyModel(folder)


@pytest.fixture(scope="session")
def rows() -> TokenTable:
    """Ten rows of 5 to 14 tokens; the first three of each are the prompt."""
    draw = np.random.default_rng(3)
    ids = [draw.integers(2, VOCABULARY, size=draw.integers(5, 15)).tolist() for _ in range(10)]
    return token_table(ids, [[i >= 3 for i in range(len(row))] for row in ids], [False] * len(ids))
