"""Bootstrap of the reference rows: how scores change with other draws of them; and which of them a row is like.

Shapes: n reference rows, N pool rows, L layers, C components, D width, B draws, T score columns. A draw takes n
reference rows with replacement (Efron, 1979). All draws are projected in one pass, as B C directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import DataError
from nait.neurons.directions import Directions, Floats, find_directions
from nait.neurons.pool_mean import able_rows, mean_reading
from nait.signals.specs.activations import Features, Norms, Signal, norms_about, project_on

if TYPE_CHECKING:
    from nait.neurons.scorer import Nait

SEED = 0
"""Draws the reference rows. Every bootstrap of equal reference sets has the same draws."""


def draw_requests(
    scorer: Nait, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, draws: int
) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
    """One signal per score column: projections on the directions [B C, L, D] of all draws."""
    view = scorer.view(extractor)
    columns = _columns(scorer, pool, targets, view, draws)
    return [(view, pool, [_signal(scorer, drawn) for drawn in columns])]


def draw_scores(
    scorer: Nait, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, draws: int
) -> Iterator[Floats]:
    """Scores [N, T] for each draw."""
    view = scorer.view(extractor)
    columns = _columns(scorer, pool, targets, view, draws)
    signals = [_signal(scorer, drawn) for drawn in columns]
    centre = scorer.pool_mean(pool, view) if scorer.center else None
    if scorer.similarity == "cosine":
        reading = scorer.cut_at_depth(scorer.candidate_reading, columns[0][0])
        signals.append(Norms(reading) if centre is None else norms_about(reading, centre))
    measured = view.measure(pool, signals)
    norms = measured.pop() if scorer.similarity == "cosine" else None
    able_n = able_rows(pool, view)
    c = scorer.components
    for b in range(draws):
        yield np.stack(
            [
                scorer.total(drawn[b], np.asarray(p[:, b * c : (b + 1) * c]), norms, centre, able_n)[0]
                for drawn, p in zip(columns, measured, strict=True)
            ],
            axis=1,
        )


def _signal(scorer: Nait, drawn: Sequence[Directions]) -> Signal:
    reading = scorer.cut_at_depth(scorer.candidate_reading, drawn[0])
    return project_on(reading, np.concatenate([one.vectors.transpose(1, 0, 2) for one in drawn]))


def _columns(
    scorer: Nait, pool: Pool, targets: Sequence[Target], view: Extractor, draws: int
) -> list[list[Directions]]:
    """For each score column, the directions of each draw. A draw that spans no direction is drawn again."""
    derivation = scorer.derivation(pool, view)
    mean = None if derivation.sample is None else mean_reading(derivation.sample, derivation.reading, view)
    found = []
    for name, group in scorer.groups(targets):
        features = [view.measure(target, [Features(derivation.reading)])[0] for target in group]
        rng = np.random.default_rng([SEED, sum(map(len, features))])
        drawn: list[Directions] = []
        for _ in range(10 * draws):
            rows = np.concatenate([part[rng.integers(len(part), size=len(part))] for part in features])
            try:
                drawn.append(
                    find_directions(
                        rows,
                        target=name,
                        kind=derivation.kind,
                        sign=derivation.sign,
                        pool_mean_ld=mean,
                        components=derivation.components,
                        first_layer=derivation.reading.first_layer,
                    )
                )
            except DataError:  # all rows of the draw are equal
                continue
            if len(drawn) == draws:
                break
        if len(drawn) < draws:
            raise DataError(
                "its rows are too few to be drawn again", where=f"target '{name}'", fix="Give more rows."
            )
        found.append(drawn)
    return found


def likeness(
    scorer: Nait, row: Pool, pool: Pool, targets: Sequence[Target], extractor: Extractor
) -> dict[str, Floats]:
    """Target -> cosine [n] of the row's and each reference row's features about the pool's mean, over layers.

    All are the candidates' features: those of `reference_feature` have another mean.
    """
    view = scorer.view(extractor)
    mean = scorer.pool_mean(pool, view)
    (x_ld,) = view.measure(row, [Features(scorer.candidate_reading)])[0] - mean
    found = {}
    for target in targets:
        if target.derived is not None:
            continue
        r_nld = view.measure(target, [Features(scorer.candidate_reading)])[0] - mean
        sizes = np.linalg.norm(r_nld, axis=2) * np.linalg.norm(x_ld, axis=1)
        dots = np.einsum("nld,ld->nl", r_nld, x_ld)
        found[target.name] = np.asarray((dots / np.where(sizes > 0, sizes, 1.0)).mean(axis=1))
    return found
