"""NAIT's readings, RDS+ and random rows on real text: the second table of nait/neurons/README.md.

    python -m benchmarks.readings --data DATA --model FOLDER --out planted

plants 150 rows each of GSM8K, MBPP, German XQuAD and MMLU in 900 rows of Alpaca (`benchmarks.planted` describes
DATA), takes 64 other rows of each family as its reference set, and scores the pool with the model in FOLDER: float32,
Alpaca's template, 384 tokens, no training. For each selector and family it prints the precision of the 150 highest
rows and, in brackets, the AUC; then the number of layers in which the sign of a family's direction is nearly a coin
toss, and the rank correlation of its scores with length. `--seed` draws the rows. Signals are stored in `OUT/store`,
so repeating the command opens no model.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

from benchmarks.planted import plant
from nait.core.dataset.examples import Pool, Target
from nait.core.ranking.ground_truth import Labels, TruthColumns, measure
from nait.core.ranking.rank_statistics import lowest_first, spearman
from nait.core.ranking.score_table import ScoreTable
from nait.data.pools import read_pool, read_targets
from nait.models.loading import LocalModel
from nait.neurons.diagnostics import LOW_MARGIN
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.select import measure_together
from nait.store import Store

SELECTORS = ("nait", "nait_end", "nait_mlp", "nait_mlp_end", "nait_mean", "random", "rds", "nait_contrast")
FAMILIES = ("gsm8k", "mbpp", "xquad_de", "mmlu")


def main() -> None:
    """Plant the pool, score it, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, help="the model's folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--alpaca", type=int, default=900, help="rows of Alpaca")
    parser.add_argument("--planted", type=int, default=150, help="rows of each family in the pool")
    parser.add_argument(
        "--reference", type=int, default=64, help="further rows of each family, for its reference set"
    )
    parser.add_argument("--seed", type=int, default=0, help="draws the rows")
    parser.add_argument("--max-length", type=int, default=384, help="tokens; longer texts are cut")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    plant(
        given.data, given.out, FAMILIES,
        alpaca=given.alpaca, planted=given.planted, reference=given.reference, seed=given.seed,
    )  # fmt: skip
    pool = read_pool(given.out / "pool.jsonl")
    targets = read_targets({name: given.out / f"{name}.jsonl" for name in FAMILIES})
    print(table(pool, targets, labels(given.out / "pool.jsonl", pool), given))


def labels(path: Path, pool: Pool) -> Labels:
    """The ground truth of each row, in the pool's order."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    named = TruthColumns("family", "skill", "clean", "lookalike")
    return named.labels([rows[example.row] for example in pool.examples])


def table(pool: Pool, targets: Sequence[Target], truth: Labels, given: argparse.Namespace) -> str:
    """A table with one line per selector; all selectors share one pass over each text."""
    scorers = {name: scorer(name) for name in SELECTORS}
    x = StoredExtractor(
        LocalModel(given.model, dtype="float32", device=given.device, max_length=given.max_length),
        Store(given.out / "store"),
        built("template", ["template=alpaca"]),
        engine=Engine(progress=False),
    )
    measure_together(pool.blind(), targets, list(scorers.values()), x)
    lengths = x.lengths(pool)
    lines = []
    for name, one in scorers.items():
        scores = one.score(pool.blind(), targets, x)
        worth = [found(scores, target.name, truth, given.planted) for target in targets]
        precision = sum(each["precision"] for each in worth) / len(worth)
        rhos = [spearman(column_of(scores, target.name), lengths) for target in targets]
        lines.append(
            [name, *(f"{each['precision']:.2f} ({each['auc']:.2f})" for each in worth), f"{precision:.2f}",
             tosses(scores), ", ".join(f"{rho:+.2f}" for rho in rhos)]
        )  # fmt: skip
    x.close()
    heads = ["selector", *FAMILIES, "mean precision", "coin tosses", "rho with length"]
    return str(tabulate(lines, headers=heads, tablefmt="github", disable_numparse=True))


def found(scores: ScoreTable, name: str, truth: Labels, count: int) -> dict[str, float]:
    """Precision of the `count` highest rows of a target's column, and its AUC."""
    column = column_of(scores, name)
    return measure(truth, lowest_first(-column)[:count].tolist(), [name], {name: column})


def column_of(scores: ScoreTable, name: str) -> npt.NDArray[np.float64]:
    """A target's scores [N]: its own column, or the only one of a method that does not depend on the target."""
    return scores.column(name if name in scores.targets else scores.targets[0])


def tosses(scores: ScoreTable) -> str:
    """The number of summed layers with a low sign margin, for each family; empty without a sign rule."""
    facts = [scores.diagnostics[name] for name in FAMILIES if name in scores.diagnostics]
    if not facts or "contrast" in scores.definition:
        return ""
    weak = [
        sum(one["sign_margin"][layer] < LOW_MARGIN for layer in one["layer_share_of_score_variance"])
        for one in facts
    ]
    layers = len(facts[0]["layer_share_of_score_variance"])
    return f"{', '.join(map(str, weak))} of {layers}"


def scorer(name: str) -> Any:
    """The selector of a preset; RDS+ with one column per family, the cosine to the nearest reference row."""
    return built("selector", [f"selector={name}", *(["selector.reduce=max"] if name == "rds" else [])])


def built(node: str, choices: Sequence[str]) -> Any:
    """The object that a node of the run's config instantiates with these overrides."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.utils import instantiate

    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        config = compose("run", overrides=["model=local", "model.path=unused", *choices])
    return instantiate({key: value for key, value in config[node].items() if key != "name"})


if __name__ == "__main__":
    main()
