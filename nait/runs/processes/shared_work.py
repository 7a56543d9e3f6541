"""Training and evaluation shared by the processes of one command.

Rank 0 runs the job. Before it trains or evaluates it calls its helpers, which do a share of the same work with the
same model and write nothing. What the store has already is not called.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.contracts import Evaluator, Model, ShareableEvaluator, ShareableTrainer, Tracker, Trainer
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import NaitError
from nait.core.ranks import Workers, workers_from
from nait.core.statistics.results import Evaluation
from nait.models.devices.process_group import (
    Call,
    arrays_of,
    call_with,
    can_meet,
    init_process_group,
    receive,
    send,
    sharing,
)
from nait.runs.processes.launch import is_tensor_parallel, without_launcher

log = logging.getLogger("nait")

TRAIN, EVALUATE, END_EVALUATION, END = "train", "evaluate", "end of evaluation", "end of job"


def shares_work(model: Model) -> bool:
    """Whether a job's training and evaluation are shared: several processes that can meet, each with the model."""
    return can_meet(os.environ) and not is_tensor_parallel(model)


def shared_trainer(trainer: Trainer, model: Model) -> Trainer:
    """The trainer, whose training the helpers share; itself without helpers."""
    shares = shares_work(model) and isinstance(trainer, ShareableTrainer)
    return _SharedTrainer(trainer, workers_from(os.environ)) if shares else trainer


def shared_evaluator(evaluator: Evaluator, model: Model) -> Evaluator:
    """The evaluator, whose evaluation the helpers share; itself without helpers."""
    shares = shares_work(model) and isinstance(evaluator, ShareableEvaluator)
    return _SharedEvaluator(evaluator, workers_from(os.environ)) if shares else evaluator


@contextmanager
def ending_helpers(model: Model) -> Iterator[None]:
    """End the helpers' wait when a job ends.

    Raises: SystemExit after an unexpected failure: a helper may wait in the middle of something shared, so the
    launcher has to end it.
    """
    if not shares_work(model):
        yield
        return
    workers = workers_from(os.environ)
    try:
        yield
    except NaitError:
        _end(workers)
        raise
    except Exception as error:
        log.exception("This process failed while the other processes wait for it: all of them end now.")
        raise SystemExit(1) from error
    _end(workers)


def _end(workers: Workers) -> None:
    init_process_group(workers)
    send(Call(END))


def help_job(model: Model, trainer: Trainer, evaluator: Evaluator | None) -> None:
    """Do this process's share of a job's training and evaluation, until rank 0 ends the job."""
    if not shares_work(model):
        return
    workers = workers_from(os.environ)
    init_process_group(workers)
    while (call := receive()).name != END:
        # An error of this process is also one of rank 0, which reports it.
        with sharing(workers), without_launcher(), suppress(NaitError):
            _assist(call, model, trainer, evaluator)


def _assist(call: Call, model: Model, trainer: object, evaluator: object) -> None:
    if call.name == TRAIN and isinstance(trainer, ShareableTrainer):
        trainer.assist(model, _table(call), resumed=_path(call, "resumed"), seed=int(call.options["seed"]))
    elif call.name == EVALUATE and isinstance(evaluator, ShareableEvaluator):
        evaluator.assist(model, _path(call, "adapter"))


@dataclass(frozen=True)
class _SharedTrainer:
    """A trainer that calls the helpers before it trains."""

    trainer: Any
    workers: Workers

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        recipe: Mapping[str, Any] | None = self.trainer.recipe
        return recipe

    def processes(self, model: Model) -> int:
        """The number of processes that decides the weights: 1 where nothing is drawn at random."""
        return self.workers.count if self.trainer.draws(model) else 1

    def train(
        self, model: Model, rows: TokenTable, folder: Path, *, seed: int, tracker: Tracker
    ) -> Mapping[str, Any]:
        resumed = self.trainer.resumes(folder)
        options = {"resumed": str(resumed.resolve()) if resumed else None, "seed": seed}
        with _called(
            self.workers,
            call_with(TRAIN, (rows.input_ids, rows.answer, rows.starts, rows.truncated), options),
        ):
            facts: Mapping[str, Any] = self.trainer.train(model, rows, folder, seed=seed, tracker=tracker)
        return facts


@dataclass(frozen=True)
class _SharedEvaluator:
    """An evaluator that calls the helpers before it evaluates."""

    evaluator: Any
    workers: Workers

    def check(self) -> None:
        self.evaluator.check()

    def key(self) -> Mapping[str, Any]:
        key: Mapping[str, Any] = self.evaluator.key()
        return key

    def items(self) -> Mapping[str, Any]:
        items: Mapping[str, Any] = self.evaluator.items()
        return items

    def evaluate(self, model: Model, adapter: Path | None, *, folder: Path) -> Evaluation:
        call = Call(EVALUATE, (), {"adapter": str(adapter.resolve()) if adapter else None})
        with _called(self.workers, call):
            try:
                evaluation: Evaluation = self.evaluator.evaluate(model, adapter, folder=folder)
            finally:
                send(Call(END_EVALUATION))
        return evaluation


@contextmanager
def _called(workers: Workers, call: Call) -> Iterator[None]:
    """Within the block, this process does its share of what it has called the helpers for."""
    init_process_group(workers)
    send(call)
    with sharing(workers):
        yield


def _path(call: Call, name: str) -> Path | None:
    path = call.options[name]
    return Path(path) if path else None


def _table(call: Call) -> TokenTable:
    """The token table that was broadcast."""
    ids, answer, starts, truncated = arrays_of(call)
    return TokenTable(ids, answer.astype(np.bool_), starts, truncated.astype(np.bool_))
