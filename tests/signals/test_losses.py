"""Losses and choices equal the network's own logits in every family, however rows are batched, padded or ordered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ConfigError, ModelError
from nait.models.anatomy import dissect
from nait.models.lm_head import head_of
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.signals.extractor import StoredExtractor
from nait.signals.forward import output_meters as outputs
from nait.signals.passes.options import Engine
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import (
    Choice,
    Embedding,
    Features,
    Losses,
    Mean,
    Norms,
    Reading,
    Signal,
    project_on,
)
from nait.store import Store
from tests.families import COMMON, CONFIGS, HIDDEN, LAYERS, network, pool, save

ROWS = [[1, 9, 40, 33, 7], [1, 12, 13], [1, 50, 51, 52, 53, 54, 55, 60, 61], [8], [5, 6, 7, 9, 11, 20]]
# The answer: two last tokens; none; one in the middle; all of a single token; all, the first token too.
ANSWERS = [[0, 0, 0, 1, 1], [0, 0, 0], [0, 0, 0, 1, 0, 0, 1, 1, 0], [1], [1] * 6]
IDS = (7, 300, 12)
SCALED = {
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 8.0},
    "gemma2": {"final_logit_softcapping": 5.0, "head_dim": 8},
}


def table() -> TokenTable:
    return token_table(ROWS, [[bool(a) for a in row] for row in ANSWERS], [False] * len(ROWS))


def read(model: Any, signals: list[Signal], *, padding: Any = "right", rows: Any = None) -> list[Any]:
    with Runner(model, signals, padding=padding) as runner:
        return runner.read(table(), np.arange(len(ROWS)) if rows is None else np.array(rows))


def slow(model: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses of the answer and of the whole, and choices, row by row from the network's full logits in float64."""
    answer, whole, chosen = [], [], []
    for ids, mask in zip(ROWS, ANSWERS, strict=True):
        with torch.no_grad():
            logp = model(torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
        nll = np.array([-float(logp[t - 1, ids[t]]) for t in range(1, len(ids))])
        wanted = np.array(mask[1:], dtype=bool)
        answer.append([nll[wanted].sum(), wanted.sum()])
        whole.append([nll.sum(), len(nll)])
        chosen.append(logp[-1, list(IDS)].exp().numpy())
    return np.array(answer), np.array(whole), np.array(chosen)


@pytest.mark.parametrize("family", CONFIGS)
def test_losses_and_choices_equal_the_networks_own_logits(family: str) -> None:
    model = network(family)
    wanted = slow(model)
    for padding in ("right", "left"):
        found = read(model, [Losses("answer"), Losses("whole"), Choice(IDS)], padding=padding)
        assert [value.dtype for value in found] == [np.float64, np.float64, np.float32]
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", SCALED)
def test_a_step_after_the_head_is_applied(family: str) -> None:
    model = made(family)
    wanted = slow(model)
    found = read(model, [Losses("answer"), Losses("whole"), Choice(IDS)])
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def made(family: str) -> Any:
    name = {"cohere": "CohereConfig", "granite": "GraniteConfig", "gemma2": "Gemma2Config"}[family]
    torch.manual_seed(0)
    config = getattr(transformers, name)(**{**COMMON, **SCALED[family]})
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    return model


def test_a_head_of_a_lower_precision_is_found_too() -> None:
    model = network("gemma2").to(torch.bfloat16)
    found, exact = (read(m, [Losses("whole")])[0] for m in (model, network("gemma2")))
    assert np.corrcoef(found[:, 0], exact[:, 0])[0, 1] > 0.99


def test_an_unknown_step_after_the_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("llama")
    forward = model.forward

    def shifted(**arguments: Any) -> Any:
        output = forward(**arguments)
        output.logits = output.logits * torch.linspace(0.5, 2.0, output.logits.shape[-1])
        return output

    monkeypatch.setattr(model, "forward", shifted)
    with pytest.raises(ModelError, match="not known here"):
        read(model, [Losses()])
    read(model, [Embedding()])  # which needs no head


def test_the_head_is_checked_once_per_network() -> None:
    model = network("llama")
    assert head_of(model, dissect(model)) is head_of(model, dissect(model))


def test_a_peft_model_has_the_head_of_its_base() -> None:
    from peft import LoraConfig, get_peft_model

    model = network("llama")
    before = read(model, [Losses("whole"), Choice(IDS)])
    wrapped = get_peft_model(model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")).eval()
    for a, b in zip(before, read(wrapped, [Losses("whole"), Choice(IDS)]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_row_without_a_predicted_token_has_no_loss() -> None:
    answer, whole = read(network("llama"), [Losses("answer"), Losses("whole")])
    assert answer[1].tolist() == [0, 0]  # no answer
    assert answer[3].tolist() == whole[3].tolist() == [0, 0]  # one token, nothing before it
    assert answer[:, 1].tolist() == [2, 0, 3, 0, 5]
    assert whole[:, 1].tolist() == [4, 2, 8, 0, 5]


def test_losses_do_not_depend_on_batch_or_order() -> None:
    model = network("gpt2")
    signals: list[Signal] = [Losses("answer"), Losses("whole"), Choice(IDS)]
    together = read(model, signals)
    turned = read(model, signals, rows=[4, 2, 0, 3, 1])
    for number, value in enumerate(together):
        alone = np.concatenate([read(model, signals, rows=[i])[number] for i in range(len(ROWS))])
        np.testing.assert_allclose(alone, value, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(turned[number], value[[4, 2, 0, 3, 1]], rtol=1e-5, atol=1e-6)


def test_the_head_runs_on_few_positions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("llama")
    usual = read(model, [Losses("whole"), Choice(IDS)])
    monkeypatch.setitem(outputs.HEAD_POSITIONS, "cpu", 3)
    seen: list[int] = []
    model.lm_head.register_forward_hook(lambda m, args, out: seen.append(out.numel() // out.shape[-1]))
    few = read(model, [Losses("whole"), Choice(IDS)])
    assert max(seen) == 3
    assert sum(seen) == 19 + 5  # each predicted token once, each last token once
    for a, b in zip(usual, few, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_both_scopes_run_the_head_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("llama")
    head_of(model, dissect(model))
    seen: list[int] = []
    model.lm_head.register_forward_hook(lambda m, args, out: seen.append(out.shape[0]))
    read(model, [Losses("answer"), Losses("whole")])
    assert seen == [19]
    read(model, [Losses("answer")])
    assert seen == [19, 10]
    read(model, [Embedding(), Features(Reading())])
    assert seen == [19, 10]


def test_wrong_choices_are_named() -> None:
    with pytest.raises(ConfigError, match="answr"):
        Losses("answr")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no token"):
        Choice(())


def extractor(folder: Path, store: Path, **engine: Any) -> StoredExtractor:
    model = LocalModel(str(folder), device="cpu", max_length=128)
    template = TextTemplate(prompt="Q: {user}\nA: ")
    return StoredExtractor(model, Store(store), template, engine=Engine(**{"progress": False, **engine}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


def every_signal() -> list[Signal]:
    v_cld = np.random.default_rng(0).normal(size=(2, LAYERS + 1, HIDDEN)).astype(np.float32)
    return [
        Losses("answer"), project_on(Reading(), v_cld), Embedding(), Norms(Reading(feature="mean")),
        Losses("whole"), Mean(Reading()), Choice(IDS), Features(Reading("mlp")), Embedding("last", "prompt"),
    ]  # fmt: skip


def test_one_pass_serves_every_kind_of_signal(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    head_of(x.encodings.network(), dissect(x.encodings.network()))
    forwards: list[int] = []
    x.encodings.network().get_decoder().register_forward_hook(lambda *_: forwards.append(1))
    together = x.measure(pool(), every_signal())
    # Two rows twice and one of them alone, which shows that padding is not read; then all rows.
    assert len(forwards) == 4
    for number, signal in enumerate(every_signal()):
        alone = extractor(folder, tmp_path / f"alone{number}").measure(pool(), [signal])[0]
        np.testing.assert_allclose(together[number], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("other", [{"batch_tokens": 40}, {"padding": "left"}, {"chunk_tokens": 64}])
def test_no_signal_depends_on_batches_and_chunks(folder: Path, tmp_path: Path, other: dict[str, Any]) -> None:
    usual = extractor(folder, tmp_path / "a").measure(pool(), every_signal())
    changed = extractor(folder, tmp_path / "b", **other).measure(pool(), every_signal())
    for a, b in zip(usual, changed, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_out_of_memory_in_the_head_halves_the_batch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = extractor(folder, tmp_path / "a").measure(pool(), every_signal())
    original = outputs.token_losses

    def tight(head: Any, h_btd: Any, *rest: Any) -> Any:
        if len(h_btd) > 3:
            raise torch.OutOfMemoryError
        return original(head, h_btd, *rest)

    monkeypatch.setattr(outputs, "token_losses", tight)
    halved = extractor(folder, tmp_path / "b").measure(pool(), every_signal())
    assert "half" in caplog.text
    for a, b in zip(usual, halved, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
