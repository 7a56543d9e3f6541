"""The sweeper of `nait -m`, installed as `hydra_plugins.nait`: Hydra takes plugins from no other package."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class Sweeper(BasicSweeper):  # type: ignore[misc]
    """Hydra's own sweeper, which composes every job's config before the first job starts, as a check.

    Of a sweep's values each is composed once here, not each combination of them: a tenth of a second a job, in one
    process, is most of what a sweep costs that finds all its results in the store. What only a combination shows, its
    job says, and the others go on.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Composes the first job, and for each further value the first that has it. Raises: what composing does."""
        super().validate_batch_is_legal(covering(batch))


def covering(batch: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """The jobs that bring an override which no job before them has."""
    seen: set[str] = set()
    kept = []
    for overrides in batch:
        if not seen.issuperset(overrides):
            seen.update(overrides)
            kept.append(overrides)
    return kept
