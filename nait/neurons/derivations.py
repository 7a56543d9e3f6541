"""Derivation of a target's directions: computed from its reference rows, or read from stored directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, DataError
from nait.neurons.directions import VERSION, Directions, Floats, Kind, Sign, find_directions
from nait.neurons.pool_mean import mean_reading
from nait.signals.specs.activations import Features, Reading, site_name


@dataclass(frozen=True)
class Derivation:
    """The settings that determine a reference set's directions: the rows' features, the axis, its sign.

    `sample` holds rows of the pool, whose mean `contrast` and `sign=pool` need.
    """

    reading: Reading
    kind: Kind
    sign: Sign
    components: int
    sample: Pool | None = None

    def directions(
        self, groups: Sequence[tuple[str, Sequence[Target]]], extractor: Extractor
    ) -> list[tuple[str, Directions]]:
        """Directions of each named group of targets, from the store if it has them.

        Raises: ConfigError for stored directions of another model, site or template, or in a group with other
        targets; DataError for rows that span no direction.
        """
        mean = None if self.sample is None else mean_reading(self.sample, self.reading, extractor)
        return [(name, self._one(name, group, mean, extractor)) for name, group in groups]

    def _one(
        self, name: str, group: Sequence[Target], pool_mean_ld: Floats | None, extractor: Extractor
    ) -> Directions:
        if len(group) == 1 and group[0].derived is not None:
            return self._stored(group[0], extractor)
        stored = [target.name for target in group if target.derived is not None]
        if stored:
            raise ConfigError(
                f"{', '.join(stored)}: stored directions have no reference rows to decompose",
                where="selector.merge",
                fix="Set selector.merge=none with order=best_rank or order=round_robin.",
            )
        key: dict[str, Any] = {
            "directions": VERSION, "reading": self.reading.key(), "kind": self.kind,
            "sign": self.sign, "components": self.components,
            "pool_sample": self.sample.fingerprint if self.sample else "",
            "references": [extractor.identity(target) for target in group],
            **self._other_texts(group[0], extractor),
        }  # fmt: skip

        def compute() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
            features = [extractor.measure(target, [Features(self.reading)])[0] for target in group]
            found = find_directions(
                np.concatenate(features), target=name, kind=self.kind, sign=self.sign,
                components=self.components, pool_mean_ld=pool_mean_ld, first_layer=self.reading.first_layer,
            )  # fmt: skip
            facts = {
                "target": name,
                "rows": sum(len(target) for target in group),
                "references": [target.fingerprint for target in group],
                "model": extractor.model_fingerprint,
                "template": extractor.identity(group[0])["template"],
                "first_layer": self.reading.first_layer,
                "explained_variance": found.explained_variance[:, 0].round(6).tolist(),
                "sign_margin": found.sign_margin.round(6).tolist(),
            }
            return found.arrays(), facts

        arrays, _ = extractor.derive("directions", key, compute)
        return Directions.of(arrays)

    def _other_texts(self, target: Target, extractor: Extractor) -> dict[str, str]:
        """The entry of the key for a sample of the pool in another template than the references'; {} otherwise."""
        if self.sample is None:
            return {}
        ours, theirs = (str(extractor.identity(rows)["template"]) for rows in (self.sample, target))
        return {} if ours == theirs else {"pool_template": ours}

    def _stored(self, target: Target, extractor: Extractor) -> Directions:
        """The target's stored directions. Raises: ConfigError if they were computed with other settings."""
        manifest, directions = target.derived
        reading = manifest["key"]["reading"]
        wanted = {
            "model": (manifest["model"], extractor.model_fingerprint),
            "template": (manifest["template"], extractor.identity(target)["template"]),
            "site": (site_name(reading), self.reading.site),
            "reference_feature": (reading["feature"], self.reading.feature),
            "origin": (reading["origin"], self.reading.origin),
            "direction": (manifest["key"]["kind"], self.kind),
            "sign": (manifest["key"]["sign"], self.sign),
            "components": (manifest["key"]["components"], self.components),
        }
        for name, (theirs, ours) in wanted.items():
            if theirs != ours:
                raise ConfigError(
                    f"the directions were computed with {name}={theirs}, this run has {ours}",
                    where=f"target '{target.name}'",
                    fix=f"Set {name} to their value, or compute them again from reference rows.",
                )
        assert isinstance(directions, Directions)
        return directions


def other_limits(targets: Sequence[Target], extractor: Extractor) -> list[str]:
    """Warnings for stored directions of texts that were cut at another length limit than this run's."""
    found = []
    for target in targets:
        references = target.derived[0]["key"].get("references", ()) if target.derived is not None else ()
        theirs = {one.get("max_length") for one in references} - {None}
        ours = extractor.identity(target)["max_length"]
        if theirs - {ours}:
            limits = " and ".join(f"{limit}" for limit in sorted(theirs))
            found.append(
                f"{target.name}: its directions are of texts of at most {limits} tokens, and this run reads {ours} "
                f"(model.max_length). Set model.max_length={limits} unless the texts are shorter."
            )
    return found


def check_references(targets: Sequence[Target], kind: Kind) -> None:
    """Check the targets without a model. Raises: DataError for a target whose rows span no direction of this kind.

    Only principal components need rows that differ. A contrast is a difference of means: one row has a mean.
    """
    if not targets:
        raise DataError("NAIT needs a target", where="target", fix="Set target=file target.path=FILE.")
    for target in targets:
        if target.derived is not None:
            continue
        if not target.examples:
            raise DataError(
                "it has no reference rows",
                where=f"target '{target.name}'",
                fix="32 rows or more are typical.",
            )
        if kind != "contrast" and _texts(target) < 2:
            raise DataError(
                f"its {len(target)} row(s) hold fewer than two different texts, so there is no principal component",
                where=f"target '{target.name}'",
                fix="Give at least two different reference rows; 32 or more are typical.",
            )


def _texts(target: Target) -> int:
    """Number of different texts among the reference rows."""
    return len({(example.system, example.turns) for example in target.examples})
