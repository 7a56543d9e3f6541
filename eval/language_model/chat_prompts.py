"""The harness's prompts in a model's chat template: errors by task, and counts of messages that are not rendered.

If a template rejects a system message, the harness silently drops the message and continues.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nait.core.errors import ConfigError, first_line
from nait.eval.suites.suite import Suite

Render = Callable[..., str]
"""(messages, add_generation_prompt=) -> the prompt."""
_ROLES = {"system": "the task's description", "user": "a question", "assistant": "an answer or its beginning"}


class Chats:
    """A wrapper around a chat template: it names the task in errors and counts messages missing from the prompt.

    `check` is called with each prompt. `prompts`: number of prompts by task. `lost`: number of prompts that lack the
    text of a message, by task and role.
    """

    def __init__(self, model: str, *, check: Callable[[str], None] = lambda _: None) -> None:
        self.model = model
        self.check = check
        self.task = ""
        self.prompts: Counter[str] = Counter()
        self.lost: dict[str, Counter[str]] = defaultdict(Counter)

    def wrap(self, render: Render) -> Render:
        """`render` with errors named and prompts counted. It raises ConfigError if the template raises."""
        from jinja2 import TemplateError

        def rendered(history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
            try:
                text = render(history, add_generation_prompt=add_generation_prompt)
            except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
                raise self._refusal(error) from error
            self._count(history, text)
            self.check(text)
            return text

        return rendered

    def track(self, tasks: Mapping[str, Any]) -> None:
        """Patch the harness's tasks so that `task` names the one whose prompts are being built."""
        for name, task in tasks.items():
            task.build_all_requests = self._named(name, task.build_all_requests)

    def _named(self, name: str, build: Callable[..., None]) -> Callable[..., None]:
        def built(*args: Any, **options: Any) -> None:
            self.task = name
            build(*args, **options)

        return built

    def _refusal(self, error: Exception) -> ConfigError:
        return ConfigError(
            f"the chat template of '{self.model}' refuses a prompt of task '{self.task}' ({first_line(error)})",
            where="eval.apply_chat_template",
            fix="Set it to false, eval.fewshot_as_multiturn=false or eval.num_fewshot=0, or correct the template.",
        )

    def _count(self, history: Sequence[Mapping[str, str]], text: str) -> None:
        shown = "".join(text.split())
        self.prompts[self.task] += 1
        roles = {one["role"] for one in history if "".join(one["content"].split()) not in shown}
        self.lost[self.task].update(roles)


def chat_warnings(suite: Suite, chats: Chats) -> list[str]:
    """One sentence per role with messages that the chat template drops, counted by requested name."""
    warnings = []
    for role, what in _ROLES.items():
        counts = {
            name: (sum(chats.lost[task][role] for task in tasks), sum(chats.prompts[task] for task in tasks))
            for name, tasks in suite.requested.items()
        }
        parts = [f"{name} {lost} of {prompts}" for name, (lost, prompts) in counts.items() if lost]
        if parts:
            warnings.append(f"the chat template does not show {what} in prompts: {', '.join(parts)}")
    return warnings
