"""A tiny random model, built in memory, and an extractor that uses it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nait.core.addresses import address
from nait.core.contracts import Model, Trainer
from nait.core.dataset.examples import Pool
from nait.models.prompts.templates import Template, TextTemplate
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.store import Artifact, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = TextTemplate(prompt="Q: {user}\nA: ")
SHAPE: Mapping[str, int] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 260, "max_position_embeddings": 512, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
SPECIAL = ("<pad>", "<s>", "</s>")


@dataclass(frozen=True)
class TinyModel:
    """A random float32 Llama with three layers and a byte tokenizer. `seed` determines the weights."""

    name: str = "tiny"
    seed: int = 0
    max_length: int = 128

    @property
    def fingerprint(self) -> str:
        """The digest of shape and seed, which determine the weights."""
        return address({"tiny": dict(SHAPE), "seed": self.seed})

    def load(self) -> tuple[Any, Any]:
        """The network, in eval mode, and its tokenizer."""
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        """The network in eval mode. The caller's random state is unchanged."""
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = LlamaForCausalLM(LlamaConfig(**SHAPE)).float().eval()
        with torch.no_grad():  # at the default scale activations are near 0, which hides errors
            for parameter in network.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(4.0)
        return network

    def vocabulary(self) -> int | None:
        """Rows of the embedding."""
        return int(self.load_tokenizer().vocab_size)

    def load_tokenizer(self) -> Any:
        """The tokenizer: <pad> 0, <s> 1, </s> 2, then the 256 bytes; <s> precedes each text."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        bare = Tokenizer(
            models.BPE(vocab={word: i for i, word in enumerate([*SPECIAL, *alphabet])}, merges=[])
        )
        bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bare.decoder = decoders.ByteLevel()
        bare.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
        pad, bos, eos = SPECIAL
        return PreTrainedTokenizerFast(tokenizer_object=bare, pad_token=pad, bos_token=bos, eos_token=eos)


def tiny_extractor(
    root: Path, *, model: Model | None = None, template: Template = TEMPLATE, engine: Engine | None = None
) -> StoredExtractor:
    """An extractor on a store at `root` that can also fine-tune, like a job's."""
    opened, store = model or TinyModel(), Store(root)

    def tune(pool: Pool, ids: Collection[str], trainer: Trainer, seed: int) -> Artifact | None:
        from nait.stages.train import train_on
        from nait.tracking.trackers import Trackers

        wanted = set(ids)
        rows = [example for example in pool.examples if example.id in wanted]
        return train_on(
            rows,
            model=opened,
            template=template,
            trainer=trainer,
            seed=seed,
            store=store,
            tracker=Trackers([]),
        )

    return StoredExtractor(opened, store, template, engine=engine or Engine(progress=False), tune=tune)
