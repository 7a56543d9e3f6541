"""What the benchmarks run on: random Llamas of a stated size, and rows with the lengths of real instruction data."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from nait.core.tokens import TokenTable, token_table

SIZES = {
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
# Deciles of Alpaca's lengths in tokens of a 32k vocabulary, template included.
LENGTH_DECILES = (45, 57, 64, 72, 82, 95, 112, 136, 168, 220, 512)


def arguments(description: str | None, *, rows: int, model: str = "random:25m") -> argparse.Namespace:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--model", default=model, help=f"a folder, or random:{'|'.join(SIZES)}")
    return parser.parse_args()


def load(name: str, *, device: str, dtype: str) -> Any:
    """The causal language model, in eval mode."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    kind: Any = getattr(torch, dtype)
    if name.startswith("random:"):
        torch.manual_seed(0)
        config = LlamaConfig(
            **SIZES[name.removeprefix("random:")], vocab_size=32000, max_position_embeddings=2048
        )
        network = AutoModelForCausalLM.from_config(config, dtype=kind)
    else:
        network = AutoModelForCausalLM.from_pretrained(name, dtype=kind, local_files_only=True)
    return network.to(device).eval()


def rows(count: int, *, vocabulary: int, seed: int = 0) -> TokenTable:
    """Random token ids whose lengths follow Alpaca's distribution; the last third of each row is its answer."""
    generator = np.random.default_rng(seed)
    places = generator.random(count) * (len(LENGTH_DECILES) - 1)
    lengths = np.interp(places, np.arange(len(LENGTH_DECILES)), LENGTH_DECILES).astype(int)
    ids = [generator.integers(3, vocabulary, size=length).tolist() for length in lengths]
    answers = [[i >= 2 * len(row) // 3 for i in range(len(row))] for row in ids]
    return token_table(ids, answers, [False] * count)
