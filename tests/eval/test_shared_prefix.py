"""The language model with shared prefixes gives the answers of the harness's own model."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM

from nait.eval.language_model.positions import automatic_tokens, fitting_tokens
from nait.eval.language_model.shared_prefix import SharedPrefixLM, backend_warnings
from tests.families import CONFIGS, network, tokenizer

ALIKE = 1e-4
"""Log-likelihoods of a few tokens may differ by this many nats."""
SHARED = [name for name in CONFIGS if name != "falcon"]
WORDS = [
    "once",
    "upon",
    "time",
    "there",
    "little",
    "girl",
    "had",
    "dog",
    "and",
    "cat",
    "big",
    "red",
    "tree",
    "park",
]


@pytest.fixture(autouse=True)
def _threads() -> None:
    torch.set_num_threads(1)


def texts(seed: int = 0) -> list[str]:
    """Contexts behind three preambles, some much longer, with questions of several lengths; some occur twice."""
    drawn = random.Random(seed)
    preambles = [" ".join(drawn.choices(WORDS, k=12)) for _ in range(2)]
    found = [f"{drawn.choice(preambles)} {' '.join(drawn.choices(WORDS, k=1 + i % 7))}" for i in range(14)]
    return [*found, *found[:2], "tree"]


def rated(seed: int = 0) -> list[Instance]:
    drawn = random.Random(seed)
    pairs = [
        (text, answer)
        for text in texts(seed)
        for answer in (" A", " B", " big dog", f" {drawn.choice(WORDS)} and the park", " big do")
    ]
    pairs += [("", " once"), ("time ", "there was"), ("x", " y")]
    return [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]


def asked(most: int = 12, **settings: Any) -> list[Instance]:
    return [
        Instance("generate_until", {}, (text, {"until": ["e", "\n"], "max_gen_toks": most, **settings}), i)
        for i, text in enumerate(texts())
    ]


def models(net: Any, **options: Any) -> tuple[HFLM, SharedPrefixLM]:
    """The harness's own model with one row a batch, and ours."""
    options = {"pretrained": net, "tokenizer": tokenizer(), **options}
    return HFLM(batch_size=1, **options), SharedPrefixLM(batch_size=1, batch_tokens=256, seed=1, **options)


def assert_alike(ours: Sequence[tuple[float, bool]], wanted: Sequence[tuple[float, bool]]) -> None:
    assert len(ours) == len(wanted)
    for (nats, first), (wanted_nats, wanted_first) in zip(ours, wanted, strict=True):
        assert nats == pytest.approx(wanted_nats, abs=ALIKE)
        assert first == wanted_first


@pytest.mark.parametrize("family", SHARED)
def test_log_likelihoods_and_answers_are_the_harness_own(family: str) -> None:
    theirs, ours = models(network(family))
    assert ours.not_shared is None
    requests = rated()
    assert_alike(
        ours.loglikelihood(requests, disable_tqdm=True), theirs.loglikelihood(requests, disable_tqdm=True)
    )
    requests = asked()
    assert ours.generate_until(requests, disable_tqdm=True) == theirs.generate_until(
        requests, disable_tqdm=True
    )


@pytest.mark.parametrize("family", ["gpt2", "opt"])
def test_padding_has_no_position_beyond_the_context(family: str) -> None:
    """Widths are rounded up: 86 tokens to 88, of which the model has 87."""
    pairs = [("once upon a time " * 5)[:84], ("once upon a time " * 4)[:60]]
    requests = [Instance("loglikelihood", {}, (text, " x"), i) for i, text in enumerate(pairs)]
    context = max(len(tokenizer()(text)["input_ids"]) for text in pairs) + 2
    config = copy.deepcopy(network(family).config)
    config.max_position_embeddings = context
    torch.manual_seed(0)
    theirs, ours = models(AutoModelForCausalLM.from_config(config).eval())
    assert ours.not_shared is None
    wanted = [nats for nats, _ in theirs.loglikelihood(requests, True)]
    assert [nats for nats, _ in ours.loglikelihood(requests, True)] == pytest.approx(wanted, abs=1e-5)


def test_soft_capped_attention_is_the_harness_own() -> None:
    net = network("gemma2")
    net.set_attn_implementation("eager")
    theirs, ours = models(net)
    assert ours.not_shared is None
    assert_alike(ours.loglikelihood(rated(), True), theirs.loglikelihood(rated(), True))
    assert ours.generate_until(asked(), True) == theirs.generate_until(asked(), True)


@pytest.mark.parametrize("family", ["falcon", "mamba", "bloom"])
def test_a_network_that_cannot_continue_a_prefix_gets_the_harness_own_model(family: str) -> None:
    theirs, ours = models(other(family) if family != "falcon" else network(family))
    assert ours.not_shared
    assert_alike(ours.loglikelihood(rated(), True), theirs.loglikelihood(rated(), True))
    assert ours.generate_until(asked(4), True) == theirs.generate_until(asked(4), True)
    (warning,) = backend_warnings(ours)
    assert warning.startswith("prefixes are not shared")


def other(family: str) -> Any:
    """A network whose layers keep a recurrent state, or add a bias to the scores."""
    import transformers

    torch.manual_seed(0)
    ids = {"vocab_size": 320, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "hidden_size": 32}
    if family == "mamba":
        config: Any = transformers.MambaConfig(**ids, num_hidden_layers=2, state_size=4, expand=2)
    else:
        config = transformers.BloomConfig(**ids, n_layer=2, n_head=4)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def test_a_decoder_with_other_values_behind_a_prefix_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network("llama")
    original = net.model.forward

    def wrong(*args: Any, position_ids: Any = None, **options: Any) -> Any:
        return original(*args, **options)

    monkeypatch.setattr(net.model, "forward", wrong)
    assert "other values behind a shared prefix" in str(models(net)[1].not_shared)


def test_an_adapter_is_evaluated_and_the_network_keeps_its_attention() -> None:
    from peft import LoraConfig, get_peft_model

    net = network("llama")
    before = net.config._attn_implementation
    torch.manual_seed(1)
    adapted = get_peft_model(
        net, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    ).eval()
    theirs, ours = models(adapted)
    assert ours.not_shared is None
    assert_alike(ours.loglikelihood(rated(), True), theirs.loglikelihood(rated(), True))
    assert ours.generate_until(asked(), True) == theirs.generate_until(asked(), True)
    assert net.config._attn_implementation == before


def test_prompts_beyond_the_context_lose_their_beginnings_as_in_the_harness() -> None:
    theirs, ours = models(network("llama"), max_length=48)
    assert_alike(ours.loglikelihood(rated(), True), theirs.loglikelihood(rated(), True))
    assert ours.generate_until(asked(), True) == theirs.generate_until(asked(), True)


def test_rolling_log_likelihoods_are_the_harness_own() -> None:
    theirs, ours = models(network("llama"), max_length=48)
    requests = [Instance("loglikelihood_rolling", {}, (text,), i) for i, text in enumerate(texts())]
    wanted = theirs.loglikelihood_rolling(requests, True)
    assert ours.loglikelihood_rolling(requests, True) == pytest.approx(wanted, abs=20 * ALIKE)


def test_text_is_encoded_as_the_harness_encodes_it() -> None:
    theirs, ours = models(network("llama"))
    pairs = [("a cat ", "sat"), ("<s>a cat", " sat"), ("a cat\n", "\nsat"), ("é", "é")]
    seen: list[Any] = []
    for lm in (theirs, ours):
        lm._loglikelihood_tokens = lambda requests, **_: seen.append(requests)
        lm.loglikelihood([Instance("loglikelihood", {}, pair, 0) for pair in pairs], True)
    assert seen[0] == seen[1]


def test_every_distinct_token_is_forwarded_once() -> None:
    net = network("llama")
    _, ours = models(net)
    preamble = " ".join(WORDS * 2)
    requests = [
        Instance("loglikelihood", {}, (f"{preamble} {word}?", answer), i)
        for i, word in enumerate(WORDS)
        for answer in ("A", "B", "C", "D")
    ]
    forwarded, predicted = count(net, lambda: ours.loglikelihood(requests, True))
    distinct = len(preamble) + 1 + sum(len(f" {word}?") for word in WORDS)
    assert forwarded < 1.1 * distinct  # rows of a batch are padded
    assert predicted == len(WORDS)


def test_finished_answers_leave_the_batch_and_waiting_prompts_join() -> None:
    net = network("llama")
    theirs, ours = models(net)
    ours.batch_tokens = 400
    requests = asked(40)
    wanted = theirs.generate_until(requests, True)
    _, predicted = count(net, lambda: ours.generate_until(requests, True))
    lengths = [len(text.encode()) + 1 for text in wanted]
    assert min(lengths) < 20
    assert predicted <= sum(min(length, 40) for length in lengths) + len(requests)
    assert ours.generate_until(requests, True) == wanted


def count(net: Any, run: Any) -> tuple[int, int]:
    """Tokens that the decoder runs, and positions of the LM head."""
    tokens, positions = [0], [0]
    hooks = [
        net.model.embed_tokens.register_forward_hook(
            lambda *given: tokens.append(given[2].shape[:2].numel())
        ),
        net.lm_head.register_forward_hook(lambda *given: positions.append(given[2].shape[:-1].numel())),
    ]
    run()
    for hook in hooks:
        hook.remove()
    return sum(tokens), sum(positions)


def test_samples_are_those_of_the_seed_whatever_the_batch() -> None:
    net = network("llama")
    requests = asked(do_sample=True, temperature=1.5, until=["\n"])
    answers = []
    for batch_tokens, seed in ((64, 1), (4096, 1), (4096, 2)):
        _, ours = models(net)
        ours.batch_tokens, ours.seed = batch_tokens, seed
        answers.append(ours.generate_until(requests, True))
    assert answers[0] == answers[1] != answers[2]


def test_samples_follow_the_networks_distribution() -> None:
    net = network("llama")
    _, ours = models(net)
    settings = {"until": [], "max_gen_toks": 1, "do_sample": True, "temperature": 2.0, "top_k": 3}
    requests = [Instance("generate_until", {}, ("once upon", settings), i) for i in range(600)]
    drawn = ours.generate_until(requests, True)
    ids = torch.tensor([tokenizer()("once upon")["input_ids"]])
    best, tokens = (net(ids).logits[0, -1] / 2.0).topk(3)
    shares: dict[str, float] = {}
    for share, token in zip(best.softmax(0).tolist(), tokens.tolist(), strict=True):
        text = tokenizer().decode([token])
        shares[text] = shares.get(text, 0.0) + share
    assert set(drawn) == set(shares)
    for text, share in shares.items():
        assert drawn.count(text) / len(drawn) == pytest.approx(share, abs=0.06)


def test_beams_and_penalties_are_left_to_the_harness() -> None:
    theirs, ours = models(network("llama"))
    for settings in ({"num_beams": 2}, {"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 2}):
        requests = asked(6, **settings)[:4]
        assert ours.generate_until(requests, True) == theirs.generate_until(requests, True)


def test_the_models_own_generation_config_applies() -> None:
    net = network("llama")
    net.generation_config.repetition_penalty = 1.5
    theirs, ours = models(net)
    assert ours.generate_until(asked(), True) == theirs.generate_until(asked(), True)


def test_bfloat16_answers_agree_within_its_rounding() -> None:
    theirs, ours = models(network("llama").to(torch.bfloat16))
    pairs = zip(ours.loglikelihood(rated(), True), theirs.loglikelihood(rated(), True), strict=True)
    assert all(nats == pytest.approx(wanted, rel=0.03, abs=0.3) for (nats, _), (wanted, _) in pairs)


@pytest.mark.parametrize("sampled", [False, True])
def test_out_of_memory_halves_the_batch_and_changes_no_answer(
    sampled: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    net = network("llama")
    _, ours = models(net)
    ours.batch_tokens = 4096
    requests = asked(20, until=["\n"], do_sample=sampled, temperature=1.0 if sampled else 0.0)
    wanted = ours.loglikelihood(rated(), True), ours.generate_until(requests, True)
    original, calls = net.model.forward, [0]

    def full(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        rows = len(options["input_ids"])
        if rows > 6 or (rows > 5 and calls[0] % 9 == 0):
            raise torch.OutOfMemoryError
        return original(*args, **options)

    monkeypatch.setattr(net.model, "forward", full)
    found = ours.loglikelihood(rated(), True), ours.generate_until(requests, True)
    assert_alike(found[0], wanted[0])
    assert found[1] == wanted[1]
    assert "Out of memory" in caplog.text


def test_a_batch_takes_what_a_gpus_memory_holds() -> None:
    heads = {"num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}
    many, few = SimpleNamespace(**heads), SimpleNamespace(**heads, num_key_value_heads=8, head_dim=128)
    per_token = 2 * (
        2 * 32 * 4096 + 32 * 4096
    )  # bytes: keys, values and activations of Llama-2-7B in bfloat16
    assert fitting_tokens(many, 2, 127 * 10**9) == 65_536
    assert 65_536 * per_token < 0.6 * 127e9 < 131_072 * per_token
    assert fitting_tokens(many, 2, 66 * 10**9) == 32_768
    assert fitting_tokens(few, 2, 127 * 10**9) == 131_072  # a quarter of the keys and values
    assert fitting_tokens(many, 2, 10**9) == fitting_tokens(many, 2, -1) == 16_384


def test_a_cpus_batch_has_the_same_budget_for_every_model() -> None:
    assert automatic_tokens(network("llama")) == 16_384


@pytest.mark.gpu
def test_a_gpus_batch_has_more() -> None:
    assert automatic_tokens(network("llama").to("cuda")) == 131_072
