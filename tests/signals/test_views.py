"""Views of an extractor: other texts, other limits, other models, one store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nait.core.errors import ConfigError
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate, ended
from nait.signals.extractor import StoredExtractor
from nait.signals.lineage import Lineage
from nait.signals.passes.options import Engine
from nait.signals.specs.activations import Norms, Reading
from nait.store import Store
from tests.families import pool, save, target

LONG = TextTemplate(prompt="### Do this: {user}\n### Answer: ")
BARE = TextTemplate(prompt="A:", unconditional=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("model"))


def extractor(folder: Path, store: Path) -> StoredExtractor:
    model = LocalModel(str(folder), device="cpu", max_length=80)
    return StoredExtractor(model, Store(store), LONG, engine=Engine(progress=False))


def test_a_lineage_counts_a_shared_pass_as_if_its_result_were_alone(tmp_path: Path) -> None:
    meters = [{"signals": [0], "seconds": 40.0}, {"signals": [1], "seconds": 10.0}]
    facts = {"seconds": 100.0, "energy_wh": 10.0, "meters": meters}
    whole = Store(tmp_path).produce("passes", {}, lambda _: facts)
    found = Lineage()
    found.add(replace(whole, fresh=False), [1])
    assert [found.seconds(1.0), found.energy_wh(0.5)] == pytest.approx([61.0, 6.5])
    assert found.made_of() == [["passes", whole.address, [1]]]
    found.add(whole, [0])
    assert found.seconds(1.0) == pytest.approx(101.0)
    found.add(whole)
    assert found.made_of() == [["passes", whole.address]]


def test_a_view_reads_other_texts_and_leaves_its_extractor_unchanged(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    before = x.lengths(pool()).copy()
    view = x.under(template=BARE, max_length=12)
    assert view.lengths(pool()).max() == 12
    np.testing.assert_array_equal(x.lengths(pool()), before)


def test_prompt_lengths_are_the_tokens_before_the_answer(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    table, tokenizer = x.tokens(pool()), x.tokenizer()
    for row, example in enumerate(pool().examples):
        turn = example.turns[0]
        text = (
            f"### Do this: {turn.instruction}" + (f"\n{turn.input}" if turn.input else "") + "\n### Answer: "
        )
        assert x.prompt_lengths(pool())[row] == min(80, len(tokenizer(text)["input_ids"]))
        ids, answer = table.row(row)
        first = int(np.argmax(answer)) if answer.any() else len(ids)
        assert x.prompt_lengths(pool())[row] == first


def test_a_text_behind_another_prompt_is_cut_to_the_tokens_that_prompt_leaves(
    folder: Path, tmp_path: Path
) -> None:
    x = extractor(folder, tmp_path)
    direct = x.under(template=BARE, room_for=LONG, allowance=4)
    whole = x.under(template=BARE, max_length=256).lengths(pool())
    room = 80 - x.prompt_lengths(pool()) + 4
    np.testing.assert_array_equal(direct.lengths(pool()), np.minimum(whole, room))
    assert (whole > room).any(), "no row is cut: the test shows nothing"
    assert direct.identity(pool()) != x.under(template=BARE).identity(pool())


def test_views_share_one_open_model(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    network = x.encodings.network()
    assert x.under(template=BARE).encodings.network() is network
    other = x.on(LocalModel(str(folder), device="cpu", max_length=80, dtype="bfloat16"))
    assert other.encodings.network() is not network
    assert other.identity(pool())["model"] != x.identity(pool())["model"]


@pytest.mark.parametrize("name", ["model", "store", "template", "engine", "encodings", "lineage"])
def test_the_attributes_of_an_extractor_are_read_only(name: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        setattr(extractor(folder, tmp_path), name, None)


def test_a_traced_view_and_its_views_have_their_own_lineage(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    (norms,) = x.measure(pool(), [Norms(Reading())])
    traced = x.traced()
    assert list(traced.lineage) == []
    before = x.lineage.made_of()
    (again,) = traced.under(max_length=80).measure(pool(), [Norms(Reading())])
    np.testing.assert_array_equal(again, norms)
    assert {one.kind for one in traced.lineage} == {"encodings", "passes"}
    assert not any(one.fresh for one in traced.lineage)
    traced.under(template=BARE).tokens(pool())
    assert sorted(one.kind for one in traced.lineage) == ["encodings", "encodings", "passes"]
    assert x.lineage.made_of() == before


def test_signals_of_a_view_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    (ours,) = x.measure(pool(), [Norms(Reading())])
    (theirs,) = x.under(template=BARE).measure(pool(), [Norms(Reading())])
    assert not np.allclose(ours, theirs)


def test_an_extractor_without_a_trainer_refuses_to_fine_tune(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot train"):
        extractor(folder, tmp_path).fine_tune(pool(), pool().ids, trainer=None, seed=0)  # type: ignore[arg-type]


def test_the_end_token_is_added_to_pool_and_reference_rows(folder: Path, tmp_path: Path) -> None:
    x = extractor(folder, tmp_path)
    view = x.under(end_token=True)
    always = x.under(template=replace(LONG, eos="always"))
    for examples in (pool(), target()):
        assert view.identity(examples) == always.identity(examples) != x.identity(examples)
        np.testing.assert_array_equal(view.lengths(examples), np.minimum(x.lengths(examples) + 1, 80))
    assert view.under(end_token=True).identity(pool()) == view.identity(pool())


def test_a_reference_template_keeps_its_text_with_the_end_token(folder: Path, tmp_path: Path) -> None:
    model = LocalModel(str(folder), device="cpu", max_length=80)
    x = StoredExtractor(model, Store(tmp_path), LONG, reference_template=BARE)
    assert x.under(end_token=True).encodings.reference_template == replace(BARE, eos="always")


def test_a_template_that_cannot_be_copied_is_refused_with_advice() -> None:
    class Own:
        """A template that is not a dataclass."""

        eos = "train"

    with pytest.raises(ConfigError, match=r"selector\.end_token: Own is not a dataclass"):
        ended(Own())  # type: ignore[arg-type]
