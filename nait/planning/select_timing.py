"""Rehearsals: the select phase on a few rows of the pool, and what it says of all of them.

All is written to a store that is thrown away; what the job's own store has is found there too.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nait.core.contracts import Requests
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, ModelError, NaitError
from nait.core.estimates.plans import Pass, per_unit
from nait.planning.dry_run_doubles import Aside, Timed
from nait.planning.inputs import Work
from nait.planning.subsample import FirstRow, bytes_of, draw, draw_target, eligible, part_of
from nait.planning.token_estimates import TokenEstimates, counted
from nait.signals.extractor import StoredExtractor
from nait.signals.specs.activations import Embedding
from nait.stages.select import select
from nait.store import Artifact, Store

FEW_ROWS = 24
MANY_ROWS, PART = 2048, 1 / 20
"""The larger rehearsal has at most so many rows, or this part of a large pool: a machine's speed varies."""
TARGET_ROWS = 512
"""Reference rows in all that a rehearsal reads; of larger sets a draw, and the rest by their number."""


@dataclass
class Rehearsal:
    """The select phase of a job, about `seconds` long; `tokens` are the pool's, `store` the job's own.

    Afterwards `opening` says what of it the model's opening took, `passes` what the job would measure of the pool,
    `exhaustive` whether the method takes all rows, and `notes` what its user has to know.
    """

    work: Work
    extractor: StoredExtractor
    aside: Aside
    timed: Timed
    store: Store
    tokens: TokenEstimates
    seconds: float
    opening: float = 0.0
    exhaustive: bool = False
    passes: list[Pass] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def predict(self) -> float:
        """Seconds of the select phase: once with all that a start costs, then by what more rows cost."""
        targets, times = self._references()
        few = draw(self.work.pool, FEW_ROWS)
        seconds = self._time(few, targets)
        self.opening = self.timed.seconds  # before a model that the method tunes is opened once more
        seconds += self.opening + (times - 1) * self._seconds_over({one.fingerprint for one in targets})
        a_token, sample = self._more(few, targets, seconds - self.opening)
        seconds += a_token * (self.tokens.read - self._read(few))
        if not isinstance(self.work.selector.scorer, Requests) and self.aside.artifacts("passes"):
            self.notes.append(
                "Select is a lower bound: the method does not say beforehand what it measures, and may measure less "
                "of a few rows than of the pool."
            )
        return max(0.0, seconds - self._note_passes(sample, self.tokens.read / self._read(sample)))

    def _more(self, few: Pool, targets: Sequence[Target], spent: float) -> tuple[float, Pool]:
        """Seconds a token that a pass over the pool reads, and the larger of the two rehearsals they come from.

        Both find what the first one left: their difference is that of their rows alone.
        """
        if few is self.work.pool:
            return 0.0, few
        alone = self._seconds_over({few.fingerprint})
        total = len(self.work.pool)
        most = min(max(MANY_ROWS, int(PART * total)), total // 2)  # the store may have signals of all of it
        count = min(most, int(len(few) * 0.8 * (self.seconds - spent) / max(alone, 1e-9)))
        if count < 2 * FEW_ROWS:
            return alone / self._read(few), few
        other, many = draw(self.work.pool, FEW_ROWS, after=FEW_ROWS), self._batches(count)
        times = [self._time(rows, targets) for rows in (other, many)]
        small, large = ((self._read(rows), took) for rows, took in zip((other, many), times, strict=True))
        return per_unit(small, large), many

    def _batches(self, rows: int) -> Pool:
        """About so many rows: whole batches of the real plan, spread over it, so that they pad as it does."""
        pool, batches = self.work.pool, self.tokens.batches
        count = rows * len(batches) // len(pool)
        if count < 2 or rows >= len(pool):
            return draw(pool, rows)
        places = (np.arange(count) + 0.5) * len(batches) / count
        chosen = np.sort(np.concatenate([batches[int(place)] for place in places]))
        return part_of(pool, [pool.examples[row] for row in chosen])

    def _read(self, rows: Pool) -> float:
        """Tokens that a pass over these rows of the pool reads: what it costs. They have been tokenised."""
        return float(counted(self.extractor.tokens(rows), self.work.engine).read)

    def _time(self, rows: Pool, targets: Sequence[Target]) -> float:
        """Seconds of the select phase on these rows, without the opening of models."""
        opened, started = self.timed.seconds, time.monotonic()
        self._run(rows, targets)
        return time.monotonic() - started - (self.timed.seconds - opened)

    def _references(self) -> tuple[Sequence[Target], float]:
        """The reference sets to rehearse with, and how many times as many rows the real ones have."""
        targets = self.work.targets
        total = sum(len(target) for target in targets)
        if total <= TARGET_ROWS:
            return targets, 1.0
        share = TARGET_ROWS / total
        drawn = [draw_target(target, max(8, round(share * len(target)))) for target in targets]
        return drawn, total / sum(len(target) for target in drawn)

    def _run(self, sample: Pool, targets: Sequence[Target]) -> None:
        """The select phase on these rows; one plain pass over them for a method that needs more of them."""
        selector = replace(self.work.selector, order=eligible, budget=FirstRow())
        try:
            _, _, scores = select(sample, targets, selector, self.extractor, self.aside)
            self.exhaustive = bool(scores.manifest["exhaustive"])
        except (ConfigError, ModelError):
            raise  # the job itself would refuse, too
        except NaitError as error:
            note = f"Select is a lower bound, one plain pass: so few rows were not rated ({error})"
            self.notes = [*(kept for kept in self.notes if kept != note), note]
            self.extractor.measure(sample, [Embedding()])

    def _seconds_over(self, fingerprints: Collection[str]) -> float:
        """Seconds of the rehearsal's passes over these examples and of their tokenisation."""
        signals = self.aside.artifacts("signals")
        made_in = {s.manifest["pass"] for s in signals if s.manifest["key"]["examples"] in fingerprints}
        coded = [
            a for a in self.aside.artifacts("encodings") if a.manifest["key"]["examples"] in fingerprints
        ]
        passes = [one for one in self.aside.artifacts("passes") if one.address in made_in]
        return sum(one.seconds for one in (*coded, *passes))

    def _note_passes(self, sample: Pool, times: float) -> float:
        """Notes the passes over the pool; the seconds of those that the real store has already."""
        over: dict[str, list[Artifact]] = {}
        for signal in self.aside.artifacts("signals"):
            if signal.manifest["key"]["examples"] == sample.fingerprint:
                over.setdefault(signal.manifest["pass"], []).append(signal)
        saved = 0.0
        for name, signals in over.items():
            made = self.aside.find("passes", name)
            assert made is not None
            keys = [{**one.manifest["key"], "examples": self.work.pool.fingerprint} for one in signals]
            stored = all(self.store.find("signals", key) for key in keys)
            size = sum(bytes_of(path, len(sample), len(self.work.pool)) for path in made.path.glob("*.npy"))
            self.passes.append(Pass(tuple(key["signal"] for key in keys), stored, size))
            saved += made.seconds * times if stored else 0.0
        return saved
