"""What a scorer asks for beforehand is all that it measures of the pool: methods can share a pass."""

from __future__ import annotations

from typing import Any

import pytest

from nait.baselines.ifd import Ifd
from nait.baselines.perplexity import Perplexity
from nait.baselines.rds import Rds
from nait.baselines.selectit import SelectIt
from nait.core.addresses import canonical_json
from nait.models.anatomy import dissect
from nait.models.lm_head import head_of
from nait.models.prompts.templates import TextTemplate
from nait.neurons.scorer import Nait
from nait.signals.specs.activations import Embedding
from tests.baselines.conftest import TEMPLATE, Open
from tests.families import pool, target

DIRECT = TextTemplate(prompt="A: ", system="", unconditional=True)
SCORERS: list[Any] = [
    Perplexity(),
    Perplexity("whole", template=DIRECT),
    Ifd(TEMPLATE, DIRECT, allowance=4),
    Rds(),
    SelectIt(["Rate it.", "How good?"], TextTemplate(prompt="\nAsked: {user}\nSaid: "), "\nDigit:\n"),
    Nait(similarity="cosine"),
]


def forwards_of(x: Any, counts: list[int]) -> None:
    head_of(x.encodings.network(), dissect(x.encodings.network()))  # its check of the LM head is not a pass
    x.measure(pool(), [Embedding("last", "prompt")])  # checks once that the model reads no padding
    x.encodings.network().get_decoder().register_forward_hook(lambda *_: counts.append(1))


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_a_score_measures_nothing_of_the_pool_that_was_not_requested(opened: Open, scorer: Any) -> None:
    x = opened()
    requests = scorer.requests(pool(), [target()], x)
    assert all(examples.fingerprint == pool().fingerprint for _, examples, _ in requests)
    for view, examples, signals in requests:
        view.measure(examples, signals)
    view.measure(target(), [*signals]) if isinstance(scorer, Rds) else None
    counts: list[int] = []
    forwards_of(x, counts)
    table = scorer.score(pool(), [target()], x)
    assert counts == []
    assert table.eligible.any()


def test_methods_of_one_text_share_one_pass(opened: Open) -> None:
    x = opened(share_prefixes=False)  # a prefix is a forward of its own
    asked = [request for scorer in SCORERS for request in scorer.requests(pool(), [target()], x)]
    groups: dict[str, tuple[Any, list[Any]]] = {}
    for view, examples, signals in asked:
        groups.setdefault(canonical_json(view.identity(examples)), (view, []))[1].extend(signals)
    counts: list[int] = []
    forwards_of(x, counts)
    for view, signals in groups.values():
        view.measure(pool(), signals)
    # The run's own text (perplexity, IFD's first half, RDS+, NAIT), two direct texts, two rating prompts.
    assert len(counts) == len(groups) == 5
    assert len(asked) == 8
