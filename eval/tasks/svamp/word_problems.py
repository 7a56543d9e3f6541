"""Problems of SVAMP in the form of the harness's task gsm8k_cot, and that task's examples."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml


def problems(rows: Any) -> Any:
    """The rows (a `datasets.Dataset`) with `question`, a problem's body and question, and `target`, its number."""
    return rows.map(
        lambda row: {
            "question": f"{row['Body'].strip()} {row['Question'].strip()}",
            "target": format(float(str(row["Answer"]).replace(",", "")), ".12g"),
        }
    )


def examples() -> list[dict[str, Any]]:
    """The examples of gsm8k_cot, from the harness's own file."""
    harness = find_spec("lm_eval")
    assert harness is not None
    assert harness.origin is not None
    path = Path(harness.origin).parent / "tasks" / "gsm8k" / "gsm8k-cot.yaml"
    task = yaml.safe_load(path.read_text(encoding="utf-8"))
    samples: list[dict[str, Any]] = task["fewshot_config"]["samples"]
    return samples
