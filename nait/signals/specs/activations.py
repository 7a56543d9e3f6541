"""Forward signals: the quantities that a forward pass can measure, as plain data.

One pass yields both kinds. Features, Projections, Norms and Mean are computed from a reading: one vector per layer,
taken inside the decoder. Losses, Embedding and Choice are computed from the decoder's output, after the final norm;
Losses and Choice run the LM head.

Shapes: N rows, L layers, D width of the site, C directions or choices. A signal's key, with the model's, template's
and examples' fingerprints, is its address in the store. Layers are not part of a key: a pass reads all of them,
so a sweep over layers opens no model. Only a reading with a `depth` stops before the last layer; its key contains the
depth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice
from nait.models.anatomy import SITES, Site

Feature = Literal["delta", "mean", "last", "mean_delta"]
Origin = Literal["first", "prompt_end"]
FEATURES: tuple[Feature, ...] = ("delta", "mean", "last", "mean_delta")
ORIGINS: tuple[Origin, ...] = ("first", "prompt_end")
Scope = Literal["answer", "whole"]
SCOPES: tuple[Scope, ...] = ("answer", "whole")
Pooling = Literal["weighted_mean", "mean", "last"]
POOLINGS: tuple[Pooling, ...] = ("weighted_mean", "mean", "last")
Part = Literal["whole", "prompt"]
PARTS: tuple[Part, ...] = ("whole", "prompt")
VERSION = 1
SITE_VERSIONS: Mapping[str, int] = {"mlp": 2, "mlp_out": 2, "attn_out": 2}
"""Of the sites that once read another module of some models. A change of what a site reads increases its version."""

Arrays = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One vector per layer: the activation at `site`, summarised over a row's tokens.

    With a(t) the activation at token t, o the origin and K the last token:

    - delta: a(K) - a(o)
    - mean: mean of a(t)
    - last: a(K)
    - mean_delta: mean of a(t), minus a(o)

    `origin=first`: o is token 1 and means run over all tokens. `origin=prompt_end`: o is the prompt's last
    token and means run over the tokens after it.

    With a `depth`, layers above it are not read, and a pass stops at the greatest depth of its signals.
    """

    site: Site = "residual"
    feature: Feature = "delta"
    origin: Origin = "first"
    depth: int | None = None

    def __post_init__(self) -> None:
        for key, value, known in (
            ("selector.site", self.site, SITES),
            ("selector.feature", self.feature, FEATURES),
            ("selector.origin", self.origin, ORIGINS),
        ):
            check_choice(key, value, known)
        if self.depth is not None and self.depth < self.first_layer:
            raise ConfigError(
                f"{self.depth} is below the first layer",
                where="reading.depth",
                fix=f"Give {self.first_layer} or more, or none.",
            )

    def key(self) -> Mapping[str, Any]:
        """The part of a key that determines the values. It has a site's version above 1 and a set `depth` only, so
        that earlier keys stay valid."""
        facts = {"type": "Reading", "site": self.site, "feature": self.feature, "origin": self.origin}
        versions = {} if self.site_version == 1 else {"site_version": self.site_version}
        return facts | versions | ({} if self.depth is None else {"depth": self.depth})

    @property
    def site_version(self) -> int:
        """How often it changed which module the site reads, plus 1."""
        return SITE_VERSIONS.get(self.site, 1)

    @property
    def first_layer(self) -> int:
        """First layer of the reading: 0 (the embeddings) at the residual site, else 1."""
        return 0 if self.site == "residual" else 1


def site_name(key: Mapping[str, Any]) -> str:
    """The site in a reading's key, with its version where that is an earlier one."""
    site, version = str(key["site"]), key.get("site_version", 1)
    return site if version == SITE_VERSIONS.get(site, 1) else f"{site} (version {version})"


class Signal(Protocol):
    """A quantity to measure for each row (`per_row`), or for the set as a whole."""

    @property
    def per_row(self) -> bool: ...

    def key(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Features:
    """Readings [N, L, D] in float32: for reference sets, too large for pools."""

    reading: Reading
    per_row: bool = field(default=True, init=False)

    def key(self) -> Mapping[str, Any]:
        return {"signal": "features", "version": VERSION, "reading": self.reading.key()}


@dataclass(frozen=True)
class Projections:
    """Projections of readings on directions, [N, C, L] in float32. `directions` is [C, L, D], `digest` its hash.

    A reading with a depth also takes the directions of all layers, so its digest equals that of the full reading.
    """

    reading: Reading
    digest: str
    directions: Arrays = field(repr=False, compare=False)
    per_row: bool = field(default=True, init=False)

    def key(self) -> Mapping[str, Any]:
        return {
            "signal": "projections",
            "version": VERSION,
            "reading": self.reading.key(),
            "directions": self.digest,
        }


def project_on(reading: Reading, directions_cld: Arrays) -> Projections:
    """`Projections` on these directions [C, L, D], with the digest of their bytes."""
    exact = np.ascontiguousarray(directions_cld, dtype=np.float32)
    return Projections(reading, _digest(exact), exact)


def norms_about(reading: Reading, center_ld: npt.NDArray[np.floating[Any]]) -> Norms:
    """`Norms` of the readings minus this center [L, D]."""
    exact = np.ascontiguousarray(center_ld, dtype=np.float32)
    return Norms(reading, _digest(exact), exact)


def _digest(array: Arrays) -> str:
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()[:32]


@dataclass(frozen=True)
class Norms:
    """L2 norms of the readings, minus `center` [L, D] if given: [N, L] in float32."""

    reading: Reading
    digest: str = ""
    center: Arrays | None = field(default=None, repr=False, compare=False)
    per_row: bool = field(default=True, init=False)

    def key(self) -> Mapping[str, Any]:
        return {"signal": "norms", "version": VERSION, "reading": self.reading.key(), "center": self.digest}


@dataclass(frozen=True)
class Mean:
    """The mean reading over all rows, [1, L, D] in float64."""

    reading: Reading
    per_row: bool = field(default=False, init=False)

    def key(self) -> Mapping[str, Any]:
        return {"signal": "mean", "version": VERSION, "reading": self.reading.key()}


@dataclass(frozen=True)
class Losses:
    """Summed negative log-likelihood (nats) and number of predicted tokens, [N, 2] in float64.

    `answer` predicts the answer's tokens that have a token before them; `whole` predicts every token but the first.
    A row without a predicted token has (0, 0).
    """

    scope: Scope = "answer"
    per_row: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_choice("selector.scope", self.scope, SCOPES)

    def key(self) -> Mapping[str, Any]:
        return {"signal": "losses", "version": VERSION, "scope": self.scope}


@dataclass(frozen=True)
class Embedding:
    """The decoder's output h(t), after the final norm, pooled over a row's real tokens: [N, D] in float32.

    weighted_mean: sum of t h(t) over sum of t, t counted from 1; mean: the mean of h(t); last: h of the last
    token. `part=prompt` pools only over the tokens before the first answer. Not normalised.
    """

    pooling: Pooling = "weighted_mean"
    part: Part = "whole"
    per_row: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_choice("selector.pooling", self.pooling, POOLINGS)
        check_choice("selector.part", self.part, PARTS)

    def key(self) -> Mapping[str, Any]:
        return {"signal": "embedding", "version": VERSION, "pooling": self.pooling, "part": self.part}


@dataclass(frozen=True)
class Choice:
    """Probability of each of these tokens after a row's last token: [N, C] in float32."""

    ids: tuple[int, ...]
    per_row: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if not self.ids:
            raise ConfigError("there is no token to choose from", where="choice", fix="Give token ids.")

    def key(self) -> Mapping[str, Any]:
        return {"signal": "choice", "version": VERSION, "ids": list(self.ids)}


ReadingSignal = Features | Projections | Norms | Mean
OutputSignal = Losses | Embedding | Choice


def at_every_layer(signal: Signal) -> Signal | None:
    """The same signal without a depth, at every layer; None for a signal that has no depth."""
    if not isinstance(signal, ReadingSignal) or signal.reading.depth is None:
        return None
    return replace(signal, reading=replace(signal.reading, depth=None))


def first_layers(signal: Signal, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values of `signal` as a view of the values at every layer."""
    assert isinstance(signal, ReadingSignal)
    assert signal.reading.depth is not None
    count = signal.reading.depth - signal.reading.first_layer + 1
    return values[:, :, :count] if isinstance(signal, Projections) else values[:, :count]
