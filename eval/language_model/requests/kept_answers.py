"""Answers of an evaluation on disk, task by task, so that an interrupted evaluation resumes after its finished tasks.

The requests of a task are answered in one call, whether the evaluation is interrupted or not. So its batches, its
random draws and its answers are the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nait.core.addresses import address
from nait.eval.language_model.requests.split_requests import (
    METHODS,
    ItemCounter,
    Requests,
    add_items,
    draw_numbers,
)
from nait.eval.language_model.requests.undefined_answers import check_rated
from nait.stages.evaluate import ANSWERS
from nait.store import is_signed, set_aside, signed, write_json
from nait.store.attempts import Attempt
from nait.store.jsonable import plain

log = logging.getLogger("nait")

INDEPENDENT = {"do_sample", "temperature", "top_k", "top_p", "min_p", "until", "max_gen_toks"}
"""Generation settings with which the draws of a shared-prefix model do not depend on other requests."""


class KeptAnswers:
    """Wraps a language model, so that the answers of each task are kept in `folder` as soon as they are complete.

    `counters` are attached to the model already; their counts are kept with the answers. `tasks`: their number.
    """

    def __init__(self, folder: Path, lm: Any, counters: Sequence[ItemCounter], *, tasks: int) -> None:
        self.folder, self.lm, self.counters, self.tasks = folder, lm, counters, tasks
        self.attempt = Attempt(folder, kept=sorted(folder.glob(ANSWERS)))
        self.finished: set[str] = set()
        for name in METHODS:
            setattr(lm, name, self._keeping(name, getattr(lm, name)))

    def _keeping(self, name: str, method: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        def answered(requests: Requests, disable_tqdm: bool = False) -> list[Any]:
            return self._answers(name, method, requests, disable_tqdm=disable_tqdm)

        return answered

    def _answers(
        self, name: str, method: Callable[..., list[Any]], requests: Requests, *, disable_tqdm: bool
    ) -> list[Any]:
        """The answers to all requests. Tasks that were finished before are read from disk."""
        if not self.finished:
            self.attempt.begin()
        draws, found = draw_numbers(requests), [None] * len(requests)
        parts = _parts(self.lm, requests)
        with self._progress(name, len(requests), disable=disable_tqdm or len(parts) < 2) as done:
            for numbers in parts:
                part = [requests[number] for number in numbers]
                path = self.folder / ANSWERS.replace("*", address([name, [_asked(one) for one in part]]))
                answers = self._read(path)
                if answers is None:
                    with _drawing(self.lm, [draws[number] for number in numbers]):
                        answers = method(part, disable_tqdm=disable_tqdm or len(parts) > 1)
                    check_rated(part, answers)
                    self._write(path, part, answers)
                self.finished |= {request.task_name for request in part}
                for number, answer in zip(numbers, answers, strict=True):
                    found[number] = answer
                done(len(part))
        return found

    @contextmanager
    def _progress(self, name: str, count: int, *, disable: bool) -> Iterator[Callable[[int], None]]:
        """One bar over the requests of all tasks. Yields a function that takes the requests of a finished task."""
        with tqdm(total=count, disable=disable, desc=f"Running {name} requests") as bar:
            finished = 0

            def done(requests: int) -> None:
                nonlocal finished
                finished += requests
                bar.update(finished - bar.n)

            self.lm.progress = None if disable else bar.update
            try:
                yield done
            finally:
                self.lm.progress = None

    def _read(self, path: Path) -> list[Any] | None:
        """The answers in a file; their counts go to the counters. None without a file; a damaged one is set aside."""
        if not path.is_file():
            return None
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            kept = None
        if not isinstance(kept, dict) or not is_signed(kept):
            set_aside(path, "differs from its checksum")
            return None
        for counter, (seen, cut) in zip(self.counters, kept["counts"], strict=True):
            add_items(counter.seen, seen)
            add_items(counter.cut, cut)
        return [tuple(one) if isinstance(one, list) else one for one in kept["answers"]]

    def _write(self, path: Path, part: Requests, answers: Sequence[Any]) -> None:
        tasks = {request.task_name for request in part}
        counts = [[_of(tasks, counter.seen), _of(tasks, counter.cut)] for counter in self.counters]
        write_json(path, signed(plain({"answers": answers, "counts": counts}, finite=False)))
        self.attempt.keep()

    @contextmanager
    def reporting_interrupts(self) -> Iterator[None]:
        """Log at an interrupt of the block how many tasks are kept."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            log.warning(
                "Evaluation: the answers of %d of %d tasks are complete and kept.",
                len(self.finished),
                self.tasks,
            )
            raise


def _parts(lm: Any, requests: Requests) -> list[list[int]]:
    """The numbers of the requests of each task. One part for a model whose answers depend on all requests of a call.

    The harness's own model forms its batches, and draws at random, over all requests.
    """
    if hasattr(lm, "model") and (getattr(lm, "network", None) is None or any(map(_depends, requests))):
        return [list(range(len(requests)))] if requests else []
    parts: dict[str, list[int]] = {}
    for number, request in enumerate(requests):
        parts.setdefault(request.task_name, []).append(number)
    return list(parts.values())


def _depends(request: Any) -> bool:
    """Whether the answer is drawn at random by the harness's own model."""
    settings = request.args[1]
    return isinstance(settings, dict) and bool(settings.get("do_sample")) and not {*settings} <= INDEPENDENT


def _asked(request: Any) -> list[Any]:
    return [plain(list(request.args)), request.task_name, request.doc_id]


def _of(tasks: set[str], items: Mapping[str, set[int]]) -> dict[str, list[int]]:
    return {task: sorted(items[task]) for task in sorted(tasks) if task in items}


@contextmanager
def _drawing(lm: Any, numbers: Sequence[int]) -> Iterator[None]:
    """Context in which the model seeds its draws from these numbers."""
    lm.draw_numbers = numbers
    try:
        yield
    finally:
        lm.draw_numbers = None
