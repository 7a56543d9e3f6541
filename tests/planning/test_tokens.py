"""Laws of a plan's tokens: what a pass reads is what the decoder is given, counted or expected."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.models.prompts.templates import TextTemplate
from nait.models.tokens.encoding import encode
from nait.planning.subsample import draw
from nait.planning.token_estimates import counted, extrapolated
from nait.signals.passes.options import Engine
from nait.signals.passes.run import run_pass
from nait.signals.specs.activations import Embedding
from tests.families import network, tokenizer

TEMPLATE = TextTemplate(prompt="Answer as well as you can.\nQ: {user}\nA: ")
PLAIN = TextTemplate(prompt="{user}")
ENGINE = Engine(batch_tokens=512, progress=False)
MOST = 200


def rows(count: int) -> Pool:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 60, size=(count, 2))
    return gather(
        "rows",
        [
            Example(f"{i:05d}", (Turn(chr(65 + i % 50) + "x" * int(asked), "y" * int(said)),))
            for i, (asked, said) in enumerate(sizes)
        ],
    )


def table(pool: Pool, template: TextTemplate) -> Any:
    return encode(pool.examples, template, tokenizer(), max_length=MOST)


@pytest.mark.parametrize("template", [TEMPLATE, PLAIN])
@pytest.mark.parametrize("share", [True, False])
def test_tokens_that_a_pass_reads_are_those_the_decoder_is_given(
    template: TextTemplate, share: bool, tmp_path: Path
) -> None:
    engine = Engine(batch_tokens=512, progress=False, share_prefixes=share)
    coded, model = table(rows(90), template), network("llama")
    given: list[torch.Tensor] = []
    read = partial(run_pass, lambda: model, coded, engine=engine, name="rows")
    (tmp_path / "first").mkdir()
    read([Embedding("last")], tmp_path / "first")  # checks once that the model reads no padding
    model.model.register_forward_pre_hook(
        lambda _, __, options: given.append(options["input_ids"]), with_kwargs=True
    )
    read([Embedding()], tmp_path)
    tokens = counted(coded, engine)
    batches = [ids for ids in given if len(ids) > 1]  # the prefix itself, and one row both ways, stand alone
    assert sum(ids.numel() for ids in batches) == tokens.forwarded
    assert (tokens.shared > 0) == (share and template is TEMPLATE)
    assert tokens.forwarded >= tokens.total - tokens.shared
    assert 0 <= tokens.padded_share < 1


@pytest.mark.parametrize("template", [TEMPLATE, PLAIN])
def test_tokens_expected_from_some_rows_are_read_as_those_of_all(template: TextTemplate) -> None:
    pool = rows(1500)
    drawn = draw(pool, 200)
    truth = counted(table(pool, template), ENGINE)
    guess = extrapolated(pool, drawn, table(drawn, template), ENGINE, most=MOST)
    assert guess.total == pytest.approx(truth.total, rel=0.02)
    assert guess.forwarded == pytest.approx(truth.forwarded, rel=0.03)
    assert guess.shared == pytest.approx(truth.shared, rel=0.03)
    assert int(guess.answers.sum()) == pytest.approx(int(truth.answers.sum()), rel=0.05)


def test_each_of_two_templates_prefixes_has_its_share_of_the_expected_rows() -> None:
    engine = Engine(progress=False)
    pool = rows(1200)
    with_system = [
        Example(
            one.id, (Turn(one.turns[0].instruction, one.turns[0].answer),), system="Be brief. " * (i % 3 == 0)
        )
        for i, one in enumerate(pool.examples)
    ]
    both = gather("both", with_system)
    template = TextTemplate(prompt="Question: {user}\nAnswer: ", system="{system}")
    drawn = draw(both, 300)
    truth = counted(table(both, template), engine)
    guess = extrapolated(both, drawn, table(drawn, template), engine, most=MOST)
    assert len(guess.prefixes.ids) == len(truth.prefixes.ids) == 2
    assert guess.shared == pytest.approx(truth.shared, rel=0.1)


def test_rows_whose_tokens_were_counted_keep_their_counts() -> None:
    """A plan prints the total as a count, without the word "about", where the sample is the whole pool."""
    rough = [
        Example(one.id, (Turn(one.turns[0].instruction, "1 " * 20 if i % 3 else one.turns[0].answer),))
        for i, one in enumerate(rows(60).examples)
    ]
    pool = gather("rough", rough)
    for size in (60, 30):
        drawn = draw(pool, size)
        coded = table(drawn, TEMPLATE)
        guess = extrapolated(pool, drawn, coded, ENGINE, most=MOST)
        places = [pool.ids.index(key) for key in drawn.ids]
        assert guess.lengths[places].tolist() == coded.lengths.tolist()
        assert guess.answers[places].tolist() == coded.answer_tokens.tolist()
