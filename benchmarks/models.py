"""Models and data for the benchmarks: random Llamas of several sizes; rows and texts with realistic lengths."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.dataset.token_table import TokenTable, token_table
from nait.models.tokens.batches import plan

if TYPE_CHECKING:
    from nait.models.anatomy import Site
    from nait.signals.specs.activations import Signal

SIZES = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
    "25m": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6},
    "100m": {
        "hidden_size": 640,
        "intermediate_size": 1728,
        "num_hidden_layers": 16,
        "num_attention_heads": 10,
    },
    "1b": {
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
    },
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
}
# Deciles of Alpaca's lengths in tokens with a 32k vocabulary, template included.
LENGTH_DECILES = (45, 57, 64, 72, 82, 95, 112, 136, 168, 220, 512)
MEAN_LENGTH = float(np.mean(np.convolve(LENGTH_DECILES, [0.5, 0.5], mode="valid")))
WORDS_PER_TOKEN = 0.75
POOL_ROWS = 52_002


def arguments(
    description: str | None, *, rows: int, model: str = "random:25m", **own: int | str
) -> argparse.Namespace:
    """The parsed options: the common ones of all benchmarks, and `own` with their defaults."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--model", default=model, help=f"a folder, or random:{'|'.join(SIZES)}")
    for name, default in own.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def shape(name: str) -> tuple[int, int]:
    """Layers and width of a random model or of a model in a folder."""
    if name.startswith("random:"):
        size = SIZES[name.removeprefix("random:")]
        return size["num_hidden_layers"], size["hidden_size"]
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(name, local_files_only=True).get_text_config(decoder=True)
    return config.num_hidden_layers, config.hidden_size


def load(name: str, *, device: str, dtype: str, attention: str | None = None) -> Any:
    """The causal language model in eval mode; `attention` overrides the default implementation."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    kind: Any = getattr(torch, dtype)
    if name.startswith("random:"):
        torch.manual_seed(0)
        config = LlamaConfig(
            **SIZES[name.removeprefix("random:")], vocab_size=32000, max_position_embeddings=2048
        )
        with torch.device(device):
            network = AutoModelForCausalLM.from_config(config, dtype=kind, attn_implementation=attention)
    else:
        network = AutoModelForCausalLM.from_pretrained(
            name, dtype=kind, local_files_only=True, attn_implementation=attention
        )
    return network.to(device).eval()


def rows(count: int, *, vocabulary: int, batch_tokens: int, seed: int = 0) -> TokenTable:
    """Random token ids for about `count` rows with Alpaca's lengths; the last third of each row is its answer.

    The rows form whole batches, evenly spaced in the batch plan of a pool of Alpaca's size, so that batches of
    `batch_tokens` have as little padding as in a full pass. Rows drawn individually would differ more in length.
    """
    generator = np.random.default_rng(seed)
    lengths = lengths_of(POOL_ROWS, generator)
    batches = plan(lengths, batch_tokens)
    number = max(1, round(count * len(batches) / POOL_ROWS))
    chosen = [batches[int((i + 0.5) * len(batches) / number)] for i in range(number)]
    lengths = generator.permutation(lengths[np.concatenate(chosen)])
    ids = [generator.integers(3, vocabulary, size=length).tolist() for length in lengths]
    answers = [[i >= 2 * len(row) // 3 for i in range(len(row))] for row in ids]
    return token_table(ids, answers, [False] * len(lengths))


def lengths_of(count: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Lengths in tokens [N], drawn from Alpaca's distribution."""
    places = generator.random(count) * (len(LENGTH_DECILES) - 1)
    return np.interp(places, np.arange(len(LENGTH_DECILES)), LENGTH_DECILES).astype(np.int64)


def texts(count: int, *, name: str = "pool", seed: int = 0) -> Pool:
    """Rows of invented words with Zipf-distributed frequencies and Alpaca's lengths; a third of each is answer."""
    generator = np.random.default_rng(seed)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = ["".join(generator.choice(syllables, size=1 + i % 3)) for i in range(5000)]
    below = np.cumsum(1 / np.arange(1, len(words) + 1))
    examples = []
    for row, length in enumerate(lengths_of(count, generator)):
        draws = generator.random(max(3, int(length * WORDS_PER_TOKEN))) * below[-1]
        picked = [words[i] for i in np.searchsorted(below, draws)]
        cut = 2 * len(picked) // 3
        turn = Turn(" ".join(picked[:cut]), " ".join(picked[cut:]))
        examples.append(Example(f"{name}-{row:08d}", (turn,), row=row))
    return gather(name, examples)


def directions(
    config: Any, site: Site = "residual", *, targets: int = 1, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Random directions [C, L, D] at a site of a model with this config."""
    layers = config.num_hidden_layers + (site == "residual")
    width = config.intermediate_size if site == "mlp" else config.hidden_size
    return np.random.default_rng(seed).normal(size=(targets, layers, width)).astype(np.float32)


def over(network: Any, table: TokenTable, signals: Sequence[Signal], *, batch_tokens: int) -> None:
    """Run a pass for these signals and discard its values."""
    from nait.signals.passes.runners import Runner, read_ahead

    with Runner(network, signals) as runner:
        for _ in read_ahead(runner, table, plan(table.lengths, batch_tokens)):
            pass
