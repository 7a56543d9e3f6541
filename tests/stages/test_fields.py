"""Laws of templates written down as text: what one does not show of a row is a fault of the row, before any model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_pool, read_target
from nait.models.prompts.templates import TextTemplate
from nait.stages.checks.rendered_rows import check_method, rendered
from nait.store import Store

Read = Callable[[Path], Any]
INPUT_DROPPED = TextTemplate(prompt="Q: {instruction}\nA: ")
SYSTEM_DROPPED = TextTemplate(prompt="Q: {user}\nA: ", system="")
FIXED_SYSTEM = TextTemplate(prompt="Q: {user}\nA: ", system="Be kind.\n")
UNCONDITIONAL = TextTemplate(prompt="A: ", system="", unconditional=True)
NO_MODEL: Any = None


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Five rows: the second and fourth have an input, the third a system message, the fifth white space alone."""
    rows: list[dict[str, str]] = [{"instruction": f"q{i}", "output": f"a{i}"} for i in range(5)]
    for i, extra in ((1, "more"), (3, "yet more"), (4, " \n ")):
        rows[i]["input"] = extra
    rows[2]["system"] = "Be brief."
    path = tmp_path / "inputs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            INPUT_DROPPED,
            r"2 rows cannot be used:\n  .*inputs\.jsonl line 2: the template does not show its input\n"
            r"  .*inputs\.jsonl line 4: .*\. Of the first: Write \{input\} in template\.prompt_with_input",
        ),
        (
            SYSTEM_DROPPED,
            r"inputs\.jsonl line 3: the template does not show its system message\. "
            r"Write \{system\} in template\.system",
        ),
        (FIXED_SYSTEM, r"inputs\.jsonl line 3: the template does not show its system message"),
    ],
)
@pytest.mark.parametrize(
    ("read", "group"), [(read_pool, "data"), (lambda path: read_target(path)[0], "target")]
)
def test_a_field_that_a_text_template_drops_is_a_fault_of_the_row(
    template: TextTemplate, message: str, read: Read, group: str, inputs: Path, tmp_path: Path
) -> None:
    rows, store = read(inputs), Store(tmp_path / "store")
    with pytest.raises(DataError, match=rf"{message}.*, or set {group}\.on_bad=skip\."):
        rendered(rows, template, model=NO_MODEL, store=store, group=group, on_bad="error")
    kept = rendered(rows, template, model=NO_MODEL, store=store, group=group, on_bad="skip")
    faults = 2 if template is INPUT_DROPPED else 1
    assert len(kept) == 5 - faults
    assert list(kept.skipped.values()) == [faults]


def test_a_template_that_is_unconditional_by_intent_drops_what_it_likes(inputs: Path, tmp_path: Path) -> None:
    pool = read_pool(inputs)
    store = Store(tmp_path / "store")
    assert rendered(pool, UNCONDITIONAL, model=NO_MODEL, store=store, group="data", on_bad="error") is pool


def test_a_methods_own_template_is_checked_and_never_leaves_rows_out(inputs: Path, tmp_path: Path) -> None:
    from nait.baselines.perplexity import Perplexity

    store = Store(tmp_path / "store")
    with pytest.raises(DataError, match=r"(?s)line 2: .*does not show its input.*selector\.template\)"):
        check_method(Perplexity(template=INPUT_DROPPED), [read_pool(inputs)], model=NO_MODEL, store=store)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"prompt": "{system}\n{user}"},
            r"template\.prompt: \{system\} is not a field of this key\. .*template\.system",
        ),
        ({"prompt": "{Instruction}: {user}"}, r"\{Instruction\} is not a field.*Write \{instruction\}"),
        ({"prompt": "{ user }{user}"}, r"\{ user \} is not a field.*Write \{user\}"),
        ({"prompt": "{user}\nA: {output}"}, r"\{output\} is not a field.*the answer follows the prompt"),
        ({"prompt": "{user}", "system": "{systm}"}, r"template\.system: \{systm\}.*Write \{system\}"),
        ({"prompt": "{user}", "suffix": "{input}"}, r"template\.suffix: .*template\.prompt"),
        (
            {"prompt": "{user}", "prompt_with_input": "{input}"},
            r"prompt_with_input: the prompt shows no instruction",
        ),
        ({"prompt": "{user}", "prompt_with_input": "{instruction}"}, r"the prompt for rows with an input"),
    ],
)
def test_a_field_that_would_be_literal_text_in_every_row_is_refused(
    keys: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        TextTemplate(**keys)


def test_braces_that_name_no_field_are_text() -> None:
    TextTemplate(prompt='Answer in \\boxed{answer} or {"a": 1} or {this}: {user}', system="{{x}} {system}")
