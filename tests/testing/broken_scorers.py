"""Scorers that each break one law of the contract."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Extractor, Scorer
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, NaitError
from nait.core.ranking.score_table import Contributions, ScoreTable
from nait.signals.extractor import StoredExtractor
from nait.signals.specs.activations import Losses
from nait.testing import ScorerContract


def table(pool: Pool, values: Sequence[float] | npt.NDArray[Any], **changes: Any) -> ScoreTable:
    numbers = np.asarray(values, dtype=np.float64)[:, None]
    return ScoreTable(**{"ids": pool.ids, "targets": ("any",), "values": numbers, "unit": "1", "definition": "a test",
                         **changes})  # fmt: skip


class Sound:
    """Scores rows by token count and position; obeys all laws."""

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, extractor.lengths(pool) + np.arange(len(pool)) / 1000)


class Reversed(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, range(len(pool)), ids=pool.ids[::-1])


class Fewer(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, range(len(pool) - 1), ids=pool.ids[1:])


class Meaningless(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, range(len(pool)), definition=" ")


class Silent(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, [np.nan if key == "row001" else i for i, key in enumerate(pool.ids)])


class Excusing(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, range(len(pool)), reasons={"row001": "too short"})


class Constant(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, np.ones(len(pool)))


class Batched(Sound):
    """Scores depend on the batch size."""

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        assert isinstance(extractor, StoredExtractor)
        return table(pool, extractor.lengths(pool) / extractor.engine.batch_tokens)


class ByPlaceInTheFile(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, [example.row for example in pool.examples])


class Unseeded(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, np.random.random(len(pool)))


@dataclass(frozen=True)
class DeafToItsSeed(Sound):
    seed: int = 0


class Understating(Sound):
    """Measures what it does not request."""

    def requests(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> Any:
        return []

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        (losses,) = extractor.measure(pool, [Losses("whole")])
        return table(pool, losses[:, 0])


class Overstating(Sound):
    """Requests what it does not use."""

    def requests(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> Any:
        return [(extractor, pool, [Losses("whole")])]


class OwnPass(Sound):
    """Opens the model by itself."""

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        network = extractor.model.load_network()
        return table(pool, extractor.lengths(pool) * sum(p.numel() for p in network.parameters()))


class Peeking(Sound):
    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        rows = list(pool.source.lines(range(len(pool)))) if pool.source else ["bad"] * len(pool)
        return table(pool, [i + ("good" in row) for i, row in enumerate(rows)])


class Unchecked(Sound):
    """Needs a target and has no `check`."""

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        return table(pool, extractor.lengths(pool) / len(targets[0]))


class RefusingAll(Sound):
    def check(self, targets: Sequence[Target]) -> None:
        raise ValueError("no")


class OddVersion(Sound):
    version = "2"


class RestlessContent(Sound):
    numbers = itertools.count()

    def content(self) -> int:
        return next(self.numbers)


class Miscounting(Sound):
    """The layers' parts do not add up to the score."""

    def contributions(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, rows: Any, among: Any
    ) -> Iterator[Contributions]:
        yield Contributions("any", (1, 2), np.ones((len(rows), 2)), np.ones(2))


def contract_of(made: type[Any], again: Scorer | None = None) -> type[ScorerContract]:
    class Broken(ScorerContract):
        def scorer(self) -> Scorer:
            scorer: Scorer = made()
            return scorer

        def reseeded(self) -> Scorer | None:
            return again

    return Broken


LAWS: list[tuple[type[Any], str, type[Exception], str]] = [
    (Reversed, "test_ids_are_the_pools_in_its_order", AssertionError, "not the pool's"),
    (Fewer, "test_ids_are_the_pools_in_its_order", AssertionError, "not the pool's"),
    (Meaningless, "test_a_table_has_a_unit_and_a_definition", AssertionError, "no definition"),
    (
        Silent,
        "test_a_row_without_a_score_is_nan_with_a_reason",
        AssertionError,
        r"without a reason: \['row001'\]",
    ),
    (Excusing, "test_a_row_without_a_score_is_nan_with_a_reason", AssertionError, "a reason not to have one"),
    (Constant, "test_scores_distinguish_rows", NaitError, "every row has the same score"),
    (Batched, "test_scores_do_not_depend_on_the_batch_size", AssertionError, "another batch size"),
    (ByPlaceInTheFile, "test_scores_do_not_depend_on_the_order_of_the_file", AssertionError, "reverse order"),
    (Unseeded, "test_randomness_depends_on_the_seed_alone", AssertionError, "global random states"),
    (
        DeafToItsSeed,
        "test_randomness_depends_on_the_seed_alone",
        AssertionError,
        "another seed gives the same",
    ),
    (Understating, "test_requests_are_what_score_measures", AssertionError, "does not name: losses"),
    (Overstating, "test_requests_are_what_score_measures", AssertionError, "does not use: losses"),
    (OwnPass, "test_a_second_run_needs_only_stored_signals", AssertionError, "the model is opened"),
    (Peeking, "test_labels_are_never_seen", AssertionError, "which hold the labels"),
    (
        Unchecked,
        "test_targets_that_check_accepts_are_scored",
        AssertionError,
        "check accepts no target, score fails",
    ),
    (RefusingAll, "test_targets_that_check_accepts_are_scored", ValueError, "no"),
    (OddVersion, "test_version_and_content_are_valid", ConfigError, "OddVersion.version is '2'"),
    (
        RestlessContent,
        "test_version_and_content_are_valid",
        AssertionError,
        "something else at each call",
    ),
    (Miscounting, "test_contributions_add_up_to_the_score", AssertionError, "any"),
]
