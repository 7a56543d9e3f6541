"""A share of the references becomes a benchmark; the rest stay references."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest

from nait.cli.config.short_options import AskedSize, compare_words, evaluation_words
from nait.core.dataset.contamination import Contamination
from nait.core.dataset.examples import Example, Target, Turn, as_target, gather
from nait.core.errors import ConfigError
from nait.core.statistics.results import Evaluation, Item
from nait.data.columns.formats import find_layout
from nait.eval.held_out import HeldOut
from nait.eval.held_out.answer_tokens import answer_start
from nait.models.prompts.templates import TextTemplate
from nait.nano.pools import nano_model, nano_targets
from nait.stages.checks.held_out_rows import HELD_OUT, SHARED, hold_out, is_held_out, with_tests
from tests.app.commands import Run, warm

TEMPLATE = TextTemplate(prompt="Q: {instruction}\nA:", suffix="\n")
WORDS = "one two three four five six seven eight nine ten eleven twelve"


def row(i: int, answer: str = "") -> Example:
    return Example("", (Turn(f"Add {i} and {i} to the sum {WORDS} {i}.", answer or str(2 * i)),), row=i)


def target(*rows: Example) -> Target:
    return as_target(gather("refs", rows))


def test_each_row_is_a_reference_or_an_item_and_equal_rows_are_on_one_side() -> None:
    rows = target(*map(row, range(60)), *(replace(row(i), row=60 + i) for i in range(20)))
    split = hold_out(rows, 0.4, None)
    held, kept = {one.turns for one in split.rows}, {one.turns for one in split.target.examples}
    assert not held & kept
    assert held | kept == {one.turns for one in rows.examples}
    assert len(split.rows) + len(split.target) == len(rows) == 80
    assert split.target.skipped[HELD_OUT] == len(split.rows)
    assert split.target.fingerprint != rows.fingerprint


def test_a_server_cannot_answer_for_held_out_rows() -> None:
    with pytest.raises(ConfigError, match=r"eval\.backend: 'endpoint' is not a choice"):
        HeldOut(backend="endpoint")  # type: ignore[arg-type]


def test_a_larger_share_holds_out_the_rows_of_a_smaller_one_whatever_their_order() -> None:
    small, large = (
        {one.id for one in hold_out(target(*map(row, range(90))), s, None).rows} for s in (0.3, 0.5)
    )
    assert small < large
    assert small == {one.id for one in hold_out(target(*map(row, range(89, -1, -1))), 0.3, None).rows}


def test_a_reference_that_repeats_a_held_out_text_is_left_out() -> None:
    rows = [row(i) for i in range(60)]
    held = next(one for one in rows if is_held_out(one, 0.4))
    copies = [replace(held, turns=(replace(held.turns[0], answer=str(n)),), row=60 + n) for n in range(5)]
    rows += [one for one in copies if not is_held_out(one, 0.4)]
    split = hold_out(target(*rows), 0.4, Contamination())
    assert split.target.skipped[SHARED] == len(rows) - 60 > 0
    assert held.turns[0].instruction not in {one.turns[0].instruction for one in split.target.examples}


def test_too_few_rows_on_a_side_and_one_test_file_for_two_targets_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rows are held out and \d+ references are left of 10"):
        hold_out(target(*map(row, range(10))), 0.3, None)
    assert [len(one.rows) for one in with_tests([target(*map(row, range(9)))], target(row(9)))] == [1]
    with pytest.raises(ConfigError, match="one file of test rows cannot test 2 targets"):
        with_tests([target(row(1)), target(row(2))], target(row(3)))


def test_an_item_asks_with_the_template_and_its_answer_has_the_suffix(tmp_path: Path) -> None:
    suite = HeldOut().suite_of({"refs": [row(4)]}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    (item,) = suite.tasks["heldout_refs"].items
    assert (item.question, item.answer) == (f"Q: Add 4 and 4 to the sum {WORDS} 4.\nA:", "8\n")
    assert written(tmp_path / "heldout_refs.arrow") == [vars(item)]
    assert suite.sizes() == {"heldout_refs": 1}
    (ended,) = written(tmp_path / "heldout_refs_ended.arrow")
    assert ended == {**vars(item), "answer": f"8\n{nano_model().load_tokenizer().eos_token}"}
    never = replace(TEMPLATE, eos="never")
    suite = HeldOut().suite_of({"refs": [row(4)]}, template=never, model=nano_model(), folder=tmp_path)
    assert not suite.tasks["heldout_refs"].ended


def written(path: Path) -> list[dict[str, str]]:
    with pa.ipc.open_stream(str(path)) as stream:
        return [*stream.read_all().to_pylist()]


def chooser(i: int, answer: str, *options: str) -> Example:
    asked = f"Which is {i}?\nA. {i}\nB. {i + 1}"
    return Example("", (Turn(asked, answer, options=options),), row=i)


def test_a_row_with_options_is_a_multiple_choice_item_too(tmp_path: Path) -> None:
    rows = [chooser(1, "A", "A", "B"), row(2), chooser(3, "4 apples", "3", "4 apples")]
    suite = HeldOut().suite_of({"refs": rows}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    assert suite.sizes() == {"heldout_refs": 3, "heldout_refs_choices": 2}
    first, second = (vars(item) for item in suite.choices["heldout_refs_choices"].items)
    assert first == {"question": "Q: Which is 1?\nA. 1\nB. 2\nA:", "choices": ["A\n", "B\n"], "gold": 0}
    assert (second["choices"], second["gold"]) == (["3\n", "4 apples\n"], 1)
    assert {name: len(texts) for name, texts in suite.items().items()} == dict(suite.sizes())


def test_rows_whose_answer_exceeds_the_context_are_left_out_and_counted(tmp_path: Path) -> None:
    long = " ".join(["zebra"] * 600)
    given = [row(1), row(2, long), chooser(3, "A", "A", long), chooser(4, "A", "A", "B"), row(5)]
    suite = HeldOut().suite_of({"refs": given}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    assert suite.sizes() == {"heldout_refs": 4, "heldout_refs_choices": 1}
    assert {name: len(texts) for name, texts in suite.items().items()} == dict(suite.sizes())
    found = suite.evaluate(nano_model(), None, folder=tmp_path)
    said = [text for text in found.warnings if "context" in text and "left out" in text]
    assert [text.split(" have ")[0] for text in said] == [
        "heldout_refs: 1 of 5 held-out rows", "heldout_refs_choices: 1 of 2 held-out rows",
    ]  # fmt: skip
    fitting = [one for place, one in enumerate(given) if place != 1]
    alone = HeldOut().suite_of(
        {"refs": fitting[:1]}, template=TEMPLATE, model=nano_model(), folder=tmp_path / "a"
    )
    (first,) = [one.value for one in alone.evaluate(nano_model(), None, folder=tmp_path / "a").items
                if one.metric == "nll"]  # fmt: skip
    assert next(one.value for one in found.items if one.metric == "nll") == pytest.approx(first, abs=1e-5)


def test_rows_that_a_benchmark_leaves_out_are_counted(
    tmp_path: Path,
) -> None:
    asked = [
        {"question": "Which is blue?", "choices": ["the sea", "a fire"], "answer": answer}
        for answer in ("the sea", "The sea.", "B")
    ]
    asked.append({"question": "Which is red?", "choices": ["a fire", "a fire"], "answer": "a fire"})
    asked.append({"question": "Which is wet?", "choices": ["the sea", " "], "answer": "the sea"})
    rows = [Example("", find_layout(one).read(one).turns, row=place) for place, one in enumerate(asked)]
    rows.append(Example("", (Turn("Which is dry?", " "),), row=5))
    suite = HeldOut().suite_of({"refs": rows}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    assert suite.sizes() == {"heldout_refs": 5, "heldout_refs_choices": 2}
    assert suite.evaluate(nano_model(), None, folder=tmp_path).warnings[:2] == (
        "heldout_refs: 1 of 6 held-out rows have an empty answer, and are left out",
        "heldout_refs_choices: 3 of 5 held-out rows with options have an answer that is not one of several "
        "different options, and are left out",
    )
    none = [one for one in rows if not one.answered]
    with pytest.raises(ConfigError, match="1 of 1 held-out rows have an empty answer"):
        HeldOut().suite_of({"refs": none}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    free = HeldOut().suite_of({"refs": rows[1:2]}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    assert free.sizes() == {"heldout_refs": 1}
    assert len(free.left_out) == 1


def test_a_benchmark_without_a_row_that_fits_the_context_is_refused(tmp_path: Path) -> None:
    long = [row(k, " ".join(["zebra"] * 600)) for k in range(3)]
    with pytest.raises(ConfigError, match="3 of 3 held-out rows have an answer longer than the context"):
        HeldOut().suite_of({"refs": long}, template=TEMPLATE, model=nano_model(), folder=tmp_path)


def test_the_likeliest_option_is_the_answer_of_the_model(tmp_path: Path) -> None:
    rows = [chooser(i, "AB"[i % 2], "A", "B") for i in range(6)]
    suite = HeldOut().suite_of({"refs": rows}, template=TEMPLATE, model=nano_model(), folder=tmp_path)
    found = suite.evaluate(nano_model(), None, folder=tmp_path)
    chosen = [one for one in found.items if one.task == "heldout_refs_choices"]
    losses = suite_losses(tmp_path / "losses", rows)
    assert [one.value for one in chosen] == [float(right < other) for right, other in losses]
    result = next(one for one in found.results if one.task == "heldout_refs_choices")
    assert (result.metric, result.n, result.primary, result.higher_is_better) == ("acc_norm", 6, True, True)
    assert result.value == pytest.approx(sum(one.value for one in chosen) / 6)


def suite_losses(folder: Path, rows: list[Example]) -> list[tuple[float, float]]:
    """The losses of the right and of the other option of each row, each measured as an answer."""

    def losses(name: str, answers: list[str]) -> list[float]:
        given = [
            replace(one, turns=(replace(one.turns[0], answer=text, options=()),))
            for one, text in zip(rows, answers, strict=True)
        ]
        suite = HeldOut().suite_of({name: given}, template=TEMPLATE, model=nano_model(), folder=folder / name)
        found = suite.evaluate(nano_model(), None, folder=folder / name)
        return [one.value for one in found.items if one.metric == "nll"]

    right = [one.turns[0].answer for one in rows]
    other = [next(text for text in one.turns[0].options if text != one.turns[0].answer) for one in rows]
    return list(zip(losses("right", right), losses("other", other), strict=True))


def test_the_address_has_the_rows_and_not_the_folder(tmp_path: Path) -> None:
    def key(folder: str, *rows: Example) -> Mapping[str, Any]:
        place = tmp_path / folder
        return HeldOut().suite_of({"a": rows}, template=TEMPLATE, model=nano_model(), folder=place).key()

    assert key("x", row(1), row(2)) == key("ü y", row(1), row(2))
    assert key("x2", row(1), row(2)) != key("z", row(1), row(3))
    short = replace(row(1), turns=(replace(row(1).turns[0], answer="4"),))
    assert key("s", short)["requested"] == ["heldout_a"]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("heldout")
    rows = nano_targets(["math"], rows=10)[0].examples
    short = [replace(one, turns=(replace(one.turns[0], answer="#### 9"),)) for one in rows[:4]]
    given = {"math": rows, "short": short}
    suite = HeldOut().suite_of(given, template=TEMPLATE, model=nano_model(), folder=folder)
    return suite.evaluate(nano_model(), None, folder=folder)


def test_lower_is_better_for_the_loss_and_only_short_answers_are_compared_exactly(
    evaluated: Evaluation,
) -> None:
    found = [(one.task, one.metric, one.higher_is_better, one.primary) for one in evaluated.results]
    assert found == [
        ("heldout_math", "nll", False, True),
        ("heldout_short", "nll", False, True),
        ("heldout_short", "exact_match", True, False),
    ]
    assert {item.metric for item in evaluated.items if item.task == "heldout_math"} == {"nll"}


def loss(instruction: str, answer: str, *, prompt: str = "Q: {instruction}\nA:") -> float:
    """The mean loss of the answer's tokens in nats, by the network alone."""
    import torch

    network, tokenizer = nano_model().load()
    prompt = prompt.format(instruction=instruction)
    start = len(
        tokenizer(prompt)["input_ids"]
    )  # with the tokenizer's begin-of-text token, as the harness asks
    ids = torch.tensor([tokenizer(f"{prompt}{answer}")["input_ids"]])
    with torch.no_grad():
        losses = torch.nn.functional.cross_entropy(network(ids).logits[0, :-1], ids[0, 1:], reduction="none")
    return float(losses[start - 1 :].mean())


def test_the_loss_of_a_row_is_that_of_the_model_per_answer_token(evaluated: Evaluation) -> None:
    turn = nano_targets(["math"], rows=10)[0].examples[0].turns[0]
    items = [item for item in evaluated.items if (item.task, item.doc_id) == ("heldout_math", 0)]
    expected = loss(turn.instruction, f"{turn.answer}\n")
    assert [item.value for item in items] == pytest.approx([expected], abs=1e-4)


@pytest.mark.parametrize("backend", ["shared_prefix", "hf"])
def test_a_line_break_that_ends_the_prompt_is_not_scored_with_the_answer(
    backend: Literal["shared_prefix", "hf"], tmp_path: Path
) -> None:
    broken = TextTemplate(prompt="Q: {instruction}\nA:\n", suffix="")
    rows = [row(2), chooser(1, "A", "A", "B and more"), row(3, "not a sum")]
    suite = HeldOut(backend=backend).suite_of(
        {"a": rows}, template=broken, model=nano_model(), folder=tmp_path
    )
    found = suite.evaluate(nano_model(), None, folder=tmp_path)
    expected = [
        loss(one.turns[0].instruction, one.turns[0].answer, prompt="Q: {instruction}\nA:\n") for one in rows
    ]
    assert [one.value for one in found.items if one.metric == "nll"] == pytest.approx(expected, abs=1e-4)
    right, other = (
        loss(rows[1].turns[0].instruction, text, prompt="Q: {instruction}\nA:\n")
        * len(tokens(text))
        / len(text)
        for text in rows[1].turns[0].options
    )
    (chosen,) = [one.value for one in found.items if one.task == "heldout_a_choices"]
    assert chosen == float(right < other)


def tokens(text: str) -> list[int]:
    ids: list[int] = nano_model().load_tokenizer()(text, add_special_tokens=False)["input_ids"]
    return ids


def test_an_answer_after_a_line_break_matches_exactly_whatever_the_model_thinks_of_the_break(
    tmp_path: Path,
) -> None:
    broken = TextTemplate(prompt="Q: {instruction}\nA:\n", suffix="", eos="never")
    network, tokenizer = nano_model().load()
    ids = tokenizer(f"Q: {row(4).turns[0].instruction}\nA:\n", return_tensors="pt")["input_ids"]
    given = network.generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :].tolist()
    greedy = tokenizer.decode(given[:2])
    suite = HeldOut().suite_of({"a": [row(4, greedy)]}, template=broken, model=nano_model(), folder=tmp_path)
    results = suite.evaluate(nano_model(), None, folder=tmp_path).results
    assert [one.value for one in results if one.metric == "exact_match"] == [1.0]


@pytest.mark.parametrize(
    ("question", "whole", "start"),
    [([1, 2, 3], [1, 2, 3, 4], 3), ([1, 2, 3], [1, 2, 9], 2), ([1, 2, 3], [1, 2], 1), ([], [5], 0)],
)
def test_a_token_that_merges_question_and_answer_belongs_to_the_answer(
    question: list[int], whole: list[int], start: int
) -> None:
    assert answer_start(question, whole) == start


def test_a_result_is_the_mean_of_its_items(evaluated: Evaluation) -> None:
    def values(items: tuple[Item, ...]) -> list[float]:
        return [one.value for one in items if one.task == "heldout_math"]

    found, result = values(evaluated.items), evaluated.results[0]
    mean = sum(found) / len(found)
    assert result.value == pytest.approx(mean)
    assert result.n == 10
    spread = math.sqrt(sum((value - mean) ** 2 for value in found) / 9 / 10)
    assert result.stderr == pytest.approx(spread)


@pytest.mark.parametrize(
    "answers", [["2020-01-01", "1999-12-31"], ["[1, 2]", "[3]"], ["7", "1.50"], ["null", "{{x}}"]]
)
def test_an_answer_is_scored_as_the_row_writes_it(answers: list[str], tmp_path: Path) -> None:
    given = {"refs": [row(k, answer) for k, answer in enumerate(answers)]}
    plain = replace(TEMPLATE, suffix="")
    suite = HeldOut().suite_of(given, template=plain, model=nano_model(), folder=tmp_path)
    found = {item.doc_id: item.value for item in suite.evaluate(nano_model(), None, folder=tmp_path).items
             if item.metric == "nll"}  # fmt: skip
    for k, answer in enumerate(answers):
        assert found[k] == pytest.approx(loss(given["refs"][k].turns[0].instruction, answer), abs=1e-4)


def test_an_answer_that_the_model_continues_does_not_match(tmp_path: Path) -> None:
    network, tokenizer = nano_model().load()
    asked = row(4)
    ids = tokenizer(f"Q: {asked.turns[0].instruction}\nA:", return_tensors="pt")["input_ids"]
    given = network.generate(ids, max_new_tokens=4, do_sample=False)[0, ids.shape[1] :].tolist()
    end = given.index(tokenizer.eos_token_id)
    whole, begun = (
        row(4, tokenizer.decode(given[:count])) for count in (end, end - 1)
    )  # all digits, or one less
    plain = replace(TEMPLATE, suffix="")

    def share(asked: Example, template: TextTemplate) -> float:
        suite = HeldOut().suite_of({"a": [asked]}, template=template, model=nano_model(), folder=tmp_path)
        results = suite.evaluate(nano_model(), None, folder=tmp_path).results
        return next(one.value for one in results if one.metric == "exact_match")

    assert [share(one, plain) for one in (whole, begun)] == [1.0, 0.0]
    assert share(begun, replace(plain, eos="never")) == 1.0  # no end is trained


@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_a_share_is_between_none_and_all(share: float) -> None:
    with pytest.raises(ConfigError, match=r"eval\.held_out"):
        HeldOut(held_out=share)


def test_a_comparison_has_its_control_and_without_a_benchmark_its_own() -> None:
    asked = {"pool": "p.jsonl", "like": "r.jsonl", "model": "nano", "size": AskedSize(), "seeds": 2}
    found = compare_words(**asked, methods=["rds", "rds"], more=evaluation_words(None, "my test.jsonl"))
    assert found[:2] == ["selector=rds,random", "seed=0,1"]
    assert found[-3:] == ["eval=heldout", "eval.test='my test.jsonl'", "contamination=exclude"]
    with pytest.raises(ConfigError, match="there is no method 'rsd'"):
        compare_words(**asked, methods=["rsd"])
    with pytest.raises(ConfigError, match="needs a reference set"):
        compare_words(**{**asked, "like": None}, methods=["random"])
    with pytest.raises(ConfigError, match=r"no benchmark 'mmlu_gsm8k'"):
        evaluation_words("mmlu_gsm8k", None)
    with pytest.raises(ConfigError, match="exclude each other"):
        evaluation_words("mmlu", "test.jsonl")


def test_a_selection_alone_does_not_see_the_held_out_rows(nait: Run, tmp_path: Path) -> None:
    done = nait(
        "eval=heldout", "stages=[select]", "target=nano", "target.rows=40", "selector=random", "data=nano_small",
        "model=nano", "tracking=files", bare=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    split = hold_out(nano_targets(["math"], rows=40)[0], 0.3, Contamination())
    counts = f"{len(split.rows)} held-out rows, {len(split.target)} references."
    assert f"Target 'math': {counts}" in done.stderr


def test_a_comparison_by_held_out_rows_can_be_planned(nait: Run) -> None:
    done = nait(
        "compare", "nano_small", "--like", "nano", "--model", "nano", "--methods", "random", "--seeds", "1", "--plan",
        "target.rows=40", bare=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Items in the evaluation: " in done.stdout
    assert "Smallest true difference" not in done.stdout  # the result is a loss, no share of items
    assert "1 job: " in done.stdout
    assert "Callback" not in done.stderr


@pytest.mark.slow
def test_two_methods_are_compared_on_the_embedded_world(tmp_path: Path) -> None:
    done = warm().run(
        [
            "compare", "nano_small", "--like", "nano", "--model", "nano", "--methods", "length", "--seeds", "2",
            "train.epochs=1", "target.rows=40",
        ],
        cwd=tmp_path, seconds=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("length", "random", "heldout_math", "minus random", "Lower is better: heldout_math"):
        assert part in done.stdout


@pytest.mark.parametrize(
    "names",
    [("my refs", "my_refs"), ("refs_choices", "refs"), ("refs", "refs_choices"), ("refs", "refs_ended")],
)
def test_two_targets_never_share_the_name_of_a_benchmark(tmp_path: Path, names: tuple[str, str]) -> None:
    given = {name: [row(4)] for name in names}
    with pytest.raises(ConfigError, match=f"of '{names[0]}' and of '{names[1]}' may both be the benchmark"):
        HeldOut().suite_of(given, template=TEMPLATE, model=nano_model(), folder=tmp_path)
