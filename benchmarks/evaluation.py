"""Evaluation: the harness's HF model over ours, and ours over its floor, on requests shaped like three suites.

`mmlu`: questions behind 5 examples of a subject, four choices of one token. `bbh`: answers behind 3 examples with
chain of thought. `gsm8k`: answers to prompts whose 5 examples are drawn for each question, so nothing is shared.
Token ids are random; at most `--new` tokens are generated for each prompt. The harness's model has the faster of two
batch sizes. `--questions` is the number of MMLU's questions (default: `--rows`): a subject has 100 to 1,534.

The floor is one forward of the decoder over each distinct token, behind a cached prefix where there is one, in
batches with little padding, and one step of the decoder, with transformers' static cache, and of the LM head for each
token that a batch generates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks.lines import Goal, Seconds, alternate, print_result, setting, timed
from benchmarks.models import arguments, load
from nait.eval.language_model.shared_prefix import SharedPrefixLM
from nait.models.kv.shared_decoder import Prefix, SharedDecoder
from nait.models.tokens.batches import plan
from nait.models.tokens.uneven_rows import split

FLOOR, ROUNDS, MOST_SECONDS = 1.25, 3, 12.0
BATCH_TOKENS = 16_384
VOCABULARY = 32_000
CHOICES = ("w11", "w12", "w13", "w14")
SPREAD = 0.4
"""Standard deviation of the logarithm of a prompt's own length."""


@dataclass(frozen=True)
class Shape:
    """A suite's prompts: tokens of the shared examples, and mean tokens of a prompt's own text.

    `at_least` is the goal, `batches` are the harness's batch sizes, `new` is the number of generated tokens.
    """

    name: str
    shared: int
    own: int
    at_least: float
    batches: tuple[int, int]
    new: int = 0


SHAPES = (
    Shape("mmlu", 600, 95, 5.0, (1, 8)),
    Shape("bbh", 800, 80, 2.0, (8, 16), new=128),
    Shape("gsm8k", 0, 850, 1.5, (4, 16), new=256),
)


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=8, new=64, questions=0, suites="mmlu,bbh,gsm8k")
    shapes = [shape for shape in SHAPES if shape.name in options.suites.split(",")]
    network = load(options.model, device=options.device, dtype=options.dtype)
    goals: list[Goal] = []
    times: dict[str, tuple[Seconds, Seconds]] = {}
    for shape in shapes:
        ours, theirs, floor = measured(network, shape, options)
        times[shape.name] = ours, floor
        goals.append(Goal(f"{shape.name}_over_floor", ours.over(floor), at_most=FLOOR))
        goals.append(Goal(f"{shape.name}_hf_over_ours", theirs.over(ours), at_least=shape.at_least))
    ours, floor = times[shapes[0].name]
    print_result(
        "evaluation",
        setting(options),
        seconds=ours,
        goal=FLOOR,
        floor=floor,
        goals=goals,
        new_tokens=options.new,
    )


def measured(network: Any, shape: Shape, options: Any) -> list[Seconds]:
    """Seconds of our model, of the harness's with the faster batch size, and of the floor."""
    rows = options.questions if shape.name == "mmlu" and options.questions else options.rows
    prompts = texts(shape, rows)
    new = min(shape.new, options.new)
    requests = instances(shape, prompts, new)
    kind = requests[0].request_type
    given = {"pretrained": network, "tokenizer": tokenizer()}
    ours = SharedPrefixLM(batch_tokens=BATCH_TOKENS, seed=0, **given)
    ways: list[Callable[[], Any]] = [
        partial(getattr(ours, kind), requests, disable_tqdm=True),
        partial(floor_of, network, shape, prompts, new),
    ]
    theirs = [
        partial(getattr(HFLM(batch_size=size, **given), kind), requests, disable_tqdm=True)
        for size in shape.batches
    ]
    for way in ways:
        way()
    taken = [timed(way, device=options.device) for way in theirs]
    ways.insert(1, theirs[int(np.argmin(taken))])
    return alternate(ways, rounds=ROUNDS, device=options.device, warm=True, most_seconds=MOST_SECONDS)


def texts(shape: Shape, rows: int) -> list[list[int]]:
    """Token ids of the prompts, all behind the same `shape.shared` tokens."""
    generator = np.random.default_rng(0)
    mean = np.log(shape.own) - SPREAD**2 / 2
    sizes = np.clip(generator.lognormal(mean, SPREAD, size=rows), 8, 1000).astype(int)
    shared = generator.integers(20, VOCABULARY, size=shape.shared)
    return [[*shared.tolist(), *generator.integers(20, VOCABULARY, size=size).tolist()] for size in sizes]


def instances(shape: Shape, prompts: Sequence[Sequence[int]], new: int) -> list[Instance]:
    """The harness's requests for the prompts."""
    contexts = [" ".join(f"w{token}" for token in prompt) for prompt in prompts]
    if shape.name == "mmlu":
        pairs = [(context, f" {choice}") for context in contexts for choice in CHOICES]
        return [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
    settings = {"until": ["\n\n"], "max_gen_toks": new}
    return [Instance("generate_until", {}, (context, settings), 0) for context in contexts]


def tokenizer() -> Any:
    """A tokenizer in which the word `w<n>` is token n."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{number}": number for number in range(3, VOCABULARY)}
    known = Tokenizer(models.WordLevel({"<pad>": 0, "<s>": 1, "</s>": 2, **words}, unk_token="<pad>"))
    known.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=known, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def floor_of(network: Any, shape: Shape, prompts: Sequence[Sequence[int]], new: int) -> None:
    """Run the floor: every distinct token once, then `new` steps of each batch of prompts."""
    import torch

    decoder = network.get_decoder()
    with torch.inference_mode():
        prefix = Prefix()
        if shape.shared:
            prefix = SharedDecoder(network).prefix(prompts[0][: shape.shared], prefix)
        tails = [prompt[shape.shared :] for prompt in prompts]
        lengths = np.array([len(tail) for tail in tails], dtype=np.int64)
        for rows in split(lengths, BATCH_TOKENS):
            ids = np.zeros((len(rows), int(lengths[rows].max())), dtype=np.int64)
            for i, row in enumerate(rows):
                ids[i, : lengths[row]] = tails[row]
            ids_bt = torch.from_numpy(ids).to(network.device)
            decoder(input_ids=ids_bt, past_key_values=prefix.cache, use_cache=prefix.cache is not None)
        for rows in plan(lengths + new, BATCH_TOKENS):
            last_b1 = torch.zeros((len(rows), 1), dtype=torch.int64, device=network.device)
            steps(network, last_b1, shape.shared + int(lengths[rows].max()), new)


def steps(network: Any, last_b1: Any, context: int, new: int) -> None:
    """`new` steps of decoder and LM head behind `context` tokens of a static cache, whatever its content."""
    from transformers import StaticCache

    if not new:
        return
    import torch

    config = network.config.get_text_config(decoder=True)
    size = config.hidden_size // config.num_attention_heads
    cache = StaticCache(config=config, max_cache_len=context + new)
    cache.early_initialization(len(last_b1), config.num_key_value_heads, size, network.dtype, network.device)
    for layer in cache.layers:
        layer.cumulative_length.fill_(context)
    decoder, head = network.get_decoder(), network.get_output_embeddings()
    for step in range(new):
        positions = torch.full_like(last_b1, context + step)
        found = decoder(input_ids=last_b1, position_ids=positions, past_key_values=cache, use_cache=True)
        head(found.last_hidden_state[:, -1])


if __name__ == "__main__":
    main()
