"""The contract tests of a scorer.

Shapes: N rows, T columns, n rows of interest, L layers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from nait.core.addresses import address
from nait.core.contracts import Layered, Model, Requests, Scorer, check_targets, content_of, version_of
from nait.core.dataset.examples import Pool, Target, fingerprint
from nait.core.errors import NaitError
from nait.core.ranking.score_table import ScoreTable
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.checks.score_checks import inspect
from nait.stages.select import ineligible
from nait.store import Store
from nait.testing.random_state import other_random_numbers
from nait.testing.tiny_model import tiny_extractor
from nait.testing.tiny_rows import LabelledRows, tiny_pool, tiny_targets, turned

QUIET = Engine(progress=False)
SMALL_BATCHES = Engine(batch_tokens=200, chunk_tokens=600, padding="left", progress=False)

_USUAL: WeakKeyDictionary[type, tuple[Path, ScoreTable]] = WeakKeyDictionary()
"""Per contract class: the store and the scores that its laws compare with, computed once."""


class ScorerContract:
    """Subclass it, return a scorer from `scorer`, and pytest runs the laws.

    `tolerance` is the largest change of a score with the batch size, as a share of its column's range.
    """

    tolerance = 1e-4

    def scorer(self) -> Scorer:
        """The scorer under test, a new instance at each call."""
        raise NotImplementedError("Return a scorer.")

    def reseeded(self) -> Scorer | None:
        """The same scorer with another seed; None if its scores depend on no seed."""
        return None

    def pool(self) -> Pool:
        """The rows to score."""
        return tiny_pool()

    def targets(self) -> list[Target]:
        """The reference sets to score for."""
        return tiny_targets()

    def extractor(self, root: Path, engine: Engine) -> StoredExtractor:
        """An extractor on a store at `root`."""
        return tiny_extractor(root, engine=engine)

    # The laws.

    def test_ids_are_the_pools_in_its_order(self, tmp_path_factory: Any) -> None:
        """A table has a score for each row of the pool, in the pool's order, and distinct column names."""
        table, pool = self._usual(tmp_path_factory)[1], self.pool()
        assert table.ids == pool.ids, "the table's ids are not the pool's, in the pool's order"
        assert table.targets, "the table has no column"
        assert len(set(table.targets)) == len(table.targets), f"columns share a name: {table.targets}"

    def test_a_table_has_a_unit_and_a_definition(self, tmp_path_factory: Any) -> None:
        """A table has a unit and a definition."""
        table = self._usual(tmp_path_factory)[1]
        assert table.unit.strip(), "the table has no unit"
        assert table.definition.strip(), "the table has no definition"

    def test_a_row_without_a_score_is_nan_with_a_reason(self, tmp_path_factory: Any) -> None:
        """Exactly the rows that no column can rank have a reason, apart from rows without an answer."""
        root, scored = self._usual(tmp_path_factory)
        pool = self.pool()
        tokens = self.extractor(root, QUIET).tokens(pool).answer_tokens
        table = scored.without(ineligible(pool, np.asarray(tokens)))
        unranked = {key for key, able in zip(table.ids, table.eligible, strict=True) if not able}
        silent = sorted(key for key in unranked if not table.reasons.get(key, "").strip())
        assert not silent, f"rows without a score and without a reason: {silent}"
        spoken = sorted(set(table.reasons) - unranked)
        assert not spoken, f"rows with a score and a reason not to have one: {spoken}"

    def test_scores_distinguish_rows(self, tmp_path_factory: Any) -> None:
        """At least two rows have a score, and no column is constant."""
        root, table = self._usual(tmp_path_factory)
        assert table.eligible.sum() > 1, f"only {table.eligible.sum()} rows have a score"
        inspect(table, self.extractor(root, QUIET).lengths(self.pool()))

    def test_scores_do_not_depend_on_the_batch_size(self, tmp_path: Path, tmp_path_factory: Any) -> None:
        """Small batches with padding on the left give the same scores up to rounding."""
        usual = self._usual(tmp_path_factory)[1]
        other = self._score(tmp_path, engine=SMALL_BATCHES)
        _same(usual, other, "another batch size", tolerance=self.tolerance)

    def test_scores_do_not_depend_on_the_order_of_the_file(self, tmp_path_factory: Any) -> None:
        """The same rows from a file in the reverse order give the same scores by id."""
        root, usual = self._usual(tmp_path_factory)
        _same(usual, self._score(root, pool=turned(self.pool())), "a file with its rows in the reverse order")

    def test_randomness_depends_on_the_seed_alone(self, tmp_path: Path, tmp_path_factory: Any) -> None:
        """Two runs give the same bytes for any state of the global generators; another seed gives other scores."""
        usual = self._usual(tmp_path_factory)[1]
        with other_random_numbers():
            again = self._score(tmp_path)
        _same(usual, again, "a second run with other global random states")
        reseeded = self.reseeded()
        if reseeded is not None:
            other = self._score(tmp_path, scorer=reseeded)
            equal = np.array_equal(usual.values, other.values, equal_nan=True)
            assert not equal, "another seed gives the same scores"

    def test_requests_are_what_score_measures(self, tmp_path: Path, tmp_path_factory: Any) -> None:
        """`requests` names exactly the signals of the pool that `score` uses. Skipped without `requests`."""
        scorer, pool, targets = self.scorer(), self.pool(), self.targets()
        if not isinstance(scorer, Requests):
            return
        extractor = self.extractor(tmp_path, QUIET)
        for view, rows, signals in scorer.requests(pool, targets, extractor):
            view.measure(rows, signals)
        asked = _measured(Store(tmp_path), targets)
        used = _measured(Store(self._usual(tmp_path_factory)[0]), targets)
        assert not used - asked, f"score measures what requests does not name: {_named(used - asked)}"
        assert not asked - used, f"requests names what score does not use: {_named(asked - used)}"

    def test_a_second_run_needs_only_stored_signals(self, tmp_path_factory: Any) -> None:
        """A run whose signals are in the store opens no model and gives the same bytes."""
        root, usual = self._usual(tmp_path_factory)
        extractor = self.extractor(root, QUIET)
        closed = extractor.on(ClosedModel(extractor.model))
        again = self.scorer().score(self.pool(), self.targets(), closed)
        _same(usual, again, "a second run on the same store")

    def test_labels_are_never_seen(self, tmp_path_factory: Any) -> None:
        """Scores do not depend on the user's other columns, and no row of the user's file is read."""
        root, usual = self._usual(tmp_path_factory)
        for label in ("good", "bad"):
            source = LabelledRows(label)
            table = self._score(root, pool=replace(self.pool(), source=source))
            assert not source.asked, "the scorer reads the user's own rows, which hold the labels"
            _same(usual, table, "a pool with other labels")

    def test_targets_that_check_accepts_are_scored(self, tmp_path_factory: Any) -> None:
        """`check` accepts the targets. If it accepts no target or one without rows, `score` works with them too."""
        root, _ = self._usual(tmp_path_factory)
        targets = self.targets()
        check_targets(self.scorer(), targets)
        bare = [replace(one, examples=(), fingerprint=fingerprint(())) for one in targets[:1]]
        for odd, what in (([], "no target"), (bare, "a target without rows")):
            try:
                check_targets(self.scorer(), odd)
            except NaitError:
                continue
            try:
                table = self._score(root, targets=odd)
            except Exception as error:
                raise AssertionError(f"check accepts {what}, score fails: {error!r}") from error
            assert table.ids == self.pool().ids, f"with {what} the table's ids are not the pool's"

    def test_version_and_content_are_valid(self) -> None:
        """`version` counts from 1; `content` is JSON and the same at each call."""
        version_of(self.scorer())
        first, second = (address(content_of(self.scorer())) for _ in range(2))
        assert first == second, "content gives something else at each call"

    def test_contributions_add_up_to_the_score(self, tmp_path_factory: Any) -> None:
        """The layers' parts of each row add up to its score, in every column. Skipped for scorers without layers."""
        scorer = self.scorer()
        if not isinstance(scorer, Layered):
            return
        root, table = self._usual(tmp_path_factory)
        rows = np.flatnonzero(table.eligible)
        found = list(
            scorer.contributions(
                self.pool(), self.targets(), self.extractor(root, QUIET).stored_only(),
                rows=rows, among=table.eligible,
            )
        )  # fmt: skip
        assert tuple(one.target for one in found) == table.targets, "the columns are not the table's"
        for one in found:
            assert one.parts.shape == (len(rows), len(one.layers)), f"{one.target}: parts have another shape"
            scores = table.column(one.target)[rows]
            np.testing.assert_allclose(
                one.parts.sum(axis=1), scores, rtol=1e-5, atol=1e-8, err_msg=one.target
            )
            np.testing.assert_allclose(one.means, one.parts.mean(axis=0), rtol=1e-5, atol=1e-8)

    def _score(
        self, root: Path, *, pool: Pool | None = None, targets: list[Target] | None = None,
        scorer: Scorer | None = None, engine: Engine = QUIET,
    ) -> ScoreTable:  # fmt: skip
        extractor = self.extractor(root, engine)
        wanted = self.targets() if targets is None else targets
        return (scorer or self.scorer()).score(pool or self.pool(), wanted, extractor)

    def _usual(self, factory: Any) -> tuple[Path, ScoreTable]:
        """The store and the scores that the laws compare with. `factory` is pytest's `tmp_path_factory`."""
        if type(self) not in _USUAL:
            root = Path(factory.mktemp("scores"))
            _USUAL[type(self)] = root, self._score(root)
        return _USUAL[type(self)]


@dataclass(frozen=True)
class ClosedModel:
    """A model that raises when its network is opened."""

    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    @property
    def max_length(self) -> int:
        return self.model.max_length

    def load(self) -> tuple[Any, Any]:
        """Raises: AssertionError."""
        return self.load_network(), self.load_tokenizer()

    def load_network(self) -> Any:
        """Raises: AssertionError."""
        raise AssertionError("the model is opened though the store has all that was measured")

    def vocabulary(self) -> int | None:
        """Rows of the model's embedding, where its config gives them."""
        return self.model.vocabulary()

    def load_tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.model.load_tokenizer()


def _same(usual: ScoreTable, other: ScoreTable, what: str, *, tolerance: float = 0.0) -> None:
    """Raises: AssertionError if a score differs by more than `tolerance` times its column's range."""
    assert (other.ids, other.targets) == (usual.ids, usual.targets), f"other ids or columns with {what}"
    a, b = (np.asarray(one.values, dtype=np.float64) for one in (usual, other))
    assert np.array_equal(np.isnan(a), np.isnan(b)), f"other rows lack a score with {what}"
    for name, of_usual, of_other in zip(usual.targets, a.T, b.T, strict=True):
        ranked = ~np.isnan(of_usual)
        if ranked.any():
            far = float(np.abs(of_usual - of_other)[ranked].max())
            limit = tolerance * float(np.ptp(of_usual[ranked]))
            assert far <= limit, f"{name}: scores differ by up to {far:.3g} with {what}"


def _measured(store: Store, targets: Collection[Target]) -> set[tuple[str, str]]:
    """(name, address) of every stored signal of the pool; signals of the targets are left out."""
    references = {target.fingerprint for target in targets}
    keys = [artifact.manifest["key"] for artifact in store.artifacts("signals")]
    return {(key["signal"], address(key)) for key in keys if key["examples"] not in references}


def _named(signals: Collection[tuple[str, str]]) -> str:
    return ", ".join(sorted(name for name, _ in signals))
