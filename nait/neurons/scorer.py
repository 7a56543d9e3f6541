"""The NAIT scorer (Chen et al., ICLR 2026, arXiv 2603.13201): README.md has the equations and the options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nait.core.address import unit_interval
from nait.core.contracts import Extractor
from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.core.examples import Pool, Target, fingerprint
from nait.core.scores import Contributions, ScoreTable
from nait.models.sites import Site
from nait.neurons.directions import KINDS, SIGNS, VERSION, Directions, Kind, Sign, cosines, find_directions
from nait.neurons.scores import (
    COMPONENT_SUMS,
    LAYER_WEIGHTS,
    SIMILARITIES,
    ComponentSum,
    LayerWeight,
    Similarity,
    choose_layers,
    layer_shares,
    total_scores,
)
from nait.signals.readings import (
    Feature,
    Features,
    Mean,
    Norms,
    Origin,
    Reading,
    Signal,
    norms_about,
    project_on,
)

Floats = npt.NDArray[np.floating[Any]]
LOW_MARGIN = 0.1
"""A sign margin below this is reported: the direction's sign hangs on little."""


@dataclass(frozen=True)
class Nait:
    """Projections of each row's activation shift on the targets' directions, summed over layers.

    `feature` and `origin` summarise a candidate's tokens, `reference_feature` a reference row's. `merge`:
    "none" gives a column a target; "directions" one column from one decomposition of all reference sets.
    `pool_sample` rows, drawn by id and `seed`, stand for the pool where its mean feature is needed
    (`direction=contrast`, `sign=pool`, `center`).

    With `early_exit` the pass over the pool stops at the deepest of `layers`: dearer than reading all of them as
    soon as others are asked for later. Directions and the pool's mean, of few rows, are made at every layer.
    """

    version: ClassVar[int] = 1

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

    def __post_init__(self) -> None:
        for key, value, known in (
            ("direction", self.direction, KINDS),
            ("sign", self.sign, SIGNS),
            ("component_sum", self.component_sum, COMPONENT_SUMS),
            ("similarity", self.similarity, SIMILARITIES),
            ("layer_weight", self.layer_weight, LAYER_WEIGHTS),
            ("merge", self.merge, ("none", "directions")),
        ):
            if value not in known:
                raise ConfigError(
                    f"'{value}' is not a choice", where=f"selector.{key}", mend=did_you_mean(value, known)
                )
        for key, least in (("components", 1), ("pool_sample", 2)):
            if getattr(self, key) < least:
                raise ConfigError(
                    f"{getattr(self, key)} is below {least}", where=f"selector.{key}", mend="Give more."
                )
        if self.direction == "contrast" and self.components != 1:
            raise ConfigError(
                "a contrast has one component", where="selector.components", mend="Set it to 1."
            )
        choose_layers(self.layers, 10_000, 0)  # its form; whether the model has the layers is seen later
        _ = self.candidate_reading, self.reference_reading

    @property
    def candidate_reading(self) -> Reading:
        return Reading(self.site, self.feature, self.origin)

    @property
    def reference_reading(self) -> Reading:
        return Reading(self.site, self.reference_feature, self.origin)

    @property
    def _sign(self) -> Sign:
        """What decides the sign: nothing, for a contrast, which has its own."""
        return "none" if self.direction == "contrast" else self.sign

    def check(self, targets: Sequence[Target]) -> None:
        """Raises: DataError for a target whose rows cannot give a direction, before a model is opened."""
        if not targets:
            raise DataError("NAIT needs a target", where="target", mend="Set target=file target.path=FILE.")
        for target in targets:
            if target.derived is None and _texts(target) < 2:
                raise DataError(
                    f"its {len(target)} row(s) hold fewer than two different texts: there is no principal component",
                    where=f"target '{target.name}'",
                    mend="Give at least two different reference rows; 32 or more are usual.",
                )

    def requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> list[tuple[Extractor, Pool, Sequence[Signal]]]:
        """What is measured of the pool: projections on the targets' directions, which are made first."""
        _, _, signals = self._plan(pool, targets, extractor)
        return [(extractor, pool, signals)]

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """The total projection of each row on each target's directions; unit: activation units."""
        found, totals = self._totals(pool, targets, extractor)
        columns, shares = [], {}
        for name, scores, parts_nl, layers in totals:
            columns.append(scores)
            shares[name] = dict(zip(map(str, layers), layer_shares(parts_nl), strict=True))
        diagnostics = self._diagnose(found, shares)
        return ScoreTable(
            ids=pool.ids,
            targets=tuple(name for name, _ in found),
            values=np.stack(columns, axis=1),
            unit="activation units" if self.similarity == "dot" and self.layer_weight == "none" else "1",
            definition=f"NAIT: sum over layers of {self.site} {self.feature} along the {self.direction} direction",
            diagnostics=diagnostics,
            warnings=tuple(self._warnings(diagnostics)),
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
        """Each layer's part A_l . v_l in the scores of `rows` [n], its mean where `among` [N]; a target at a time."""
        _, totals = self._totals(pool, targets, extractor)
        for name, _, parts_nl, layers in totals:
            yield Contributions(name, tuple(layers), parts_nl[rows], parts_nl[among].mean(axis=0))

    def _totals(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> tuple[list[tuple[str, Directions]], Iterator[tuple[str, Floats, Floats, list[int]]]]:
        """The directions; and name, scores [N], parts [N, L] and layers of one column after the other."""
        found, centre, signals = self._plan(pool, targets, extractor)
        measured = extractor.measure(pool, signals)
        norms = measured.pop() if self.similarity == "cosine" else None
        return found, (
            (name, *self._total(direction, p_ncl, norms, centre))
            for (name, direction), p_ncl in zip(found, measured, strict=True)
        )

    def _plan(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> tuple[list[tuple[str, Directions]], Floats | None, list[Signal]]:
        """The directions, the pool's mean where it is taken off, and the signals to measure of the pool."""
        self.check(targets)
        found = self.directions(pool, targets, extractor)
        reading = self._cut(self.candidate_reading, found[0][1])
        signals: list[Signal] = [project_on(reading, d.vectors.transpose(1, 0, 2)) for _, d in found]
        centre = self._pool_mean(pool, self.candidate_reading, extractor) if self.center else None
        if self.similarity == "cosine":
            signals.append(Norms(reading) if centre is None else norms_about(reading, centre))
        return found, centre, signals

    def _cut(self, reading: Reading, direction: Directions) -> Reading:
        """The reading, up to the deepest of the chosen layers with `early_exit`."""
        deepest = max(self._chosen(direction))
        last = len(direction.vectors) - 1 + reading.first_layer
        return replace(reading, depth=deepest) if self.early_exit and deepest < last else reading

    def _chosen(self, direction: Directions) -> list[int]:
        """The numbers of the layers that are summed."""
        first = self.candidate_reading.first_layer
        return choose_layers(self.layers, len(direction.vectors) - 1 + first, first)

    def directions(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> list[tuple[str, Directions]]:
        """Each target's directions, from the store where it has them; with `merge=directions` one for all."""
        needs_pool = self.direction == "contrast" or self.sign == "pool"
        reading = self.reference_reading
        mean = self._pool_mean(pool, reading, extractor) if needs_pool else None
        sample = _sample(pool, self.pool_sample, self.seed).fingerprint if needs_pool else ""
        groups = [(target.name, [target]) for target in targets]
        if self.merge == "directions":
            groups = [("+".join(target.name for target in targets), list(targets))]
        return [(name, self._one(name, group, mean, sample, extractor)) for name, group in groups]

    def _one(
        self, name: str, group: Sequence[Target], mean: Floats | None, sample: str, extractor: Extractor
    ) -> Directions:
        if len(group) == 1 and group[0].derived is not None:
            return self._given(group[0], extractor)
        given = [target.name for target in group if target.derived is not None]
        if given:
            raise ConfigError(
                f"{', '.join(given)}: directions made earlier have no reference rows to decompose again",
                where="selector.merge",
                mend="Set selector.merge=none with order=best_rank or order=round_robin.",
            )
        key: dict[str, Any] = {
            "directions": VERSION, "reading": self.reference_reading.key(), "kind": self.direction,
            "sign": self._sign, "components": self.components, "pool_sample": sample,
            "references": [extractor.identity(target) for target in group],
        }  # fmt: skip

        def compute() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            features = [extractor.measure(target, [Features(self.reference_reading)])[0] for target in group]
            found = find_directions(
                np.concatenate(features), target=name, kind=self.direction, sign=self.sign,
                components=self.components, pool_mean_ld=mean, first_layer=self.reference_reading.first_layer,
            )  # fmt: skip
            facts = {
                "target": name,
                "rows": sum(len(target) for target in group),
                "references": [target.fingerprint for target in group],
                "model": extractor.model_fingerprint,
                "template": extractor.identity(group[0])["template"],
                "first_layer": self.reference_reading.first_layer,
                "explained_variance": found.explained_variance[:, 0].round(6).tolist(),
                "sign_margin": found.sign_margin.round(6).tolist(),
            }
            return found.arrays(), facts

        arrays, _ = extractor.derive("directions", key, compute)
        return Directions.of(arrays)

    def _given(self, target: Target, extractor: Extractor) -> Directions:
        """Directions made earlier, refused when they belong to another model, site or text."""
        manifest, directions = target.derived
        reading = manifest["key"]["reading"]
        wanted = {
            "model": (manifest["model"], extractor.model_fingerprint),
            "template": (manifest["template"], extractor.identity(target)["template"]),
            "site": (reading["site"], self.site),
            "reference_feature": (reading["feature"], self.reference_feature),
            "origin": (reading["origin"], self.origin),
            "direction": (manifest["key"]["kind"], self.direction),
            "sign": (manifest["key"]["sign"], self._sign),
            "components": (manifest["key"]["components"], self.components),
        }
        for name, (theirs, ours) in wanted.items():
            if theirs != ours:
                raise ConfigError(
                    f"the directions were made with {name}={theirs}, this run has {ours}",
                    where=f"target '{target.name}'",
                    mend=f"Use the {name} they were made with, or make them again from reference rows.",
                )
        assert isinstance(directions, Directions)
        return directions

    def _pool_mean(self, pool: Pool, reading: Reading, extractor: Extractor) -> Floats:
        """[L, D] the mean reading over a seeded sample of the pool."""
        sample = _sample(pool, self.pool_sample, self.seed)
        return np.asarray(extractor.measure(sample, [Mean(reading)])[0][0])

    def _total(
        self, direction: Directions, p_ncl: Floats, norms: Floats | None, centre: Floats | None
    ) -> tuple[Floats, Floats, list[int]]:
        layers = self._chosen(direction)
        places = [layer - self.candidate_reading.first_layer for layer in layers]
        shift = None
        if centre is not None:
            shift = np.einsum("lcd,ld->cl", np.asarray(direction.vectors, dtype=np.float64), centre)[
                :, places
            ]
        scores, parts = total_scores(
            p_ncl[:, :, places],
            norms_nl=None if norms is None else norms[:, places],
            similarity=self.similarity,
            layer_weight=self.layer_weight,
            explained_variance_l=direction.explained_variance[places, 0],
            component_sum=self.component_sum,
            shift_cl=shift,
        )
        return scores, parts, layers

    def _diagnose(self, found: Sequence[tuple[str, Directions]], shares: Mapping[str, Any]) -> dict[str, Any]:
        """Explained variance and sign margin a layer, the layers' shares, cosines between targets."""
        first = self.reference_reading.first_layer
        report: dict[str, Any] = {}
        for name, direction in found:
            numbers = [str(first + i) for i in range(len(direction.sign_margin))]
            report[name] = {
                "explained_variance": dict(
                    zip(numbers, direction.explained_variance[:, 0].round(4).tolist(), strict=True)
                ),
                "sign_margin": dict(zip(numbers, direction.sign_margin.round(4).tolist(), strict=True)),
                "layer_share_of_score_variance": {k: round(v, 4) for k, v in shares[name].items()},
                "cosine_to": {
                    other: cosines(direction, theirs).round(4).tolist()
                    for other, theirs in found
                    if other != name
                },
            }
        return report

    def _warnings(self, diagnostics: Mapping[str, Any]) -> list[str]:
        messages = []
        for name, facts in diagnostics.items():
            used = facts["layer_share_of_score_variance"]
            weak = [layer for layer in used if facts["sign_margin"][layer] < LOW_MARGIN]
            if weak and self.sign != "none" and self.direction != "contrast":
                messages.append(
                    f"{name}: the sign of the direction is nearly a coin toss (margin < {LOW_MARGIN}) in "
                    f"{len(weak)} of {len(used)} layers: {', '.join(weak)}."
                )
            top, share = max(used.items(), key=lambda pair: pair[1])
            if share > 0.5 and len(used) > 2:
                messages.append(f"{name}: layer {top} alone carries {share:.0%} of the score's variance.")
        return messages


def _texts(target: Target) -> int:
    """How many different texts the reference rows hold."""
    return len({(example.system, example.turns) for example in target.examples})


def _sample(pool: Pool, rows: int, seed: int) -> Pool:
    """At most `rows` rows of the pool, drawn by id: the same whatever the file's order."""
    if len(pool) <= rows:
        return pool
    drawn = sorted(pool.examples, key=lambda example: unit_interval("pool sample", seed, example.id))[:rows]
    chosen = tuple(sorted(drawn, key=lambda example: example.id))
    return Pool(name=f"{pool.name} sample", examples=chosen, fingerprint=fingerprint(chosen))
