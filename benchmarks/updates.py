"""Updates for the training benchmark: rows with Alpaca's lengths, and the trainers that are compared on them.

Prompts and answers have the lengths of Alpaca's (52,002 rows, Alpaca's template, 4 characters per token, rows cut at
512 tokens): 130 tokens in the mean, 53 % of them answer. A random batch of 16 has 2.2 padded tokens for a real one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.token_table import TokenTable, token_table
from nait.models.tokens.batches import Rows, plan

QUANTILES = (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1)
PROMPTS = (37, 43, 45, 47, 49, 51, 54, 63, 70, 75, 84, 94, 114, 135, 158, 212, 683)
ANSWERS = (1, 3, 6, 11, 17, 28, 47, 71, 95, 119, 153, 187, 247, 299, 359, 529, 1046)
LONGEST = 512
POOL_ROWS = 52_002
DRAWS = 400
IGNORED = -100

Ints = npt.NDArray[np.int64]
Network = Any


def pool_lengths(seed: int = 0) -> tuple[Ints, Ints]:
    """Prompt and answer lengths [N] in tokens of a pool of Alpaca's size."""
    generator = np.random.default_rng(seed)
    prompts, answers = (
        np.interp(generator.random(POOL_ROWS), QUANTILES, known).astype(np.int64)
        for known in (PROMPTS, ANSWERS)
    )
    prompts = np.minimum(prompts, LONGEST - 1)
    return prompts, np.minimum(answers, LONGEST - prompts)


def updates(count: int, size: int, *, vocabulary: int) -> TokenTable:
    """Rows of `count` updates of `size` random rows: of many draws, the most typical of the pool.

    Typical are the mean length, the share of answers and the padding of random batches, so that few rows suffice.
    """
    prompts, answers = pool_lengths()
    draws = np.random.default_rng(1).integers(len(prompts), size=(DRAWS, count * size))
    lengths = prompts + answers
    usual = np.array(
        [lengths.mean(), answers.sum() / lengths.sum(), padding(lengths[: len(lengths) // size * size], size)]
    )
    found = [
        (lengths[d].mean(), answers[d].sum() / lengths[d].sum(), padding(lengths[d], size)) for d in draws
    ]
    best = int(np.argmin((np.abs(np.array(found) / usual - 1)).max(axis=1)))
    return _table(prompts[draws[best]], answers[draws[best]], vocabulary)


def padding(lengths: Ints, size: int) -> float:
    """Padded tokens for each real one, in batches of `size` rows in this order."""
    return float(lengths.reshape(-1, size).max(axis=1).sum() * size / lengths.sum())


def without_padding(
    tokens: int, batch_tokens: int, *, answer_share: float, vocabulary: int
) -> tuple[TokenTable, list[Rows]]:
    """Rows of about so many tokens, and batches of them: evenly spaced in the sorted pool, with almost no padding.

    `answer_share`: the share of each row's tokens that are its answer.
    """
    prompts, answers = pool_lengths()
    batches = plan(prompts + answers, batch_tokens)
    number = max(1, round(tokens / batch_tokens))
    chosen = [batches[int((i + 0.5) * len(batches) / number)] for i in range(number)]
    rows = np.concatenate(chosen)
    lengths = (prompts + answers)[rows]
    learned = np.maximum(1, np.rint(answer_share * lengths).astype(np.int64))
    ends = np.cumsum([len(batch) for batch in chosen])
    table = _table(lengths - learned, learned, vocabulary)
    return table, np.split(np.arange(len(rows), dtype=np.int64), ends[:-1])


def _table(prompts: Ints, answers: Ints, vocabulary: int) -> TokenTable:
    generator = np.random.default_rng(2)
    ids = [
        generator.integers(3, vocabulary, size=p + a).tolist() for p, a in zip(prompts, answers, strict=True)
    ]
    masks = [[False] * p + [True] * a for p, a in zip(prompts.tolist(), answers.tolist(), strict=True)]
    return token_table(ids, masks, [False] * len(ids))


class Clock:
    """A callback that measures the loop of a training: all updates, without opening the trainer."""

    def __init__(self) -> None:
        self.started = self.seconds = 0.0

    def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def ours(network: Network, table: TokenTable, options: dict[str, Any], *, device_tokens: int) -> float:
    """Seconds of this package's training on the table."""
    from functools import partial
    from pathlib import Path

    from nait.training.recipes import schedules
    from nait.training.trainer_run import fit

    clock = Clock()
    with TemporaryDirectory() as folder:
        fit(
            network, table, options, Path(folder), schedule=partial(schedules.scheduler, "cosine", share=0.03),
            optimizer=None, device_tokens=device_tokens, resumed=None, seed=0, deterministic=False, watchers=[clock],
        )  # fmt: skip
    return clock.seconds


def plain(
    network: Network, options: dict[str, Any], rows: int, collate: Callable[[Sequence[int]], Any]
) -> float:
    """Seconds of transformers' Trainer as it is, with this collator of row numbers."""
    from transformers import PrinterCallback, Trainer, TrainingArguments

    from nait.training.callbacks import callbacks
    from nait.training.updates.rows import RowNumbers

    clock = Clock()
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, use_cpu=network.device.type == "cpu", report_to="none", disable_tqdm=True, save_strategy="no",
            logging_steps=1, remove_unused_columns=False, label_names=["labels"], dataloader_pin_memory=False,
            seed=0, **options,
        )  # fmt: skip
        trainer = Trainer(
            network,
            arguments,
            train_dataset=RowNumbers(rows),
            data_collator=collate,
            callbacks=callbacks(clock),
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return clock.seconds


def padded(table: TokenTable, numbers: Sequence[int]) -> dict[str, Any]:
    """One batch of these rows, padded to the longest, with a mask."""
    width = int(table.lengths[list(numbers)].max())
    return _batch([[i] for i in numbers], table, width, packed=False)


def packed(table: TokenTable, numbers: Sequence[int]) -> dict[str, Any]:
    """The rows in sequences of `LONGEST` tokens, best fit first, with positions that restart at each row.

    From the positions transformers masks other rows of a sequence, as in a packing trainer.
    """
    bins: list[list[int]] = []
    free: list[int] = []
    for i in sorted(numbers, key=lambda i: -int(table.lengths[i])):
        length = int(table.lengths[i])
        fitting = [b for b in range(len(bins)) if free[b] >= length]
        if not fitting:
            bins.append([])
            free.append(LONGEST)
        b = min(fitting, key=lambda b: free[b]) if fitting else len(bins) - 1
        bins[b].append(i)
        free[b] -= length
    return _batch(bins, table, LONGEST - min(free), packed=True)


def _batch(bins: Sequence[Sequence[int]], table: TokenTable, width: int, *, packed: bool) -> dict[str, Any]:
    import torch

    ids, labels, mask, positions = (np.full((len(bins), width), fill) for fill in (1, IGNORED, 0, 0))
    for b, rows in enumerate(bins):
        at = 0
        for i in rows:
            own, answer = table.row(i)
            span = slice(at, at + len(own))
            ids[b, span], mask[b, span], positions[b, span] = own, 1, np.arange(len(own))
            labels[b, span] = np.where(answer, own, IGNORED)
            labels[b, at] = IGNORED  # the row before does not predict it
            at += len(own)
        positions[b, at:] = np.arange(width - at)
    more = {"position_ids": positions} if packed else {"attention_mask": mask}
    return {name: torch.from_numpy(a) for name, a in {"input_ids": ids, "labels": labels, **more}.items()}
