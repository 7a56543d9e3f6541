"""Store hit: seconds to read all values of a stored signal of --rows rows, pool fingerprint included (goal 1)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.kept import TEMPLATE, Closed, pool, scored, target
from benchmarks.lines import print_result, timed
from benchmarks.models import arguments
from nait.core.dataset.examples import fingerprint
from nait.signals.extractor import StoredExtractor
from nait.store import Store

GOAL = 1.0


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=52_002, model="random:100m")
    rows = pool(options.rows)
    with TemporaryDirectory() as folder:
        _, signals = scored(Path(folder), rows, target(), options.model)

        def hit() -> None:
            assert fingerprint(rows.examples) == rows.fingerprint
            fresh = StoredExtractor(Closed(), Store(folder), TEMPLATE)
            for values in fresh.measure(rows, signals):
                values.sum()

        seconds = timed(hit)
    print_result("store", f"{options.rows} rows", seconds=seconds, goal=GOAL)


if __name__ == "__main__":
    main()
