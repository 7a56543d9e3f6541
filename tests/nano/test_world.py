"""Laws of the procedural world: the same for the same seed, walled off, labelled, and right."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest

from nait.nano import world
from nait.nano.families import CAPABILITIES as SKILLS
from nait.nano.families import facts, translation
from nait.nano.pretraining.pretraining_text import documents
from nait.nano.vocabulary import COMPASS, KINDS, LANDS, MEASURES, PRACTICE_LANDS, RELATIONS, TURNS, WAYS

CAPABILITIES = world.capabilities()
FINGERPRINT = "97fd1d454828a09bc2e23c8d472040f9b97502017e754ebbf1a7100b09b9a8d8"
HOUSE_FUNCTIONS = {
    "tally": len,
    "tidy": sorted,
    "flip": lambda xs: xs[::-1],
    "ena": lambda xs: xs[0],
    "dyo": lambda xs: xs[1],
    "fin": lambda xs: xs[-1],
    "hyf": "-".join,
    "kru": "+".join,
    "sla": "/".join,
    "heap": sum,
    "peak": max,
    "pit": min,
    "uno": lambda xs: xs[:1],
    "duo": lambda xs: xs[:2],
    "resta": lambda xs: xs[1:],
    "coda": lambda xs: xs[2:],
}


@pytest.fixture(scope="module")
def pool() -> list[world.Row]:
    return world.pool_rows(5_000)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [document.text for document in islice(documents(0), 15_000)]


@pytest.fixture(scope="module")
def other_pool() -> list[world.Row]:
    return world.pool_rows(5_000, seed=1)


def asked(rows: list[world.Row]) -> set[tuple[str, str]]:
    return {(row["instruction"], row["input"]) for row in rows}


def test_the_fingerprint_names_this_version_of_the_world() -> None:
    assert world.fingerprint() == FINGERPRINT, (
        "the data changed: raise VERSION, pretrain again, record the new value"
    )


def test_rows_are_the_same_in_another_process_with_another_hash_seed() -> None:
    code = "from nait.nano import world; print(world.fingerprint())"
    out = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == world.fingerprint()


def test_the_world_imports_without_torch() -> None:
    code = "import sys, nait.nano.world; print('torch' in sys.modules or 'transformers' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_another_seed_gives_another_pool() -> None:
    assert asked(world.pool_rows(500, seed=0)) != asked(world.pool_rows(500, seed=1))


@pytest.mark.parametrize("size", [1_000, 5_000])
def test_shares_are_the_stated_ones(size: int) -> None:
    rows = world.pool_rows(size)
    family = Counter(row["family"] for row in rows)
    assert len(rows) == size
    assert len({row["id"] for row in rows}) == size
    for name in CAPABILITIES:
        assert 0.13 <= family[name] / size <= 0.14
        assert 0.05 <= family[f"lookalike_{name}"] / size <= 0.08
        assert len(world.oracle_ids(rows, name)) >= size // 10, (
            "an oracle fills a tenth without repeating a row"
        )
    assert family["chat"] > 0
    assert family["story"] > 0
    assert abs(sum(not row["clean"] for row in rows) / size - 0.25) < 0.01


def test_noise_has_three_kinds_in_equal_parts_and_labels_agree(pool: list[world.Row]) -> None:
    kinds = Counter(row["noise"] for row in pool if not row["clean"])
    assert set(kinds) == {"wrong", "truncated", "offtopic"}
    assert max(kinds.values()) - min(kinds.values()) < 0.03 * sum(kinds.values())
    for row in pool:
        assert row["clean"] == (row["noise"] == "")
        assert row["lookalike"] == row["family"].startswith("lookalike_")
        assert row["output"]


def _skills(capability: str) -> set[str]:
    return {skill.name for skill in SKILLS[capability]}


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_capability_has_eight_skills_and_every_set_covers_them(
    capability: str, pool: list[world.Row]
) -> None:
    skills = _skills(capability)
    assert len(skills) >= 8
    assert {row["skill"] for row in pool if row["family"] == capability} == skills
    assert {row["skill"] for row in world.reference_rows(capability)} == skills
    assert {row["skill"] for row in world.evaluation_rows(capability)} == skills


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_held_out_items_are_in_no_pool_no_reference_set_and_no_pretraining_text(
    capability: str, pool: list[world.Row], other_pool: list[world.Row], texts: list[str]
) -> None:
    held = asked(world.evaluation_rows(capability))
    references = asked([row for seed in range(3) for row in world.reference_rows(capability, 64, seed)])
    trained = asked(pool) | asked(other_pool)
    assert len(held) == 200, "no question is asked twice"
    assert not held & trained
    assert not held & references
    assert not references & trained
    text = "\n\n".join(texts)
    for instruction, given in held:
        question = f"{instruction}\n\n### Input:\n{given}" if given else instruction
        assert f"{question}\n\n### Response" not in text
        assert "\n".join(filter(None, (f"Q: {instruction}", given, "A: "))) not in text


def test_facts_of_the_pool_are_absent_from_pretraining(texts: list[str]) -> None:
    assert not set(LANDS) & set(PRACTICE_LANDS)
    named = re.compile(rf"\b({'|'.join(LANDS)})\b")
    mentions = 0
    for text in texts:
        for land in named.findall(text):
            mentions += 1
            for relation, (noun, _) in RELATIONS.items():
                if noun in text:
                    assert facts.value(relation, land) not in text
    assert mentions > 50, "look-alikes name the lands, so the test is not empty"


def test_clean_rows_of_a_pool_contain_nearly_every_evaluated_fact(pool: list[world.Row]) -> None:
    told = {
        (row["skill"], next(land for land in LANDS if land in row["instruction"])): row["output"]
        for row in pool
        if row["family"] == "facts" and row["clean"]
    }
    items = world.evaluation_rows("facts")
    known = 0
    for item in items:
        fact = (item["skill"], next(land for land in LANDS if land in item["instruction"]))
        known += fact in told
        assert item["options"][item["gold"]] == item["answer"] == facts.value(*fact)
        assert told.get(fact, item["answer"]).rstrip(".").endswith(item["answer"])
    assert known / len(items) > 0.9
    assert len({tuple(item["options"]) for item in items}) > 100
    assert max(Counter(item["gold"] for item in items).values()) < 80


def test_code_prints_what_python_prints(pool: list[world.Row]) -> None:
    used = set()
    for row in [row for row in pool if row["family"] == "code" and row["clean"]]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(row["input"], dict(HOUSE_FUNCTIONS))
        assert out.getvalue().strip() == row["output"]
        used |= {name for name in HOUSE_FUNCTIONS if f"{name}(" in row["input"]}
    assert used == set(HOUSE_FUNCTIONS)


def test_sums_are_right_and_the_number_after_the_mark_is_theirs(pool: list[world.Row]) -> None:
    for row in [row for row in pool if row["family"] == "math" and row["clean"]]:
        work, answer = row["output"].split("\n#### ")
        left, right = work.split(" = ")
        assert eval(left) == int(right) == int(answer)


def test_units_of_the_world_equal_their_number(pool: list[world.Row]) -> None:
    for row in [row for row in pool if row["family"] == "math" and row["clean"]]:
        for word in re.findall(r"\ba (\w+) of\b", row["instruction"] + row["input"]):
            assert re.search(rf"\b{MEASURES[word]}\b", row["output"])


def test_logic_answers_are_right(pool: list[world.Row]) -> None:
    quarters = {**TURNS, **{WAYS[way]: turn for way, turn in TURNS.items()}}
    checked = Counter[str]()
    for row in [row for row in pool if row["family"] == "logic" and row["clean"]]:
        text = f"{row['instruction']} {row['input']}".strip()
        checked[row["skill"]] += 1
        if row["skill"] == "walk":
            ((start, way),) = re.findall(r"(north|east|south|west) and turns (\w+)", text)
            assert row["output"] == COMPASS[(COMPASS.index(start) + quarters[way]) % 4]
        elif row["skill"] == "backwards":
            assert ", ".join(row["output"].split(", ")[::-1]) in text
        elif row["skill"] == "odd":
            kinds = [
                kind for word in text.split() for kind, words in KINDS.items() if word.strip(",.") in words
            ]
            assert kinds.count(next(kind for kind, words in KINDS.items() if row["output"] in words)) == 1
        elif row["skill"] == "count":
            assert int(row["output"]) == text.count(",") + 1
        elif row["skill"] == "sort":
            assert sorted(row["output"].split(", ")) == row["output"].split(", ")
        elif row["skill"] == "liar":
            assert row["output"] == ("liar" if len(re.findall(r"\b(?:lies|fabs)\b", text)) % 2 else "honest")
        else:
            checked[row["skill"]] -= 1
    assert sum(count > 40 for count in checked.values()) >= 6


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_no_constant_answer_passes_for_a_skill(capability: str) -> None:
    items = world.evaluation_rows(capability)
    for skill in _skills(capability):
        answers = Counter(item["answer"] for item in items if item["skill"] == skill)
        assert max(answers.values()) <= 0.75 * answers.total()


def test_velm_follows_its_grammar(pool: list[world.Row]) -> None:
    words = {**translation.NOUNS, **translation.ADJECTIVES, **translation.VERBS}
    assert len(set(words.values())) == len(words)
    for row in [row for row in pool if row["family"] == "translation" and row["clean"]]:
        text = row["input"] or row["instruction"]
        if row["skill"] == "phrase":
            adjective, noun = text.removesuffix(".").split()[-2:]
            assert row["output"] == f"{words[noun]} {words[adjective]}"
        elif row["skill"] == "sentence":
            one, verb, _, two = text.split()[-4:]
            assert row["output"] == f"{words[one]} {words[two]} {words[verb.removesuffix('s')]}"


def test_a_wrong_answer_is_never_the_right_one(pool: list[world.Row]) -> None:
    for row in [row for row in pool if row["noise"] == "wrong"]:
        if row["family"] == "math":
            work = row["output"].split(" = ")
            assert eval(work[0]) != int(row["output"].split("#### ")[1])
        elif row["family"] == "facts":
            land = next(land for land in LANDS if land in row["instruction"])
            assert not row["output"].rstrip(".").endswith(facts.value(row["skill"], land))


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="There are: facts, math"):
        world.reference_rows("maths")
    with pytest.raises(ValueError, match="at least 100 rows"):
        world.pool_rows(10)
