"""The NAIT scorer (Chen et al., ICLR 2026, arXiv 2603.13201). README.md has the equations and the options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice, check_whole
from nait.core.ranking.score_table import Contributions, ScoreTable
from nait.models.anatomy import Site
from nait.neurons import resampling
from nait.neurons.derivations import Derivation, check_references, other_limits
from nait.neurons.diagnostics import diagnose, warnings
from nait.neurons.directions import KINDS, SIGNS, Directions, Kind, Sign
from nait.neurons.layer_scores import (
    COMPONENT_SUMS,
    LAYER_WEIGHTS,
    SIMILARITIES,
    ComponentSum,
    Floats,
    LayerWeight,
    Similarity,
    choose_layers,
    layer_shares,
    total_scores,
)
from nait.neurons.pool_mean import able_rows, mean_reading, sample
from nait.signals.specs.activations import Feature, Norms, Origin, Reading, Signal, norms_about, project_on


@dataclass(frozen=True)
class Nait:
    """Projections of each row's activation shift on the targets' directions, summed over layers.

    - `feature`, `reference_feature`, `origin`: how the tokens of a candidate and of a reference row are summarised.
    - `merge`: none (one column per target), directions (one column, from one decomposition of all reference sets).
    - `pool_sample`, `seed`: the number of rows that estimate the pool's mean feature, and the seed that draws them by
      id. `direction=contrast`, `sign=pool` and `center` need that mean.
    - `early_exit`: the pass over the pool stops at the deepest layer in `layers`; a later run with deeper layers
      needs another pass. Directions and the pool's mean are computed at every layer, since they need few rows.
    - `end_token`: the texts of candidates and reference rows include the end token, whatever the template's `eos`.
    """

    site: Site = "residual"
    feature: Feature = "delta"
    reference_feature: Feature = "delta"
    origin: Origin = "first"
    layers: str | int | Sequence[int] = "all"
    direction: Kind = "pca"
    sign: Sign = "shift"
    components: int = 1
    component_sum: ComponentSum = "signed"
    similarity: Similarity = "dot"
    layer_weight: LayerWeight = "none"
    center: bool = False
    merge: str = "none"
    pool_sample: int = 4096
    seed: int = 0
    early_exit: bool = False
    end_token: bool = False

    def __post_init__(self) -> None:
        for key, value, known in (
            ("direction", self.direction, KINDS),
            ("sign", self.sign, SIGNS),
            ("component_sum", self.component_sum, COMPONENT_SUMS),
            ("similarity", self.similarity, SIMILARITIES),
            ("layer_weight", self.layer_weight, LAYER_WEIGHTS),
            ("merge", self.merge, ("none", "directions")),
        ):
            check_choice(f"selector.{key}", value, known)
        check_whole("selector.components", self.components, least=1)
        check_whole("selector.pool_sample", self.pool_sample, least=2)
        if self.direction == "contrast" and self.components != 1:
            raise ConfigError("a contrast has one component", where="selector.components", fix="Set it to 1.")
        choose_layers(self.layers, 10_000, 0)  # checks the form; the model's depth is not known yet
        _ = self.candidate_reading, self.reference_reading

    @property
    def version(self) -> int:
        """The version of the scores: that of the site, plus one.

        Since then, the layers' shares are of rows that can be selected, and so are statistics of the pool in scores.
        One more for `sign=pool`, whose warnings are about the margins of its own rule.
        """
        return self.candidate_reading.site_version + 1 + (self._sign == "pool")

    @property
    def candidate_reading(self) -> Reading:
        return Reading(self.site, self.feature, self.origin)

    @property
    def reference_reading(self) -> Reading:
        return Reading(self.site, self.reference_feature, self.origin)

    @property
    def _sign(self) -> Sign:
        """The sign rule; none for a contrast, which has a sign of its own."""
        return "none" if self.direction == "contrast" else self.sign

    @property
    def _needs_pool_mean(self) -> bool:
        """Whether the directions depend on the pool's mean."""
        return self.direction == "contrast" or self.sign == "pool"

    def view(self, extractor: Extractor) -> Extractor:
        """The extractor of the run's texts, with the end token if `end_token`."""
        return extractor.under(end_token=True) if self.end_token else extractor

    def check(self, targets: Sequence[Target]) -> None:
        """Raises: DataError for a target whose rows span no direction."""
        check_references(targets, self.direction)

    def requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals measured on the pool: projections on the targets' directions, which are computed first."""
        view = self.view(extractor)
        _, _, signals = self._plan(pool, targets, view)
        return [(view, pool, signals)]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """The total projection of each row on each target's directions; unit: activation units."""
        found, able_n, totals = self._totals(pool, targets, extractor)
        columns, shares = [], {}
        for name, scores, parts_nl, layers in totals:
            columns.append(scores)
            shares[name] = dict(zip(map(str, layers), layer_shares(parts_nl[able_n]), strict=True))
        diagnostics = diagnose(
            found,
            shares,
            first_layer=self.reference_reading.first_layer,
            pool_mean_ld=self._sign_mean(pool, self.view(extractor)),
        )
        return ScoreTable(
            ids=pool.ids,
            targets=tuple(name for name, _ in found),
            values=np.stack(columns, axis=1),
            unit="activation units" if self.similarity == "dot" and self.layer_weight == "none" else "1",
            definition=f"NAIT: sum over layers of {self.site} {self.feature} along the {self.direction} direction"
            + (", the end token included" if self.end_token else ""),
            diagnostics=diagnostics,
            warnings=(
                *other_limits(targets, self.view(extractor)),
                *warnings(diagnostics, signed=self._sign != "none", contrast=self.direction == "contrast"),
            ),
        )

    def contributions(
        self,
        pool: Pool,
        targets: Sequence[Target],
        extractor: Extractor,
        *,
        rows: npt.NDArray[np.int64],
        among: npt.NDArray[np.bool_],
    ) -> Iterator[Contributions]:
        """Per target: each layer's part A_l . v_l in the scores of `rows` [n], and its mean over the mask `among`."""
        _, _, totals = self._totals(pool, targets, extractor)
        for name, _, parts_nl, layers in totals:
            yield Contributions(name, tuple(layers), parts_nl[rows], parts_nl[among].mean(axis=0))

    def draw_requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, draws: int
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals that `draw_scores` measures on the pool: projections on the directions of all draws."""
        return resampling.draw_requests(self, pool, targets, extractor, draws=draws)

    def draw_scores(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor, *, draws: int
    ) -> Iterator[Floats]:
        """Scores [N, T] for each bootstrap draw of the reference rows."""
        return resampling.draw_scores(self, pool, targets, extractor, draws=draws)

    def likeness(
        self, row: Pool, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> dict[str, Floats]:
        """Target -> the row's cosine [n] with each reference row, about the pool's mean, averaged over layers."""
        return resampling.likeness(self, row, pool, targets, extractor)

    def _totals(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> tuple[
        list[tuple[str, Directions]],
        npt.NDArray[np.bool_],
        Iterator[tuple[str, Floats, Floats, list[int]]],
    ]:
        """The directions; the rows [N] that can be selected; and an iterator over the columns.

        A column: name, scores [N], parts [N, L], layers.
        """
        view = self.view(extractor)
        found, centre, signals = self._plan(pool, targets, view)
        measured = view.measure(pool, signals)
        norms = measured.pop() if self.similarity == "cosine" else None
        able_n = able_rows(pool, view)
        return (
            found,
            able_n,
            (
                (name, *self.total(direction, p_ncl, norms, centre, able_n))
                for (name, direction), p_ncl in zip(found, measured, strict=True)
            ),
        )

    def _plan(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> tuple[list[tuple[str, Directions]], Floats | None, list[Signal]]:
        """The directions, the pool's mean if it is subtracted, and the signals to measure on the pool."""
        self.check(targets)
        found = self.directions(pool, targets, extractor)
        reading = self.cut_at_depth(self.candidate_reading, found[0][1])
        signals: list[Signal] = [project_on(reading, d.vectors.transpose(1, 0, 2)) for _, d in found]
        centre = self.pool_mean(pool, extractor) if self.center else None
        if self.similarity == "cosine":
            signals.append(Norms(reading) if centre is None else norms_about(reading, centre))
        return found, centre, signals

    def cut_at_depth(self, reading: Reading, direction: Directions) -> Reading:
        """The reading; with `early_exit`, only up to the deepest chosen layer."""
        deepest = max(self.chosen_layers(direction))
        last = len(direction.vectors) - 1 + reading.first_layer
        return replace(reading, depth=deepest) if self.early_exit and deepest < last else reading

    def chosen_layers(self, direction: Directions) -> list[int]:
        """The numbers of the layers that are summed."""
        first = self.candidate_reading.first_layer
        return choose_layers(self.layers, len(direction.vectors) - 1 + first, first)

    def directions(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> list[tuple[str, Directions]]:
        """Each target's directions, from the store if it has them; with `merge=directions`, one for all targets."""
        extractor = self.view(extractor)
        return self.derivation(pool, extractor).directions(self.groups(targets), extractor)

    def derivation(self, pool: Pool, extractor: Extractor) -> Derivation:
        """The settings of the directions, with the sample of the pool whose mean they need."""
        drawn = self._sample(pool, extractor) if self._needs_pool_mean else None
        return Derivation(self.reference_reading, self.direction, self._sign, self.components, drawn)

    def groups(self, targets: Sequence[Target]) -> list[tuple[str, list[Target]]]:
        """The targets of each score column, by its name."""
        if self.merge == "directions":
            return [("+".join(target.name for target in targets), list(targets))]
        return [(target.name, [target]) for target in targets]

    def pool_mean(self, pool: Pool, extractor: Extractor) -> Floats:
        """The candidates' mean reading [L, D], over a sample of the pool."""
        return mean_reading(self._sample(pool, extractor), self.candidate_reading, extractor)

    def _sign_mean(self, pool: Pool, extractor: Extractor) -> Floats | None:
        """The mean reading [L, D] that `sign=pool` subtracts; None for another rule."""
        if self._sign != "pool":
            return None
        return mean_reading(self._sample(pool, extractor), self.reference_reading, extractor)

    def _sample(self, pool: Pool, extractor: Extractor) -> Pool:
        return sample(pool, able_rows(pool, extractor), self.pool_sample, self.seed)

    def total(
        self, direction: Directions, p_ncl: Floats, norms: Floats | None, centre: Floats | None,
        able_n: npt.NDArray[np.bool_],
    ) -> tuple[Floats, Floats, list[int]]:  # fmt: skip
        """Scores [N], each layer's part [N, L] and the layers' numbers, from projections [N, C, L].

        `able_n` [N]: the rows that can be selected.
        """
        layers = self.chosen_layers(direction)
        places = [layer - self.candidate_reading.first_layer for layer in layers]
        v_lcd = np.asarray(direction.vectors, dtype=np.float64)
        shift = None if centre is None else np.einsum("lcd,ld->cl", v_lcd, centre)[:, places]
        scores, parts = total_scores(
            p_ncl[:, :, places],
            norms_nl=None if norms is None else norms[:, places],
            similarity=self.similarity,
            layer_weight=self.layer_weight,
            explained_variance_l=direction.explained_variance[places, 0],
            component_sum=self.component_sum,
            shift_cl=shift,
            able_n=able_n,
        )
        return scores, parts, layers
