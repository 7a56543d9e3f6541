"""Laws of the committed model: it loads in silence, is the one its card states, and knows a little."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from nait.nano import world
from nait.nano.families import CAPABILITIES
from nait.nano.pretraining import pretraining_text as documents
from nait.nano.pretraining import probe
from nait.nano.pretraining.pretrain import CHECK_STEPS, LOG, MODEL, checksum, recorded
from nait.nano.prompt import prompt

KNOWN = ("gain", "phrase", "sentence")


@pytest.fixture(scope="module")
def loaded() -> tuple[object, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return probe.load()


def test_weights_are_the_ones_the_card_and_the_log_state() -> None:
    card = (MODEL.parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert checksum(MODEL) in card
    assert recorded(MODEL)["sha256"] == checksum(MODEL)
    assert recorded(MODEL)["check"]["steps"] == CHECK_STEPS
    assert (MODEL / LOG).exists()


def test_the_model_was_trained_on_this_version_of_the_text() -> None:
    assert recorded(MODEL)["documents"] == documents.fingerprint()


def test_the_model_is_small() -> None:
    assert sum(path.stat().st_size for path in Path(MODEL).iterdir()) < 4_000_000


def test_the_tokenizer_puts_a_start_in_front_and_nothing_behind(loaded) -> None:
    _, tokenizer = loaded
    ids = tokenizer("### Instruction:\nGo 12 left.")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "### Instruction:\nGo 12 left."
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3


def test_every_row_fits_the_model(loaded) -> None:
    model, tokenizer = loaded
    lengths = [
        len(tokenizer(prompt(row["instruction"], row["input"]) + row["output"])["input_ids"])
        for row in world.pool_rows(1_000)
    ]
    assert max(lengths) < model.config.max_position_embeddings // 2


def test_the_base_model_has_the_accuracy_of_its_log(loaded) -> None:
    model, tokenizer = loaded
    skills = [skill for skill in (*CAPABILITIES["math"], *CAPABILITIES["translation"]) if skill.name in KNOWN]
    found = probe.raw_accuracies(model, tokenizer, skills)
    stated = recorded(MODEL)["probes"][-1]["raw"]
    assert found == pytest.approx({name: stated[name] for name in KNOWN}, abs=0.11)
    assert min(found.values()) >= 0.7


def test_tuning_is_repeatable_and_leaves_the_base_alone(loaded) -> None:
    model, tokenizer = loaded
    rows = probe.chosen(world.pool_rows(1_000), "math", count=32, seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    one, two = (probe.tuned(model, tokenizer, rows, seed=1, epochs=1).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert any(not torch.equal(tensor, before[name]) for name, tensor in one.items())
