"""Limits of a model's context: caps on generated answers, and counts of truncated prompts.

The harness truncates prompts from the left, logs it once per batch, and fails for a model with a short context. Here
answers are capped and truncated prompts are counted, and the result reports both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from nait.eval.suites.suite import Suite

# The harness's own name is first: it takes precedence if a task uses two.
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")


def answer_cap(task_cap: int, *, user_cap: int | None, context: int) -> int:
    """The maximum number of answer tokens: the user's cap, or the task's without one.

    A task's cap is at most half of the context, so that half is left for the prompt. A user's cap below the context
    stays unchanged.
    """
    if user_cap is not None and user_cap < context:
        return user_cap
    return min(task_cap if user_cap is None else user_cap, max(1, context // 2))


def cap_answers(
    tasks: Mapping[str, Any], *, user_caps: Mapping[str, int | None], context: int, default: int
) -> dict[str, str]:
    """Set the answer cap of each generative task. Returns task -> "REQUESTED to CAP" for caps that were lowered.

    `user_caps`: task -> the cap that the user asks for, or None. `default`: the cap of a task whose file has none.
    """
    cut: dict[str, str] = {}
    for name, task in tasks.items():
        if task.get_config("output_type") != "generate_until":
            continue
        settings = dict(task.get_config("generation_kwargs") or {})
        task_cap = next((int(settings[key]) for key in _LENGTHS if settings.get(key) is not None), default)
        user_cap = user_caps[name]
        cap = answer_cap(task_cap, user_cap=user_cap, context=context)
        kept = {key: value for key, value in settings.items() if key not in _LENGTHS}
        task.set_config("generation_kwargs", {**kept, "max_gen_toks": cap})
        if cap < (task_cap if user_cap is None else user_cap):
            cut[name] = f"{task_cap if user_cap is None else user_cap} to {cap}"
    return cut


class CutPrompts:
    """Counts, by task, the items whose prompts the harness's language model truncates."""

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.cut: dict[str, set[int]] = defaultdict(set)

    def attach(self, lm: Any) -> None:
        """Wrap the language model's methods, so that truncated prompts are counted."""
        prompts: dict[str, list[tuple[str, int]]] = defaultdict(list)
        order: list[tuple[str, int]] = []
        generate, rate = lm.generate_until, lm.loglikelihood
        encode, rate_tokens = lm.tok_batch_encode, lm._loglikelihood_tokens

        def generate_until(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            for request in requests:
                prompts[request.args[0]].append(self._record(request))
            return generate(requests, *args, **options)

        def loglikelihood(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            order[:] = [self._record(request) for request in requests]
            return rate(requests, *args, **options)

        def tok_batch_encode(
            texts: Sequence[str], *args: Any, left_truncate_len: int | None = None, **options: Any
        ) -> Any:
            ids, mask = encode(texts, *args, **options)
            if not left_truncate_len:
                return ids, mask
            for text, length in zip(texts, mask.sum(dim=1).tolist(), strict=True):
                if length > left_truncate_len:
                    self._mark(prompts[text])
            return ids[:, -left_truncate_len:], mask[:, -left_truncate_len:]

        def loglikelihood_tokens(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            if len(order) == len(requests):
                for owner, (_, prompt, answer) in zip(order, requests, strict=True):
                    if len(prompt) + len(answer) > lm.max_length + 1:
                        self._mark([owner])
            return rate_tokens(requests, *args, **options)

        lm.generate_until, lm.loglikelihood = generate_until, loglikelihood
        lm.tok_batch_encode, lm._loglikelihood_tokens = tok_batch_encode, loglikelihood_tokens

    def attach_server(self, lm: Any) -> None:
        """Wrap the methods of a server's model, which truncates prompts by itself, so that these are counted.

        Its requests hold at most `max_length` tokens, answers included.
        """
        order: list[tuple[str, int]] = []
        generate, rate, rate_tokens = lm.generate_until, lm.loglikelihood, lm._loglikelihood_tokens

        def generate_until(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            for request in requests:
                owner = self._record(request)
                text, settings = request.args
                room = lm.max_length - int(settings.get("max_gen_toks", lm.max_gen_toks))
                if len(lm.tok_encode(text)) > room:
                    self._mark([owner])
            return generate(requests, *args, **options)

        def loglikelihood(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            order[:] = [self._record(request) for request in requests]
            return rate(requests, *args, **options)

        def loglikelihood_tokens(requests: Sequence[Any], *args: Any, **options: Any) -> Any:
            if len(order) == len(requests):
                for owner, (_, prompt, answer) in zip(order, requests, strict=True):
                    if len(prompt) + len(answer) > lm.max_length:
                        self._mark([owner])
            return rate_tokens(requests, *args, **options)

        lm.generate_until, lm.loglikelihood = generate_until, loglikelihood
        lm._loglikelihood_tokens = loglikelihood_tokens

    def _record(self, request: Any) -> tuple[str, int]:
        self.seen[request.task_name].add(request.doc_id)
        return request.task_name, request.doc_id

    def _mark(self, owners: Sequence[tuple[str, int]]) -> None:
        for task, item in owners:
            self.cut[task].add(item)


def context_warnings(suite: Suite, capped: Mapping[str, str], cuts: CutPrompts, context: int) -> list[str]:
    """A sentence on capped answers and one on truncated prompts, counted by requested name; each only if needed."""
    asked = suite.requested
    warnings = []
    if capped:
        parts = [
            f"{name} {' and '.join(ways)}"
            for name, tasks in asked.items()
            if (ways := sorted({capped[task] for task in tasks if task in capped}))
        ]
        warnings.append(f"answers are capped for a context of {context} tokens: {', '.join(parts)}")
    counts = {name: sum(len(cuts.cut[task]) for task in tasks) for name, tasks in asked.items()}
    if any(counts.values()):
        parts = [
            f"{name} {count} of {sum(len(cuts.seen[task]) for task in asked[name])}"
            for name, count in counts.items()
            if count
        ]
        warnings.append(
            f"prompts are longer than a context of {context} tokens allows and lost their beginnings: "
            + ", ".join(parts)
        )
    return warnings
