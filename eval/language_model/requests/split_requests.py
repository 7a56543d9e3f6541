"""Requests of an evaluation, split among the processes that share it.

Rank 0 runs the harness. Each call of its language model is cut into blocks of consecutive requests, which often share
a prefix. The blocks are dealt to the processes, and the answers are gathered. Counts of truncated prompts and of
unfinished answers are gathered with them.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nait.core.ranks import Workers
from nait.models.devices.process_group import Call, gather, receive, send, shared_by

METHODS = ("loglikelihood", "generate_until")
BLOCKS = 4
"""Blocks per process: more balance the processes better, and repeat more prefixes."""

Requests = Sequence[Any]


class ItemCounter(Protocol):
    """Items that were seen and items that were cut, by task."""

    seen: dict[str, set[int]]
    cut: dict[str, set[int]]


def split_requests(lm: Any, counters: Sequence[ItemCounter]) -> None:
    """Let all processes answer the requests of rank 0's language model. Without `sharing`, nothing changes.

    A model that does not share prefixes answers alone: its random draws depend on its batches. `counters` are
    attached to the model already.
    """
    workers = shared_by()
    if workers.count > 1 and getattr(lm, "network", None) is not None:
        for name in METHODS:
            setattr(lm, name, _split(lm, name, workers, counters))


def serve_requests(lm: Any, counters: Sequence[ItemCounter]) -> None:
    """Answer this process's share of each call of rank 0's language model, until rank 0 calls something else."""
    from lm_eval.api.instance import Instance

    workers = shared_by()
    while (call := receive()).name in METHODS:
        rows = json.loads(str(call.options["requests"]))
        requests = [
            Instance(call.name, {}, tuple(arguments), 0, metadata=(task, item, 1))
            for arguments, task, item, _ in rows
        ]
        lm.draw_numbers = [number for *_, number in rows]
        _answer(lm, getattr(lm, call.name), requests, workers, counters, disable_tqdm=True)


def deal(costs: Sequence[float], processes: int) -> list[list[int]]:
    """The numbers of each process's requests: blocks of about equal cost, dealt to the process with least work."""
    most = sum(costs) / (BLOCKS * processes)
    blocks: list[list[int]] = []
    held = most
    for number, cost in enumerate(costs):
        if held >= most:
            blocks.append([])
            held = 0.0
        blocks[-1].append(number)
        held += cost
    loads = [(0.0, process) for process in range(processes)]
    shares: list[list[int]] = [[] for _ in range(processes)]
    for block in blocks:
        load, process = heapq.heappop(loads)
        heapq.heappush(loads, (load + sum(costs[number] for number in block), process))
        shares[process] += block
    return shares


def _split(lm: Any, name: str, workers: Workers, counters: Sequence[ItemCounter]) -> Callable[..., list[Any]]:
    own = getattr(lm, name)

    def answered(requests: Requests, disable_tqdm: bool = False) -> list[Any]:
        lm.draw_numbers = lm.draw_numbers or draw_numbers(requests)
        rows = [
            [list(request.args), request.task_name, request.doc_id, number]
            for request, number in zip(requests, lm.draw_numbers, strict=True)
        ]
        send(Call(name, (), {"requests": json.dumps(rows)}))
        return _answer(lm, own, requests, workers, counters, disable_tqdm=disable_tqdm)

    return answered


def _answer(
    lm: Any,
    method: Callable[..., list[Any]],
    requests: Requests,
    workers: Workers,
    counters: Sequence[ItemCounter],
    *,
    disable_tqdm: bool,
) -> list[Any]:
    """The answers to all requests; this process computes its share. `lm.draw_numbers` has a number for each."""
    shares = deal([_cost(request) for request in requests], workers.count)
    own = shares[workers.rank]
    lm.draw_numbers = [lm.draw_numbers[number] for number in own]
    found = method([requests[number] for number in own], disable_tqdm=disable_tqdm) if own else []
    lm.draw_numbers = None
    counts = [[_plain(counter.seen), _plain(counter.cut)] for counter in counters]
    answers: list[Any] = [None] * len(requests)
    for numbers, (theirs, their_counts) in zip(shares, gather([found, counts]), strict=True):
        for number, answer in zip(numbers, theirs, strict=True):
            answers[number] = tuple(answer) if isinstance(answer, list) else answer
        for counter, (seen, cut) in zip(counters, their_counts, strict=True):
            add_items(counter.seen, seen)
            add_items(counter.cut, cut)
    return answers


def _cost(request: Any) -> float:
    """About the work of a request: the characters of its texts."""
    return 1.0 + sum(len(argument) for argument in request.args if isinstance(argument, str))


def draw_numbers(requests: Requests) -> list[int]:
    """The number of each request among those with its settings, from which its random draws are seeded."""
    counts: dict[str, int] = {}
    numbers = []
    for request in requests:
        settings = request.args[1]
        key = repr(sorted(settings.items())) if isinstance(settings, dict) else ""
        numbers.append(counts.get(key, 0))
        counts[key] = numbers[-1] + 1
    return numbers


def _plain(items: dict[str, set[int]]) -> dict[str, list[int]]:
    return {task: sorted(numbers) for task, numbers in items.items()}


def add_items(items: dict[str, set[int]], more: dict[str, list[int]]) -> None:
    """Add items by task to a counter's."""
    for task, numbers in more.items():
        items[task] |= set(numbers)
