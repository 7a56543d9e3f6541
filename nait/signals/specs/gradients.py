"""Gradient signals: the quantities that a backward pass can measure for each row, as plain data.

Shapes: N rows, P weights of the adapter (every LoRA factor, flattened, in the order of the parameters' names),
R reference rows, S width of a projection. A row's gradient is the gradient of the mean NLL of its answer
tokens, with dropout off. A row without a predicted answer token has NaN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nait.core.addresses import digest_file
from nait.core.errors import ConfigError, StoreError
from nait.core.inputs.checks import check_choice
from nait.store import read_json

Variant = Literal["less", "eps_outside", "no_momentum", "sgd"]
VARIANTS: tuple[Variant, ...] = ("less", "eps_outside", "no_momentum", "sgd")
VERSION = 2
"""Since 2, gradients of float16 models are not rounded to 0."""
SIGNS_VERSION = 1
WORD_BITS = 64

Arrays = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moments:
    """Adam's two moments at a checkpoint: `NAME.exp_avg` and `NAME.exp_avg_sq` in a safetensors file."""

    path: Path = field(compare=False)
    digest: str
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def key(self) -> Mapping[str, Any]:
        return {"digest": self.digest, "beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}


def find_moments(path: Path) -> Moments:
    """The moments in this file, with Adam's constants from an `epoch.json` in the same folder, if any.

    Raises: StoreError if the file does not exist.
    """
    if not path.is_file():
        raise StoreError(
            "there is no such file",
            where=str(path),
            fix="Train with train.checkpoints=epoch, which keeps Adam's moments.",
        )
    record = path.with_name("epoch.json")
    facts = read_json(record) if record.is_file() else {}
    known = {name: float(facts[name]) for name in ("beta1", "beta2", "eps") if name in facts}
    return Moments(path, digest_file(path), **known)


@dataclass(frozen=True)
class Update:
    """The update computed from a gradient g: the step that Adam, with moments m and v, would take next.

    - less: (b1 m + (1 - b1) g) / sqrt(b2 v + (1 - b2) g^2 + eps), as in LESS's code: eps inside the root, no bias
      correction.
    - eps_outside: (b1 m + (1 - b1) g) / (sqrt(b2 v + (1 - b2) g^2) + eps).
    - no_momentum: g / sqrt(b2 v + (1 - b2) g^2 + eps).
    - sgd: g.
    """

    variant: Variant = "sgd"
    moments: Moments | None = None

    def __post_init__(self) -> None:
        check_choice("selector.adam", self.variant, VARIANTS)
        if self.variant != "sgd" and self.moments is None:
            raise ConfigError(
                f"{self.variant} needs Adam's moments",
                where="selector.adam",
                fix="Give a checkpoint with moments, or use sgd.",
            )

    def key(self) -> Mapping[str, Any]:
        used = self.moments if self.variant != "sgd" else None
        return {"variant": self.variant, "moments": used.key() if used else None}


PLAIN = Update()


@dataclass(frozen=True)
class Projection:
    """A random projection to `dim` numbers by a matrix of signs, +-1 / sqrt(dim), determined by `seed`."""

    dim: int = 8192
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dim < WORD_BITS or self.dim % WORD_BITS:
            raise ConfigError(
                f"{self.dim} is not a multiple of {WORD_BITS}",
                where="selector.projection_dim",
                fix="8192 is usual.",
            )

    def key(self) -> Mapping[str, Any]:
        return {"signs": SIGNS_VERSION, "dim": self.dim, "seed": self.seed}


@dataclass(frozen=True)
class Gradients:
    """Each row's update, of unit norm: [N, P] in float32, or [N, S] projected.

    Unprojected updates are for reference sets, not for pools: P may be a hundred million.
    """

    update: Update = PLAIN
    projection: Projection | None = None
    per_row: bool = field(default=True, init=False)

    def key(self) -> Mapping[str, Any]:
        return {"signal": "gradients", "version": VERSION, **_how(self.update, self.projection)}


@dataclass(frozen=True)
class Influences:
    """Cosine similarities of each row's update with reference gradients: [N, R] in float32.

    `references` is [R, P] (or [R, S], projected), with rows of unit norm; `digest` is its hash. [N, P] is never
    stored: inner products are accumulated factor by factor during the backward pass.
    """

    digest: str
    references: Arrays = field(repr=False, compare=False)
    update: Update = PLAIN
    projection: Projection | None = None
    per_row: bool = field(default=True, init=False)

    def key(self) -> Mapping[str, Any]:
        how = _how(self.update, self.projection)
        return {"signal": "influences", "version": VERSION, "references": self.digest, **how}


GradientSignal = Gradients | Influences


def influences_of(references: Arrays, update: Update, projection: Projection | None = None) -> Influences:
    """`Influences` of these reference gradients [R, P], with the digest of their bytes."""
    exact = np.ascontiguousarray(references, dtype=np.float32)
    digest = hashlib.sha256(repr(exact.shape).encode())
    digest.update(exact.data)
    return Influences(digest.hexdigest()[:32], exact, update, projection)


def _how(update: Update, projection: Projection | None) -> dict[str, Any]:
    return {"update": update.key(), "projection": projection.key() if projection else None}
