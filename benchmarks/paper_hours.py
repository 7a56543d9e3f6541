"""Estimated GPU hours of the paper's experiments: counted operations over a GPU's stated speed. Nothing is run.

    python -m benchmarks.paper_hours --gpu h200

Prints a Markdown table: hours of selection, training and evaluation of each `experiment=paper_*` with the shared work
done once. The estimate assumes that scoring and prompts reach `USED` of the GPU's peak, training `USED_IN_TRAINING`,
and that an answer has half of its allowed tokens. Such an estimate is right within a factor of two or three;
`plan=true` on the device itself rehearses the job.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

USED, USED_IN_TRAINING = 0.5, 0.4
STEP_SECONDS = 0.025
"""The least time of a generated token of a batch: the start of the kernels of 32 layers."""
ANSWER_SHARE = 0.5
ROWS, TOKENS, EPOCHS = 52_002, 240, 3
"""Alpaca-GPT4 with its template, tokens of a row in the mean; passes of a training."""
WEIGHTS = 6.74e9


@dataclass(frozen=True)
class Gpu:
    """Peak operations per second in bfloat16 and bytes per second of memory, as the vendor states them."""

    name: str
    operations: float
    bandwidth: float


GPUS = {
    "a100": Gpu("A100, 80 GB", 312e12, 2.0e12),
    "h100": Gpu("H100, 80 GB", 989e12, 3.35e12),
    "h200": Gpu("H200, 141 GB", 989e12, 4.8e12),
}


@dataclass(frozen=True)
class Benchmark:
    """Prompts, groups that share `shared` tokens of examples, a prompt's own tokens, and the limit of an answer."""

    prompts: int
    groups: int
    shared: int
    own: int
    new: int = 0


BENCHMARKS = {
    "mmlu": Benchmark(14_042, 57, 600, 95),
    "mmlu_pro": Benchmark(12_032, 14, 1_300, 230, 512),
    "gsm8k_cot": Benchmark(1_319, 1, 1_000, 75, 256),
    "svamp": Benchmark(300, 1, 1_000, 60, 256),
    "humaneval_pass10": Benchmark(164 * 20, 164, 150, 1, 1024),
    "mbpp_sanitized": Benchmark(257, 1, 600, 120, 256),
    "tydiqa": Benchmark(5_077, 9, 1_500, 250, 32),
    "xquad": Benchmark(13_090, 11, 1_300, 250, 32),
    "bbh_cot_fewshot": Benchmark(6_511, 27, 800, 80, 256),
}


@dataclass(frozen=True)
class Experiment:
    """Forwards of the pool, trainings in units of one on the full pool, and trained models to evaluate.

    IFD counts as 1.6 forwards, SelectIT's five prompts as 6, LESS with four checkpoints as 12. `size` is the models'
    mean size, in units of Llama-2-7B.
    """

    forwards: float
    trainings: float
    models: int
    size: float = 1.0


EXPERIMENTS = {
    "paper": Experiment(1, 0.1, 1),
    "paper_main": Experiment(1.6 + 6, 3 + 0.1 * 39, 42),
    "paper_models": Experiment(1, 5 * 3 * (1 + 0.2), 45, (6.74 + 13.0 + 7.2 + 8.0 + 7.6) / 5 / 6.74),
    "paper_cost": Experiment(1 + 6 + 1.6 + 1 + 1 + 12, 0, 0),
    "paper_transfer": Experiment(1, 0.1 * 33, 33),
    "paper_ratio": Experiment(1, 2 * 3 * 2.91, 54),
    "paper_reference_size": Experiment(1, 0.1 * 39, 39),
    "paper_extremes": Experiment(1, 0.1 * 12, 12),
    "paper_layers": Experiment(1, 0.1 * 130, 130),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpu", default="h200", choices=sorted(GPUS))
    parser.add_argument("--batch-tokens", type=int, default=65_536, help="eval.batch_tokens")
    options = parser.parse_args()
    gpu, batch_tokens = GPUS[options.gpu], options.batch_tokens
    print(f"Estimated hours on one {gpu.name}, Llama-2-7B, eval.batch_tokens={batch_tokens}:\n")
    print("| `experiment=` | select | train | evaluate | all |\n|---|---|---|---|---|")
    for name, experiment in EXPERIMENTS.items():
        hours = phases(experiment, gpu, batch_tokens)
        print(f"| `{name}` | " + " | ".join(f"{one:.1f}" for one in (*hours, sum(hours))) + " |")


def phases(experiment: Experiment, gpu: Gpu, batch_tokens: int) -> tuple[float, float, float]:
    """Hours of selection, training and evaluation; the base model is evaluated once where models are."""
    forward = 2 * WEIGHTS * experiment.size * ROWS * TOKENS
    select = experiment.forwards * forward / (USED * gpu.operations)
    train = experiment.trainings * 3 * EPOCHS * forward / (USED_IN_TRAINING * gpu.operations)
    models = experiment.models + bool(experiment.models)
    evaluate = models * seconds(gpu, experiment.size, batch_tokens)
    return select / 3600, train / 3600, evaluate / 3600


def seconds(gpu: Gpu, size: float, batch_tokens: int) -> float:
    """Seconds of evaluating one model on the nine benchmarks."""
    total = 0.0
    step = max(STEP_SECONDS * size, 2 * WEIGHTS * size / gpu.bandwidth)
    for one in BENCHMARKS.values():
        tokens = one.groups * one.shared + one.prompts * one.own
        total += tokens * 2 * WEIGHTS * size / (USED * gpu.operations)
        batches = one.prompts / max(1, batch_tokens // (one.own + one.new))
        total += batches * ANSWER_SHARE * one.new * step
    return total


if __name__ == "__main__":
    main()
