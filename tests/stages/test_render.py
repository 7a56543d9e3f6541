"""Laws of chat templates: a row that one refuses is a row fault, and the day that one is told stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.examples import Example, Turn
from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_pool, read_target
from nait.models.loading import LocalModel
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.frozen_clock import DAY, freeze_tokenizer_clock
from nait.models.prompts.templates import TextTemplate
from nait.stages.checks.rendered_rows import TRIMMED, rendered
from nait.store import Store
from tests.families import save, tokenizer

PLAIN = "{% for m in messages %}{{ '[' + m.role + ']' + m.content + '[end]' }}{% endfor %}[assistant]"
STRICT = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + PLAIN
)
DATED = "{{ 'Today: ' + strftime_now('%d %b %Y %H:%M') + '\n' }}" + PLAIN


def loaded(template: str) -> Any:
    made = tokenizer()
    made.chat_template = template.replace(
        "[assistant]", "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
    )
    return made


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = save(tmp_path_factory.mktemp("model"))
    loaded(STRICT).save_pretrained(folder)
    return LocalModel(str(folder), max_length=64, device="cpu")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three rows; the second has a system message."""
    rows = [
        {"messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}]}
        for i in range(3)
    ]
    rows[1]["messages"].insert(0, {"role": "system", "content": "Be brief."})
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


Read = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("read", "group"), [(read_pool, "data"), (lambda path: read_target(path)[0], "target")]
)
def test_a_row_that_the_chat_template_refuses_is_named_by_file_line_and_mend(
    read: Read, group: str, file: Path, model: LocalModel, tmp_path: Path
) -> None:
    rows, store = read(file), Store(tmp_path / "store")
    message = (
        rf"rows\.jsonl line 2: the model's chat template refuses it \(System role not supported\)\. "
        rf".*system message into the first instruction.*template=alpaca.*or set {group}\.on_bad=skip"
    )
    for _ in range(2):  # found, and found again in the store
        with pytest.raises(DataError, match=message):
            rendered(rows, ChatTemplate(), model=model, store=store, group=group, on_bad="error")


@pytest.mark.parametrize("read", [read_pool, lambda path: read_target(path)[0]])
def test_on_bad_skip_leaves_the_refused_row_out_and_counts_it(
    read: Read, file: Path, model: LocalModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, store = read(file), Store(tmp_path / "store")
    kept = rendered(rows, ChatTemplate(), model=model, store=store, group="data", on_bad="skip")
    assert sorted(example.turns[0].instruction for example in kept.examples) == ["q0", "q2"]
    assert list(kept.skipped.values()) == [1]
    assert kept.fingerprint != rows.fingerprint
    assert "left out 1 rows" in caplog.text


def test_a_text_template_that_shows_every_field_refuses_no_row_and_opens_nothing(
    file: Path, tmp_path: Path
) -> None:
    pool = read_pool(file)
    nothing: Any = None
    template = TextTemplate(prompt="{user}\n")
    store = Store(tmp_path / "store")
    assert rendered(pool, template, model=nothing, store=store, group="data", on_bad="error") is pool


def test_a_pool_without_a_row_that_is_taken_is_refused(model: LocalModel, tmp_path: Path) -> None:
    row = {"messages": [{"role": role, "content": "x"} for role in ("system", "user", "assistant")]}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"no row is left: .*System role not supported"):
        rendered(
            read_pool(tmp_path / "rows.jsonl"),
            ChatTemplate(),
            model=model,
            store=Store(tmp_path / "store"),
            group="data",
            on_bad="skip",
        )


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0].content + 1 }}", "refuses it"),
        ("{{ messages[0].name.first }}", "refuses it"),
        ("{{ raise_exception('Roles must alternate') }}", r"refuses it \(Roles must alternate\)"),
    ],
)
def test_any_error_of_a_template_is_a_fault_of_the_row(template: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ChatTemplate().spans(Example("a", (Turn("q", "r"),)), loaded(template))


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(999999999) %}x{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ 'a' * (10 ** 30) }}",
        "{{ 1 // 0 }}",
        "{{ " * 5000,
    ],
    ids=["range", "recursion", "memory", "division", "nesting"],
)
def test_a_template_that_asks_for_too_much_is_refused_with_one_message(template: str) -> None:
    with pytest.raises((DataError, ConfigError), match=r"chat template (refuses|cannot be read)"):
        ChatTemplate().spans(Example("a", (Turn("q", "r"),)), loaded(template))


def test_several_templates_without_a_default_are_refused() -> None:
    tokenizer = loaded("x")
    tokenizer.chat_template = {"one": "x", "two": "y"}
    with pytest.raises(ConfigError, match="chat template cannot be read"):
        ChatTemplate().spans(Example("a", (Turn("q", "r"),)), tokenizer)


def test_a_broken_template_is_not_a_fault_of_a_row() -> None:
    with pytest.raises(ConfigError, match="chat template cannot be read"):
        ChatTemplate().spans(Example("a", (Turn("q", "r"),)), loaded("{% if %}"))


@pytest.mark.parametrize("template", ["{{ ['a', 'b'] | random }}" + PLAIN, "{{ lipsum(1) }}" + PLAIN])
def test_a_template_that_draws_at_random_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="draws at random"):
        ChatTemplate().spans(Example("a", (Turn("q", "r"),)), loaded(template))


def text(template: ChatTemplate, tok: Any) -> str:
    return "".join(span.text for span in template.spans(Example("a", (Turn("q", "r"),)), tok))


def test_a_template_that_reads_the_date_gets_a_fixed_day_that_is_in_its_digest() -> None:
    tok = loaded(DATED)
    assert text(ChatTemplate(), tok) == "Today: 26 Jul 2024 00:00\n[user]q[end][assistant]r[end]"
    other = ChatTemplate(date="2026-02-03")
    assert text(other, tok).startswith("Today: 03 Feb 2026 00:00\n")
    assert other.digest != ChatTemplate().digest == ChatTemplate(date=DAY).digest


def test_the_evaluations_tokenizer_gets_the_same_fixed_day() -> None:
    tok = loaded(DATED)
    freeze_tokenizer_clock(tok)
    turns = [{"role": "user", "content": "q"}]
    assert tok.apply_chat_template(turns, tokenize=False).startswith("Today: 26 Jul 2024 00:00\n")


@pytest.mark.parametrize(
    "asking", ["{% set d = '%d' %}{{ strftime_now(d) }}", "{% set f = strftime_now %}{{ f('%d') }}"]
)
def test_a_template_that_reads_the_clock_in_another_way_is_refused(asking: str) -> None:
    with pytest.raises(ConfigError, match="calls strftime_now with a format that is not a literal"):
        text(ChatTemplate(), loaded(asking + PLAIN))


def test_a_template_may_test_whether_a_clock_exists() -> None:
    asking = (
        "{% set d = '' %}{% if strftime_now is defined %}{% set d = strftime_now(\"%d %b\") %}{% endif %}"
    )
    assert text(ChatTemplate(), loaded(asking + "{{ d }}" + PLAIN)).startswith("26 Jul[user]")


def test_a_date_is_a_date() -> None:
    with pytest.raises(ConfigError, match=r"template\.date: 'today' is not a date.*2024-07-26"):
        ChatTemplate(date="today")


def test_the_published_cases_hold(shared: Callable[[str], Path], tmp_path: Path) -> None:
    import shutil

    for case in ("r02_gemma_system_role", "r05_dated_template", "r06_addtok"):
        folder = Path(shutil.copytree(shared("models") / "stories260K-fp32", tmp_path / case))
        (folder / "tokenizer_config.json").unlink()
        shutil.copyfile(shared("cases") / case / "tokenizer_config.json", folder / "tokenizer_config.json")
        pool, store = read_pool(shared("cases") / case / "pool.jsonl"), Store(tmp_path / "store")
        model = LocalModel(str(folder), device="cpu")
        if case == "r06_addtok":
            with pytest.raises(Exception, match="has id 512, the embedding has 512 rows"):
                model.load_tokenizer()
        elif case == "r05_dated_template":
            rendered(pool, ChatTemplate(), model=model, store=store, group="data", on_bad="error")
            assert "26 Jul 2024 00 00" in text(ChatTemplate(), model.load_tokenizer())
        else:
            with pytest.raises(DataError, match=r"pool\.jsonl line 1: .*System role not supported"):
                rendered(pool, ChatTemplate(), model=model, store=store, group="data", on_bad="error")


def test_a_job_asks_each_group_of_rows_for_its_own_on_bad(
    file: Path, model: LocalModel, tmp_path: Path
) -> None:
    from nait.runs.assembly import _rendered

    pool, targets = read_pool(file), read_target(file)
    templates: dict[str, Any] = {"template": ChatTemplate(), "reference_template": None}
    config: dict[str, Any] = {
        "data": {"on_bad": "skip"},
        "target": {},
    }
    with pytest.raises(DataError, match=r"set target\.on_bad=skip"):
        _rendered(config, pool, targets, model=model, store=Store(tmp_path / "store"), **templates)
    config["target"] = {"on_bad": "skip"}
    kept, (left,) = _rendered(
        config, pool, targets, model=model, store=Store(tmp_path / "store"), **templates
    )
    assert len(kept) == len(left) == 2
    config["target"] = {}
    templates["reference_template"] = TextTemplate(prompt="{user}\n")
    kept, (left,) = _rendered(
        config, pool, targets, model=model, store=Store(tmp_path / "store"), **templates
    )
    assert (len(kept), len(left)) == (2, 3)


UNHEARD = PLAIN.replace("{{", "{% if m.role != 'system' %}{{").replace("}}{%", "}}{% endif %}{%")
FIRST_LINE = PLAIN.replace("m.content", "m.content.split('\n')[0]")
BARE = PLAIN.replace("m.content", "(m.content.split() | join(' '))")
UPPER = PLAIN.replace("m.content", "(m.content | upper if m.role == 'user' else m.content)")
CUT = PLAIN.replace("m.content", "(m.content[:4] if m.role == 'user' else m.content)")
MASKED = (
    "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content[:4] }}[end]{% endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}[assistant]"
)


@pytest.mark.parametrize("system", ["Be brief.", "system", "user", "q", " Be\nbrief.  "])
def test_a_system_message_that_the_template_ignores_is_a_fault_of_the_row(system: str) -> None:
    for tok in (loaded(UNHEARD), loaded("[system]" + UNHEARD)):
        with pytest.raises(DataError, match=r"does not show its system message.*into the first instruction"):
            ChatTemplate().spans(Example("a", (Turn("q", "r"),), system=system), tok)
        assert ChatTemplate().spans(Example("a", (Turn("q", "r"),)), tok)


@pytest.mark.parametrize(
    ("template", "turn", "name"),
    [
        (FIRST_LINE, Turn("ask", "r", "more"), "input"),
        (FIRST_LINE, Turn("ask", "r", "user"), "input"),
        (FIRST_LINE, Turn("ask\nmore", "r"), "instruction"),
        (UPPER, Turn("Ask", "r"), "instruction"),
        (CUT, Turn("question", "r"), "instruction"),
        (MASKED, Turn("question", "a long answer"), "answer"),
    ],
)
def test_any_field_that_the_template_leaves_out_is_a_fault_of_the_row(
    template: str, turn: Turn, name: str
) -> None:
    with pytest.raises(DataError, match=f"does not show its {name}"):
        ChatTemplate().spans(Example("a", (turn,)), loaded(template))
    with pytest.raises(DataError, match=f"does not show its {name}"):
        ChatTemplate().spans(Example("a", (Turn("q", "r"), turn)), loaded(template))


def test_a_template_may_change_white_space() -> None:
    row = Example("a", (Turn(" q\n\nq ", " r "), Turn("1 2", "", "2 1"), Turn("\n", "r")), system=" s\n\ns ")
    for template in (PLAIN, BARE, PLAIN.replace("m.content", "(m.content | trim)")):
        assert ChatTemplate().spans(row, loaded(template))
    assert ChatTemplate().spans(
        Example("a", (Turn("ask", "a long answer"),)), loaded(CUT)
    )  # nothing is cut here


@pytest.mark.parametrize(
    ("read", "group"), [(read_pool, "data"), (lambda path: read_target(path)[0], "target")]
)
def test_a_row_of_which_the_template_drops_a_message_obeys_on_bad(
    read: Read, group: str, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save(tmp_path / "model")
    loaded(UNHEARD).save_pretrained(folder)
    own = LocalModel(str(folder), max_length=64, device="cpu")
    rows, store = read(file), Store(tmp_path / "store")
    message = (
        r"rows\.jsonl line 2: the model's chat template does not show its system message\. "
        rf".*template=alpaca or plain, or set {group}\.on_bad=skip"
    )
    with pytest.raises(DataError, match=message):
        rendered(rows, ChatTemplate(), model=own, store=store, group=group, on_bad="error")
    kept = rendered(rows, ChatTemplate(), model=own, store=store, group=group, on_bad="skip")
    assert sorted(example.turns[0].instruction for example in kept.examples) == ["q0", "q2"]
    assert list(kept.skipped.values()) == [1]
    assert "left out 1 rows" in caplog.text


TRIMS = {
    "trim": PLAIN.replace("m.content", "(m.content | trim)"),
    "mask": "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content | trim }}[end]{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}[assistant]",
    "right": PLAIN.replace("m.content", "m.content.rstrip()"),
    "think": "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' and loop.last %}<think></think>\n"
    "{% endif %}{{ m.content.strip('\n') | trim }}[end]{% endfor %}[assistant]",
    "insists": "{% if messages[0].role != 'system' %}{{ raise_exception('A system message first') }}{% endif %}"
    + PLAIN.replace("m.content", "(m.content | trim)"),
}


@pytest.mark.parametrize("name", TRIMS)
@pytest.mark.parametrize("answer", ["  two words \n", "\n\nk", "k  ", "k"])
def test_the_rest_of_an_answer_that_the_template_trims_is_scored(name: str, answer: str) -> None:
    row = Example("a", (Turn("q", answer),), system="s" if name == "insists" else "")
    found = [span.text for span in ChatTemplate().spans(row, loaded(TRIMS[name])) if span.kind == "answer"]
    assert found == ([answer.rstrip()] if name == "right" else [answer.strip()])


@pytest.mark.parametrize(
    "inside",
    [
        "m.content | replace('\n\n', '\n')",
        "m.content.split() | join(' ')",
        "m.content | upper if m.role == 'assistant' else m.content",
    ],
)
def test_an_answer_that_is_changed_inside_is_a_fault(inside: str) -> None:
    row = Example("a", (Turn("1", "one\n\ntwo"),))
    with pytest.raises(DataError, match=r"changes the answer's text|does not show its answer"):
        ChatTemplate().spans(row, loaded(PLAIN.replace("m.content", f"({inside})")))


def test_trimmed_answers_are_counted_once_in_log_and_manifest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from nait.runs.records.run_facts import read_rows

    rows = [{"instruction": f"q{i}", "output": f" a{i}\n" if i % 2 else f"a{i}"} for i in range(5)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = save(tmp_path / "model")
    loaded(TRIMS["trim"]).save_pretrained(folder)
    own, store = LocalModel(str(folder), max_length=64, device="cpu"), Store(tmp_path / "store")
    caplog.set_level("INFO")
    for _ in range(2):
        kept = rendered(
            read_pool(tmp_path / "rows.jsonl"), ChatTemplate(), model=own, store=store, group="data",
            on_bad="error",
        )  # fmt: skip
        assert (len(kept), read_rows(kept, [])["pool"]["reading"][TRIMMED]) == (5, 2)
    assert caplog.text.count("trims white space around the answers of 2 rows") == 2  # once a run
