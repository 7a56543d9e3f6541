"""pass@k: the probability that at least one of k programs, drawn from n, passes its tests (Chen et al., 2021)."""

from __future__ import annotations

from math import comb

from nait.core.errors import ConfigError


def pass_at_k(n: int, passed: int, k: int) -> float:
    """1 - C(n - passed, k) / C(n, k), the unbiased estimate from n programs (Chen et al., arXiv 2107.03374, Eq. 1).

    Raises: ConfigError if k exceeds n.
    """
    if not 0 < k <= n:
        raise ConfigError(
            f"pass@{k} needs at least {k} answers to an item; there are {n}", where="repeats of the task",
            fix="Generate more answers, or estimate a smaller k.",
        )  # fmt: skip
    return 1.0 - comb(n - passed, k) / comb(n, k)
