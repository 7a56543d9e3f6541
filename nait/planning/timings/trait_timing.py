"""Time of describing the pool for the report, from two samples of its rows."""

from __future__ import annotations

import time

from nait.core.contracts import Describer
from nait.core.dataset.examples import Pool
from nait.core.estimates.plans import per_unit
from nait.planning.subsample import draw

FEW_ROWS, MANY_ROWS = 200, 1200


def time_traits(pool: Pool, describer: Describer) -> float:
    """Seconds for all rows: startup on a first sample, then the marginal cost of more rows."""
    first = _time(draw(pool, FEW_ROWS), describer)
    if len(pool) <= FEW_ROWS:
        return first
    few, many = draw(pool, FEW_ROWS, after=FEW_ROWS), draw(pool, MANY_ROWS, after=2 * FEW_ROWS)
    small, large = ((float(len(rows)), _time(rows, describer)) for rows in (few, many))
    return first + per_unit(small, large) * (len(pool) - FEW_ROWS)


def _time(rows: Pool, describer: Describer) -> float:
    started = time.monotonic()
    describer.read(rows.blind())
    return time.monotonic() - started
