"""Counts of generated answers that end at their token limit instead of a stop sequence or an end token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from nait.eval.suites.suite import Suite

SHARE = 0.05
"""A task is named in a warning if more than this share of its answers reach the limit."""
SHOWN = 6
"""Tasks of a group that a warning names."""
Count = tuple[int, int]
"""The number of items with an answer at the limit, and the number of items with generated answers."""


class CutAnswers:
    """Counts, by task, the items whose generated answer reaches its token limit unfinished."""

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.cut: dict[str, set[int]] = defaultdict(set)

    @property
    def counts(self) -> dict[str, Count]:
        """Task -> its count, for the tasks with generated answers."""
        return {task: (len(self.cut[task]), len(items)) for task, items in self.seen.items()}

    def attach(self, lm: Any) -> None:
        """Wrap the language model's methods, so that answers at their limit are counted."""
        owners: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
        batch: list[str] = []
        generate_until, encode, generate = lm.generate_until, lm.tok_batch_encode, lm._model_generate

        def recorded(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            for request in requests:
                text, settings = request.args
                limit = int(settings.get("max_gen_toks", lm.max_gen_toks))
                owners[text, limit].append((request.task_name, request.doc_id))
                self.seen[request.task_name].add(request.doc_id)
            return generate_until(requests, *args, **options)

        def encoded(texts: Sequence[str], *args: Any, **options: Any) -> Any:
            batch[:] = texts
            return encode(texts, *args, **options)

        def generated(context: Any, max_length: int, stop: list[str], **options: Any) -> Any:
            made = generate(context=context, max_length=max_length, stop=stop, **options)
            limit = max_length - context.shape[1]
            answers = made[:, context.shape[1] :].tolist()
            for text, ids in zip(batch, answers, strict=True):
                answered(text, limit, ids, stop)
            return made

        def answered(text: str, limit: int, ids: Sequence[int], stop: Sequence[str]) -> None:
            if len(ids) >= limit and not _finished(lm, ids, stop):
                for task, item in owners[text, limit]:
                    self.cut[task].add(item)

        lm.answered = answered  # a language model that generates by itself calls it for each answer
        lm.generate_until, lm.tok_batch_encode, lm._model_generate = recorded, encoded, generated


def _finished(lm: Any, ids: Sequence[int], stop: Sequence[str]) -> bool:
    """Whether an answer contains an end token or a stop sequence."""
    ends = lm.model.generation_config.eos_token_id
    known = {lm.eot_token_id, *(ends if isinstance(ends, (list, tuple)) else [ends])}
    if known & set(ids):
        return True
    text = lm.tok_decode(ids, skip_special_tokens=False)
    return any(term and term in text for term in stop)


def limit_warnings(suite: Suite, counts: Mapping[str, Count]) -> list[str]:
    """One sentence that names each requested task or group with more than `SHARE` of its answers at the limit.

    Of a group below it, the tasks above it are named: a few long answers of one task do not show in the group's sum.
    """
    parts = []
    for name, tasks in suite.requested.items():
        own = {task: counts[task] for task in tasks if task in counts}
        whole = (sum(cut for cut, _ in own.values()), sum(items for _, items in own.values()))
        named = {name: whole} if _many(whole) else {task: one for task, one in own.items() if _many(one)}
        shown = [f"{one} {cut} of {items}" for one, (cut, items) in named.items()]
        parts += [
            *shown[:SHOWN],
            *([f"{len(shown) - SHOWN} more tasks of {name}"] if len(shown) > SHOWN else []),
        ]
    found = ", ".join(dict.fromkeys(parts))
    return [f"answers end at their token limit, unfinished: {found}"] if found else []


def _many(count: Count) -> bool:
    cut, items = count
    return cut > SHARE * items
