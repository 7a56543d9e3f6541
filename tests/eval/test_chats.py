"""Laws of evaluating in a chat template: what the template refuses or drops of a task's prompts is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import ConfigError, ModelError
from nait.eval.harness import LmEval
from nait.models.loading import LocalModel
from nait.stages.checks.prompt_mismatch import try_prompts
from nait.store import Store

Make = Callable[..., LmEval]

PLAIN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
RAISES = PLAIN.replace("[", "{% if m.role == 'assistant' %}{{ raise_exception('No turns') }}{% endif %}[")
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}" + PLAIN
IGNORES = (
    "{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}]{{ m.content }}{% endif %}{% endfor %}"
)


@pytest.fixture
def chat(model_folder: Path, tmp_path: Path) -> Callable[[str], LocalModel]:
    """The tiny model with a chat template."""

    def make(template: str) -> LocalModel:
        folder = Path(shutil.copytree(model_folder, tmp_path / "chat"))
        (folder / "chat_template.jinja").write_text(template)
        return LocalModel(str(folder), device="cpu", max_length=96)

    return make


@pytest.fixture
def told(task_folder: Path) -> None:
    """The task of sums has a description."""
    file = task_folder / "sums.yaml"
    file.write_text(file.read_text() + 'description: "Add the numbers."\n')


MESSAGE = r"chat template of 'chat' refuses a prompt of task 'toy_sums' \(No turns\).*num_fewshot=0"


def test_a_template_that_raises_is_named_with_its_task_before_anything_is_trained(
    evaluator: Make, chat: Callable[[str], LocalModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = chat(RAISES)
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    suite = evaluator(tasks=["toy_sums", "toy_small"], apply_chat_template=True)
    for _ in range(2):  # what fails is tried again
        with pytest.raises(ConfigError, match=MESSAGE):
            try_prompts(model, suite, Store(tmp_path / "store"))
    calm = evaluator(tasks=["toy_sums"], apply_chat_template=True, fewshot_as_multiturn=False)
    try_prompts(model, calm, Store(tmp_path / "store"))


def test_the_evaluation_itself_names_the_task_too(
    evaluator: Make, chat: Callable[[str], LocalModel], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=MESSAGE):
        evaluator(tasks=["toy_small", "toy_sums"], apply_chat_template=True).evaluate(
            chat(RAISES), None, folder=tmp_path
        )


def test_a_template_that_takes_the_prompts_is_tried_once(
    evaluator: Make, chat: Callable[[str], LocalModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, store = chat(PLAIN), Store(tmp_path / "store")
    suite = evaluator(apply_chat_template=True)
    try_prompts(model, suite, store)
    monkeypatch.setattr(LmEval, "check_prompts", lambda *_: pytest.fail("tried again"))
    try_prompts(model, suite, store)


def test_a_model_without_a_template_is_refused_before_anything_is_trained(
    evaluator: Make, model_folder: Path, tmp_path: Path
) -> None:
    model = LocalModel(str(model_folder), device="cpu", max_length=96)
    with pytest.raises(ModelError, match="has no chat template"):
        try_prompts(model, evaluator(apply_chat_template=True), Store(tmp_path / "store"))
    try_prompts(model, evaluator(), Store(tmp_path / "store"))


@pytest.mark.parametrize("template", [NO_SYSTEM, IGNORES])
@pytest.mark.usefixtures("told")
def test_a_description_that_the_template_does_not_show_is_a_warning(
    template: str, evaluator: Make, chat: Callable[[str], LocalModel], tmp_path: Path
) -> None:
    suite = evaluator(tasks=["toy_sums", "toy_small"], apply_chat_template=True, max_gen_toks=1)
    said: Any = suite.evaluate(chat(template), None, folder=tmp_path).warnings
    assert [one for one in said if "does not show" in one] == [
        "the chat template does not show the task's description in prompts: toy_sums 3 of 3"
    ]


@pytest.mark.usefixtures("told")
def test_complete_prompts_give_no_warning(
    evaluator: Make, chat: Callable[[str], LocalModel], tmp_path: Path
) -> None:
    suite = evaluator(apply_chat_template=True, max_gen_toks=1)
    said = suite.evaluate(
        chat(PLAIN.replace("m.content", "(m.content | trim)")), None, folder=tmp_path
    ).warnings
    assert not [one for one in said if "does not show" in one]
