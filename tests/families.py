"""Tiny random models of many families, and a tiny byte-level tokenizer, for the tests of several rooms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, gather

HIDDEN, LAYERS, VOCABULARY = 32, 3, 320
COMMON = {
    "hidden_size": HIDDEN, "intermediate_size": 48, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": 256, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OTHER = {"hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "vocab_size": VOCABULARY,
         "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", COMMON),
    "mistral": ("MistralConfig", {**COMMON, "sliding_window": 16}),
    "qwen2": ("Qwen2Config", COMMON),
    "qwen3": ("Qwen3Config", {**COMMON, "head_dim": 8}),
    "gemma2": ("Gemma2Config", {**COMMON, "head_dim": 8, "sliding_window": 16}),
    "gemma3": ("Gemma3TextConfig", {**COMMON, "head_dim": 8, "sliding_window": 16}),
    "phi3": ("Phi3Config", COMMON),
    "gpt_neox": ("GPTNeoXConfig", {**OTHER, "intermediate_size": 48, "max_position_embeddings": 256}),
    "opt": ("OPTConfig", {**OTHER, "ffn_dim": 48, "word_embed_proj_dim": HIDDEN, "max_position_embeddings": 256}),
    "gpt2": ("GPT2Config", {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": 4, "n_inner": 48, "n_positions": 256,
                            "vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}),
    "falcon": ("FalconConfig", {**OTHER, "ffn_hidden_size": 48, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "mixtral": ("MixtralConfig", {**COMMON, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": ("Qwen3MoeConfig", {**COMMON, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
                                     "moe_intermediate_size": 16, "norm_topk_prob": True}),
}  # fmt: skip
DENSE = [name for name in CONFIGS if name not in ("mixtral", "qwen3_moe")]


def network(family: str, *, seed: int = 0) -> Any:
    """A random causal language model of the family, in float32 and eval mode."""
    import torch
    import transformers

    name, options = CONFIGS[family]
    config = getattr(transformers, name)(**options)
    torch.manual_seed(seed)
    made = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    # With the usual scale of random weights, activations are near 0, which hides errors.
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return made


def tokenizer(*, bos: bool = True) -> Any:
    """A byte-level tokenizer without merges: <pad> 0, <s> 1, </s> 2, then 256 bytes; `bos` adds <s> in front."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    bare = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    if bos:
        bare.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, pad_token="<pad>", bos_token="<s>", eos_token="</s>", model_max_length=256
    )


def save(folder: Path, family: str = "llama", *, bos: bool = True) -> Path:
    """A model's folder on disk, to be opened like any other."""
    network(family).save_pretrained(folder)
    tokenizer(bos=bos).save_pretrained(folder)
    return folder


def pool(rows: int = 24, *, name: str = "pool") -> Pool:
    """Rows of very different lengths, some with an input."""
    words = ["red", "green", "blue", "one", "two", "three", "sum", "sort", "list", "tree"]
    examples = []
    for i in range(rows):
        picked = [words[(i * 7 + j * 3) % len(words)] for j in range(1 + (i * 5) % 13)]
        turn = Turn(f"Do {i}: {' '.join(picked)}", " ".join(reversed(picked)), "x y" if i % 4 == 0 else "")
        examples.append(Example(f"id{i:03d}", (turn,), row=i))
    return gather(name, examples)


def target(rows: int = 6, *, name: str = "target", salt: int = 100) -> Target:
    """A reference set of different rows."""
    turns = [Turn(f"Count {salt + i * i}", f"{salt + i * i} is the count of {i}") for i in range(rows)]
    return as_target(gather(name, [Example(f"t{i}", (turn,), row=i) for i, turn in enumerate(turns)]))
