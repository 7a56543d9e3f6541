"""Time of the select phase, from rehearsals on a few rows of the pool.

Rehearsals write to a temporary overlay of the job's store.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nait.core.addresses import address
from nait.core.contracts import Requests
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, ModelError, NaitError
from nait.core.estimates.plans import Pass, per_unit
from nait.planning.dry_run_doubles import OverlayStore, TimedModel
from nait.planning.inputs import Work
from nait.planning.subsample import FirstRow, bytes_of, draw, draw_target, eligible, part_of
from nait.planning.token_estimates import TokenEstimates, counted
from nait.signals.extractor import StoredExtractor
from nait.signals.specs.activations import Embedding
from nait.stages.select import select
from nait.store import Artifact, Store

FEW_ROWS = 24
MANY_ROWS, MANY_SHARE = 2048, 1 / 20
"""Maximum size of the larger rehearsal: this many rows, or this share of the pool if that is more."""
ANY = "any"
"""The column of a method whose scores do not depend on the target."""
TARGET_ROWS = 512
"""Reference rows that a rehearsal reads. Larger sets are sampled and their time is scaled."""


def is_targetless(scores: Artifact, targets: Sequence[Target]) -> bool:
    """Whether scores are the same for every target: their single column is `any`, and no target has that name."""
    return scores.manifest["targets"] == [ANY] and all(target.name != ANY for target in targets)


@dataclass
class Rehearsal:
    """A rehearsal of a job's select phase, which takes about `seconds`.

    - `extractor`: the job's extractor on `overlay`, with the model `timed`.
    - `store`: the job's store. `tokens`: token counts of the whole pool.

    `predict` sets the other fields: `opening_seconds` (loading the model), `exhaustive` (whether the method selects
    all rows), `targetless` (whether its scores are the same for every target), `passes` (over the pool) and `notes`
    (for the user).
    """

    work: Work
    extractor: StoredExtractor
    overlay: OverlayStore
    timed: TimedModel
    store: Store
    tokens: TokenEstimates
    seconds: float
    opening_seconds: float = 0.0
    exhaustive: bool = False
    targetless: bool = False
    passes: list[Pass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict(self) -> float:
        """Seconds of the select phase: startup on a few rows, then the marginal cost of more rows."""
        targets, scale = self._references()
        few = draw(self.work.pool, FEW_ROWS)
        seconds = self._time(few, targets)
        self.opening_seconds = self.timed.seconds  # before a model that the method tunes is loaded again
        seconds += self.opening_seconds + (scale - 1) * self._seconds_over(
            {one.fingerprint for one in targets}
        )
        token_seconds, sample = self._marginal_cost(few, targets, seconds - self.opening_seconds)
        seconds += token_seconds * (self.tokens.forwarded - self._forwarded(few))
        if not isinstance(self.work.selector.scorer, Requests) and self.overlay.artifacts("passes"):
            self.notes.append(
                "Select is a lower bound: the method does not declare its measurements, and may measure less "
                "of a few rows than of the pool."
            )
        return max(0.0, seconds - self._note_passes(sample, self.tokens.forwarded / self._forwarded(sample)))

    def _marginal_cost(self, few: Pool, targets: Sequence[Target], spent: float) -> tuple[float, Pool]:
        """Seconds per forwarded token, and the rows of the larger rehearsal.

        Two more rehearsals, one small and one large, use other rows. Both reuse the first rehearsal's artifacts of
        the reference sets and warm-ups, so only the number of tokens explains the difference between their times.
        """
        if few is self.work.pool:
            return 0.0, few
        few_seconds = self._seconds_over({few.fingerprint})
        total = len(self.work.pool)
        most = min(
            max(MANY_ROWS, int(MANY_SHARE * total)), total // 2
        )  # a draw of the whole pool would hit stored signals
        count = min(most, int(len(few) * 0.8 * (self.seconds - spent) / max(few_seconds, 1e-9)))
        if count < 2 * FEW_ROWS:
            return few_seconds / self._forwarded(few), few
        other, many = draw(self.work.pool, FEW_ROWS, after=FEW_ROWS), self._batches(count)
        times = [self._time(rows, targets) for rows in (other, many)]
        small, large = (
            (self._forwarded(rows), took) for rows, took in zip((other, many), times, strict=True)
        )
        return per_unit(small, large), many

    def _batches(self, rows: int) -> Pool:
        """About `rows` rows: whole batches spread over the real batch plan, for representative padding."""
        pool, batches = self.work.pool, self.tokens.batches
        count = rows * len(batches) // len(pool)
        if count < 2 or rows >= len(pool):
            return draw(pool, rows)
        places = (np.arange(count) + 0.5) * len(batches) / count
        chosen = np.sort(np.concatenate([batches[int(place)] for place in places]))
        return part_of(pool, [pool.examples[row] for row in chosen])

    def _forwarded(self, rows: Pool) -> float:
        """Tokens that a pass over these rows forwards: the unit of cost. The rows are already tokenized."""
        return float(counted(self.extractor.tokens(rows), self.work.engine).forwarded)

    def _time(self, rows: Pool, targets: Sequence[Target]) -> float:
        """Seconds of the select phase on these rows, without loading models."""
        opened, started = self.timed.seconds, time.monotonic()
        self._run(rows, targets)
        return time.monotonic() - started - (self.timed.seconds - opened)

    def _references(self) -> tuple[Sequence[Target], float]:
        """Reference sets for the rehearsal, and the ratio of all reference rows to these."""
        targets = self.work.targets
        total = sum(len(target) for target in targets)
        if total <= TARGET_ROWS:
            return targets, 1.0
        share = TARGET_ROWS / total
        drawn = [draw_target(target, max(8, round(share * len(target)))) for target in targets]
        return drawn, total / sum(len(target) for target in drawn)

    def _run(self, sample: Pool, targets: Sequence[Target]) -> None:
        """Run the select phase on these rows, or one plain pass if the method needs more rows."""
        selector = replace(self.work.selector, order=eligible, budget=FirstRow())
        try:
            _, _, scores = select(sample, targets, selector, self.extractor, self.overlay)
            self.exhaustive = bool(scores.manifest["exhaustive"])
            self.targetless = is_targetless(scores, targets)
        except (ConfigError, ModelError):
            raise  # the job would fail in the same way
        except NaitError as error:
            note = f"Select is a lower bound, one plain pass: the method cannot score so few rows ({error})"
            self.notes = [*(kept for kept in self.notes if kept != note), note]
            self.extractor.measure(sample, [Embedding()])

    def _seconds_over(self, fingerprints: Collection[str]) -> float:
        """Seconds of the rehearsal's passes over these examples, with their tokenization, without loading."""
        signals = self.overlay.artifacts("signals")
        made_in = {s.manifest["pass"] for s in signals if s.manifest["key"]["examples"] in fingerprints}
        coded = [
            a for a in self.overlay.artifacts("encodings") if a.manifest["key"]["examples"] in fingerprints
        ]
        passes = [one for one in self.overlay.artifacts("passes") if one.address in made_in]
        return sum(map(self.overlay.seconds_without_loading, (*coded, *passes)))

    def _note_passes(self, sample: Pool, scale: float) -> float:
        """Record the passes over the pool. Returns the predicted seconds of passes that the job's store has."""
        over: dict[str, list[Artifact]] = {}
        for signal in self.overlay.artifacts("signals"):
            if signal.manifest["key"]["examples"] == sample.fingerprint:
                over.setdefault(signal.manifest["pass"], []).append(signal)
        saved = 0.0
        for name, signals in over.items():
            made = self.overlay.find("passes", name)
            assert made is not None
            keys = [{**one.manifest["key"], "examples": self.work.pool.fingerprint} for one in signals]
            stored = all(self.store.find("signals", key) for key in keys)
            size = sum(bytes_of(path, len(sample), len(self.work.pool)) for path in made.path.glob("*.npy"))
            seconds = self.overlay.seconds_without_loading(made) * scale
            names, place = tuple(key["signal"] for key in keys), address(sorted(map(address, keys)))
            self.passes.append(Pass(names, stored, size, place, 0.0 if stored else seconds))
            saved += seconds if stored else 0.0
        return saved
