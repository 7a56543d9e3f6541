"""Held-out reference rows: they become the evaluation, and no score is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nait.core.addresses import unit_interval
from nait.core.dataset.contamination import REFUSED, Contamination, Side, as_evaluation_texts
from nait.core.dataset.duplicates import count_duplicates
from nait.core.dataset.examples import Example, Target, content_id, fingerprint
from nait.core.errors import ConfigError

FEWEST = 8
"""The least rows on each side of a split."""
HELD_OUT = "is held out for the evaluation"
SHARED = "shares a whole text with a held-out row"


@dataclass(frozen=True)
class HeldOutSplit:
    """A target without its held-out rows, and these rows."""

    target: Target
    rows: tuple[Example, ...]


def is_held_out(example: Example, share: float) -> bool:
    """Whether a row is held out. Its text alone decides, so equal rows are on one side, and a larger share holds out
    the rows of a smaller one too."""
    return unit_interval("held out", content_id(example.system, example.turns)) < share


def hold_out(target: Target, share: float, rule: Contamination | None) -> HeldOutSplit:
    """The split of a target. References that share a whole text with a held-out row by `rule` are left out.

    Raises: ConfigError if fewer than `FEWEST` rows are on a side.
    """
    held = tuple(one for one in target.examples if is_held_out(one, share))
    kept = target.without({one.id for one in held}, HELD_OUT)
    if rule is not None and held:
        other = {Side("task", target.name): as_evaluation_texts(_of(target, held))}
        shared = {hit.id for hit in rule.compare(kept, other) if hit.kind in REFUSED}
        kept = kept.without(shared, SHARED)
    if min(len(held), len(kept)) < FEWEST:
        found = f"{len(held)} rows are held out and {len(kept)} references are left"
        raise ConfigError(
            f"{found} of {len(target)}, and each side needs {FEWEST}",
            where=f"target '{target.name}'",
            fix="Give more reference rows, a file of test rows (--test FILE, eval.test=FILE), or a benchmark "
            "(--eval NAME, eval=NAME).",
        )
    return HeldOutSplit(replace(kept, duplicates=count_duplicates(kept.examples)), held)


def with_tests(targets: Sequence[Target], tests: Target) -> list[HeldOutSplit]:
    """All references of one target, and the rows of a test file. Raises: ConfigError for several targets."""
    if len(targets) != 1:
        raise ConfigError(
            f"one file of test rows cannot test {len(targets)} targets",
            where="eval.test",
            fix="Choose one target, or set eval.test=null to hold out a share of each.",
        )
    return [HeldOutSplit(targets[0], tests.examples)]


def _of(target: Target, examples: tuple[Example, ...]) -> Target:
    return replace(target, examples=examples, fingerprint=fingerprint(examples))
