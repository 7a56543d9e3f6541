"""Pool descriptions: traits of each row's text and labels, kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.addresses import digest_lines
from nait.core.contracts import Describer
from nait.core.dataset.examples import Pool
from nait.core.dataset.traits import Traits
from nait.stages.artifacts.score_files import read_parquet, write_parquet
from nait.store import Artifact, Store, reading

VERSION = 1
FILE = "traits.parquet"
LABEL, MARK, SIZE = "label:", "mark:", "size:"


def characterise(
    pool: Pool, describer: Describer, store: Store, *, given: Mapping[str, Sequence[str]] | None = None
) -> Artifact:
    """The `traits` artifact of a pool. `given`: label columns [N] of the user's rows, by name."""
    given = given or {}
    key = {
        "traits": VERSION,
        "pool": pool.fingerprint,
        "describer": describer.key(),
        "given": {name: digest_lines(values) for name, values in given.items()},
    }

    def write(part: Path) -> Mapping[str, Any]:
        traits = describer.read(pool.blind())
        columns: dict[str, Any] = {"id": list(traits.ids)}
        columns |= {LABEL + name: values for name, values in traits.labels.items()}
        columns |= {f"{LABEL}{name} (given)": list(values) for name, values in given.items()}
        columns |= {MARK + name: values for name, values in traits.marks.items()}
        columns |= {SIZE + name: values for name, values in traits.sizes.items()}
        write_parquet(part / FILE, columns)
        return {"rows": len(pool), "traits": list(columns)[1:]}

    return store.produce("traits", key, write)


def read_traits(artifact: Artifact) -> Traits:
    """Traits from a `traits` artifact."""
    with reading(artifact.path):
        table = read_parquet(artifact.path / FILE)

        def columns(prefix: str, dtype: Any) -> dict[str, Any]:
            names = [name for name in table.column_names if name.startswith(prefix)]
            return {
                name.removeprefix(prefix): np.array(table.column(name).to_pylist(), dtype) for name in names
            }

        return Traits(
            tuple(table.column("id").to_pylist()),
            labels=columns(LABEL, np.str_),
            marks=columns(MARK, np.bool_),
            sizes=columns(SIZE, np.float64),
        )
