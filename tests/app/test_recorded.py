"""Stores stay valid: today's code gives the addresses and the scores that were recorded.

`recorded.json` holds, of six selectors on 100 rows of the embedded world, the addresses of scores, selections and
adapters, and the scores. A change that is meant to give other numbers writes it again with
`python -m tests.app.test_recorded`.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch.nn import functional

from nait.store import Store
from tests.app.commands import environment, warm

RECORD = Path(__file__).with_name("recorded.json")
SELECTORS = ("random", "length", "perplexity", "ifd_superfiltering", "nait", "nait_contrast")
KINDS = ("scores", "selections", "adapters")
ARGUMENTS = (
    "-m", f"selector={','.join(SELECTORS)}", "data=nano_small", "data.size=100", "budget.ratio=0.2", "target.rows=8",
    "stages=[select,train]", "train.max_steps=1", "eval=nano", "traits=none", "contamination=none", "tracking=files",
)  # fmt: skip
DIGITS = 4
"""Of a score that other processors give alike."""


def found(folder: Path) -> dict[str, Any]:
    """What the store in `folder` holds: addresses by kind; the scores of each table, by address."""
    store = Store(folder / "store")
    tables = {made.address: pq.read_table(made.path / "scores.parquet") for made in store.artifacts("scores")}
    return {
        "addresses": {kind: sorted(made.address for made in store.artifacts(kind)) for kind in KINDS},
        "scores": {name: table.to_pydict() for name, table in sorted(tables.items())},
        "bytes": {
            name: hashlib.sha256(json.dumps(table.to_pydict()).encode()).hexdigest()
            for name, table in sorted(tables.items())
        },
        "processor": processor(),
    }


def processor() -> str:
    """A digest of products and functions in one thread of torch: where it differs, the last bits of scores may.

    Processors of one kind for numpy may be of several for torch, which has other kernels.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x = torch.sin(torch.arange(96 * 96, dtype=torch.float32)).reshape(96, 96)
        heads = x.reshape(1, 4, 24, 96)
        attended = functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
        made = [
            x @ x,
            x[:3] @ x,
            x.exp(),
            x.softmax(-1),
            functional.silu(x),
            x.pow(2).mean(-1).rsqrt(),
            attended,
        ]
    finally:
        torch.set_num_threads(threads)
    return hashlib.sha256(b"".join(one.contiguous().numpy().tobytes() for one in made)).hexdigest()[:16]


def test_addresses_and_scores_are_those_recorded(tmp_path: Path) -> None:
    done = warm().run(ARGUMENTS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    recorded, now = json.loads(RECORD.read_text(encoding="utf-8")), found(tmp_path)
    assert now["addresses"] == recorded["addresses"]
    for name, columns in recorded["scores"].items():
        for column, values in columns.items():
            if all(isinstance(value, float) or value is None for value in values):
                mine = np.array(now["scores"][name][column], dtype=float)
                np.testing.assert_allclose(
                    mine, np.array(values, dtype=float), rtol=10**-DIGITS, atol=10**-DIGITS
                )
            else:
                assert now["scores"][name][column] == values
    if now["processor"] == recorded["processor"]:
        assert now["bytes"] == recorded["bytes"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([sys.executable, "-m", "nait", *ARGUMENTS], cwd=place, env=environment(), check=True)
        RECORD.write_text(json.dumps(found(Path(place)), indent=1) + "\n", encoding="utf-8")
