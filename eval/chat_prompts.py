"""Chats: what a model's chat template makes of the harness's prompts, and what it does not show of them.

Where a template refuses a prompt with a system message, the harness leaves that message out and goes on in silence.
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
    """Stands between the harness and a chat template: names the task of an error, counts what is not shown.

    `check` looks at each prompt. `lost` counts prompts by task and role.
    """

    def __init__(self, model: str, *, check: Callable[[str], None] = lambda _: None) -> None:
        self.model = model
        self.check = check
        self.task = ""
        self.prompts: Counter[str] = Counter()
        self.lost: dict[str, Counter[str]] = defaultdict(Counter)

    def watched(self, render: Render) -> Render:
        """The same rendering with this between. Raises: ConfigError where the template raises."""
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

    def follow(self, tasks: Mapping[str, Any]) -> None:
        """Makes each of the harness's tasks say when its prompts are built."""
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
            mend="Set it to false, eval.fewshot_as_multiturn=false or eval.num_fewshot=0, or mend the template.",
        )

    def _count(self, history: Sequence[Mapping[str, str]], text: str) -> None:
        shown = "".join(text.split())
        self.prompts[self.task] += 1
        roles = {one["role"] for one in history if "".join(one["content"].split()) not in shown}
        self.lost[self.task].update(roles)


def chat_warnings(suite: Suite, chats: Chats) -> list[str]:
    """One sentence a role for the prompts that are not shown whole, by the names asked for; or none."""
    said = []
    for role, what in _ROLES.items():
        counts = {
            name: (sum(chats.lost[task][role] for task in tasks), sum(chats.prompts[task] for task in tasks))
            for name, tasks in suite.requested.items()
        }
        parts = [f"{name} {lost} of {prompts}" for name, (lost, prompts) in counts.items() if lost]
        if parts:
            said.append(f"the chat template does not show {what} in prompts: {', '.join(parts)}")
    return said
