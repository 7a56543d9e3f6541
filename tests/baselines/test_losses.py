"""Perplexity and IFD: their formulas by hand, the rows they refuse, the passes they share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from nait.baselines.ifd import Ifd
from nait.baselines.perplexity import Perplexity
from nait.baselines.shared.single_column import mean_nll, one_column
from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.errors import ConfigError
from nait.models.prompts.templates import TextTemplate
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.signals.specs.activations import Embedding, Losses
from nait.store import Store
from tests.baselines.conftest import TEMPLATE, Open
from tests.families import pool

DIRECT = TextTemplate(prompt="A: ", system="", unconditional=True)
ALL = Ifd(TEMPLATE, DIRECT, highest=None)


def one_row(instruction: str, answer: str) -> Pool:
    return gather("one", [Example("a", (Turn(instruction, answer),))])


def mean_nll_of(x: Any, prompt: str, answer: str) -> float:
    """Mean NLL of the answer's tokens behind the prompt, from the network's own logits."""
    ids = x.tokenizer()(prompt + answer)["input_ids"]
    with torch.no_grad():
        logp = x.encodings.network()(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    first = len(x.tokenizer()(prompt)["input_ids"])
    return float(-np.mean([float(logp[t - 1, ids[t]]) for t in range(first, len(ids))]))


def test_perplexity_is_the_exponential_of_the_answers_mean_loss(opened: Open) -> None:
    x = opened()
    wanted = math.exp(mean_nll_of(x, "Q: Say it\nA: ", "tree"))
    found = Perplexity().score(one_row("Say it", "tree"), [], x).values
    assert found[0, 0] == pytest.approx(wanted, rel=1e-5)
    whole = math.exp(mean_nll_of(x, "", "Q: Say it\nA: tree"))
    assert Perplexity("whole").score(one_row("Say it", "tree"), [], x).values[0, 0] == pytest.approx(
        whole, rel=1e-5
    )


def test_perplexity_may_write_rows_in_its_own_way(opened: Open) -> None:
    x = opened()
    own = Perplexity(template=TextTemplate(prompt="{user}: "))
    wanted = math.exp(mean_nll_of(x, "Say it: ", "tree"))
    assert own.score(one_row("Say it", "tree"), [], x).values[0, 0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("ratio", ["means", "perplexities"])
def test_ifd_is_the_loss_with_the_instruction_over_the_loss_without(opened: Open, ratio: Any) -> None:
    x = opened()
    s_c, s_d = mean_nll_of(x, "Q: Say it\nA: ", "tree"), mean_nll_of(x, "A: ", "tree")
    wanted = s_c / s_d if ratio == "means" else math.exp(s_c - s_d)
    found = Ifd(TEMPLATE, DIRECT, ratio=ratio, highest=None).score(one_row("Say it", "tree"), [], x)
    assert found.values[0, 0] == pytest.approx(wanted, rel=1e-5)


def test_rows_outside_the_bounds_are_not_ranked_and_counted(opened: Open) -> None:
    x = opened()
    values = ALL.score(pool(), [], x).column("any")
    low, high = np.quantile(values, [0.25, 0.75])
    table = Ifd(TEMPLATE, DIRECT, lowest=float(low), highest=float(high)).score(pool(), [], x)
    np.testing.assert_array_equal(table.eligible, (values >= low) & (values <= high))
    assert table.ineligible_counts() == {f"IFD above {high:g}": 6, f"IFD below {low:g}": 6}


def test_a_prompt_that_leaves_no_room_is_named(opened: Open) -> None:
    long, short = "x" * 300, Example("b", (Turn("Say", "tree"),), row=1)
    rows = gather("two", [Example("a", (Turn(long, "tree"),)), short])
    table = ALL.score(rows, [], opened(max_length=64))
    assert table.eligible.tolist() == [False, True]
    assert table.ineligible_counts() == {"prompt fills max_length": 1}
    assert Perplexity().score(rows, [], opened(max_length=64)).ineligible_counts() == {
        "no token of the answer to predict": 1
    }


def test_both_sides_see_the_same_part_of_a_long_answer(opened: Open) -> None:
    rows = one_row("Say it", "y" * 300)
    (c, _, _), (d, _, _) = Ifd(TEMPLATE, DIRECT, allowance=4).requests(rows, [], opened(max_length=64))
    # The beginning token and "A: " are four tokens: the constant is right for this tokenizer.
    assert c.tokens(rows).answer_tokens[0] == d.tokens(rows).answer_tokens[0] == 64 - len("<Q: Say it\nA: ")


def test_a_wrong_allowance_is_seen(opened: Open) -> None:
    table = Ifd(TEMPLATE, DIRECT, allowance=9, highest=None).score(
        one_row("Say it", "y" * 300), [], opened(max_length=64)
    )
    assert table.ineligible_counts() == {"more of the answer fits alone than behind its prompt": 1}


def test_a_conversation_that_is_cut_is_not_ranked(opened: Open) -> None:
    """Its direct text would hold the later answers too: other tokens than behind the prompts."""
    long = Example("a", (Turn("hi", "y" * 50), Turn("x" * 100, "z" * 50)))
    rows = gather("two", [long, Example("b", (Turn("hi", "yes"), Turn("and", "no")), row=1)])
    x = opened(max_length=128)
    (c, _, _), (d, _, _) = ALL.requests(rows, [], x)
    assert c.tokens(rows).answer_tokens.tolist() == [50, 5]
    assert d.tokens(rows).answer_tokens.tolist() == [100, 5]
    table = ALL.score(rows, [], x)
    assert table.eligible.tolist() == [False, True]
    assert table.ineligible_counts() == {"turns beyond max_length": 1}


def test_methods_share_a_pass_through_their_requests(opened: Open) -> None:
    x = opened()
    forwards: list[int] = []
    requests = [*Perplexity().requests(pool(), [], x), *Perplexity("whole").requests(pool(), [], x)]
    signals = [signal for _, _, asked in requests for signal in asked]
    assert signals == [Losses("answer"), Losses("whole")]
    x.measure(pool(), [*signals, Embedding()])
    x.encodings.network().get_decoder().register_forward_hook(lambda *_: forwards.append(1))
    Perplexity().score(pool(), [], x)
    Perplexity("whole").score(pool(), [], x)
    assert forwards == []


def test_scores_do_not_depend_on_how_the_pass_is_cut(opened: Open) -> None:
    usual = [scorer.score(pool(), [], opened()).values for scorer in (Perplexity(), ALL)]
    engine = Engine(batch_tokens=50, padding="left", progress=False)
    first = opened()
    x = StoredExtractor(
        first.model, Store(first.store.root / "other"), first.encodings.template, engine=engine
    )
    for scorer, values in zip((Perplexity(), ALL), usual, strict=True):
        np.testing.assert_allclose(scorer.score(pool(), [], x).values, values, rtol=1e-5)


def test_mean_loss_by_hand() -> None:
    found = mean_nll(np.array([[6.0, 3.0], [0.0, 0.0], [1.0, 4.0]]))
    np.testing.assert_array_equal(found, [2.0, np.nan, 0.25])


def test_the_first_reason_that_holds_is_given() -> None:
    mask = np.array([True, False, False] + [False] * 21)
    table = one_column(
        pool(), np.where(np.arange(24) == 1, np.inf, 1.0), {"first": mask, "second": mask}, unit="1", definition=""
    )  # fmt: skip
    assert table.reasons == {"id000": "first", "id001": "not a finite number"}
    assert not table.eligible[:2].any()


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="scope"):
        Perplexity("answers")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="ratio"):
        Ifd(TEMPLATE, DIRECT, ratio="mean")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="allowance"):
        Ifd(TEMPLATE, DIRECT, allowance=-1)
    with pytest.raises(ConfigError, match="between"):
        Ifd(TEMPLATE, DIRECT, lowest=1.0, highest=0.5)
