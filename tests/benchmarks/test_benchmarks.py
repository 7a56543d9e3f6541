"""Laws of the benchmarks: each prints one line, its ways do the same work, and the page shows what falls short."""

from __future__ import annotations

import importlib
import json
import sys
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import KEPT, RESULTS, check_name, circumstances, keep, run
from benchmarks.__main__ import SMALL as CALLS
from benchmarks.kept import TEMPLATE, Closed, Given, pool, scored, target
from benchmarks.lines import Goal, Seconds, alternate, print_result
from benchmarks.models import LENGTH_DECILES, MEAN_LENGTH, load, rows, shape, texts
from benchmarks.packing import padded_share
from benchmarks.page import REASONS, document
from benchmarks.peaks import operations, peak
from benchmarks.scoring import shares
from nait.models.tokens.batches import plan
from nait.neurons.scorer import Nait
from tests.families import HIDDEN, save

BESIDE = {
    "__init__",
    "__main__",
    "commands",
    "kept",
    "lines",
    "models",
    "packing",
    "page",
    "paper_hours",
    "peaks",
    "planted",
    "processes",
    "readings",
    "quickstart",
    "updates",
}
# Rows at this size. `startup`, `memory`, `workers`, `plan` and `training` start processes; the rest is measured here.
SMALL = {
    "targets": 2,
    "early_exit": 2,
    "prefixes": 20,
    "shared": 2,
    "layers": 50,
    "store": 50,
    "selection": 200,
    "tokenising": 1,
    "packing": 4,
}


def line(**given: Any) -> dict[str, Any]:
    usual = {
        "name": "a",
        "setting": "b",
        "seconds": 1.0,
        "ratio": 1.2,
        "goal": 1.1,
        "unit": "ratio",
        "options": [],
    }
    where = {"machine": "a processor", "versions": "torch 2", "date": "2026-01-01", "commit": "abc"}
    return {**usual, "met": False, **where, **given}


def test_every_benchmark_is_run() -> None:
    files = {path.stem for path in Path(importlib.import_module("benchmarks").__path__[0]).glob("*.py")}
    assert {name for name, *_ in CALLS} == files - BESIDE


def test_the_names_are_in_the_help_and_in_the_message_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    check_name("quickstart")
    with pytest.raises(SystemExit, match=r"no benchmark 'scorings'. Benchmarks: early_exit, .*, scoring, "):
        check_name("scorings")
    with pytest.raises(SystemExit) as ended:
        check_name("--help")
    assert not ended.value.code
    assert "Benchmarks: early_exit," in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [(["--rows", "abc"], 2, "invalid int value: 'abc'"), (["--help"], 0, "--rows")],
)
def test_help_and_a_wrong_option_make_no_line(
    options: list[str], status: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run(["layers", *options])
    assert ended.value.code == status
    assert words in "".join(capfd.readouterr())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("kind", ["random", "folder"])
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_prints_one_line(
    name: str, kind: str, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    model = folder if kind == "folder" else "random:tiny"
    monkeypatch.setattr(sys, "argv", [name, "--rows", str(SMALL[name]), "--model", model])
    for constant, value in {"ROUNDS": 1, "ENCODED_ROWS": 20}.items():
        if hasattr(module, constant):
            monkeypatch.setattr(module, constant, value)
    module.main()
    (said,) = capsys.readouterr().out.splitlines()
    found = json.loads(said)
    assert found["name"] == name
    assert {"name", "setting", "seconds", "ratio", "goal", "met"} < set(found)
    assert found["seconds"] >= 0
    assert isinstance(found["met"], bool)


def test_a_goal_bounds_the_ratio_or_else_the_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    print_result("a", "b", seconds=3.0, goal=1.0, ratio=0.9)
    print_result("a", "b", seconds=3.0, goal=1.0)
    print_result("a", "b", seconds=3.0, goal=4.0, speed=1.23456)
    ratio, seconds, told = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert [one["met"] for one in (ratio, seconds, told)] == [True, False, True]
    assert [one["unit"] for one in (ratio, seconds)] == ["ratio", "s"]
    assert told["speed"] == 1.235


def test_a_line_is_met_where_all_its_goals_are(capsys: pytest.CaptureFixture[str]) -> None:
    above, below, free = Goal("x", 2.0, at_most=1.0), Goal("y", 2.0, at_least=2.0), Goal("z", 0.12345)
    print_result("a", "b", seconds=3.0, goal=4.0, goals=[below, free])
    print_result("a", "b", seconds=3.0, goal=4.0, goals=[above, below])
    met, missed = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert (met["met"], missed["met"]) == (True, False)
    assert met["goals"] == [{"name": "y", "measured": 2.0, "at_least": 2.0, "met": True}]
    assert met["z"] == 0.123
    assert missed["goals"][0] == {"name": "x", "measured": 2.0, "at_most": 1.0, "met": False}


def test_each_round_runs_every_way_in_an_order_of_its_own_and_the_first_is_not_counted() -> None:
    calls: list[str] = []
    ways = [partial(calls.append, name) for name in "abc"]
    taken = alternate(ways, rounds=8)
    assert [len(seconds.rounds) for seconds in taken] == [8, 8, 8]
    orders = ["".join(calls[at : at + 3]) for at in range(0, len(calls), 3)]
    assert orders[0] == "abc"
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(orders) == 9
    assert len(set(orders)) > 3
    calls.clear()
    alternate(ways, rounds=1, warm=True)
    assert len(calls) == 3


def test_a_way_s_seconds_are_its_own_whatever_the_order() -> None:
    slow, quick = alternate([partial(sleep, 0.02), partial(sleep, 0.0)], rounds=6, warm=True)
    assert slow.rounds.min() > quick.rounds.max()


def test_no_round_begins_after_the_most_seconds() -> None:
    calls: list[str] = []
    ways = [lambda: calls.append("a"), lambda: calls.append("b")]
    (first, _) = alternate(ways, rounds=5, warm=True, most_seconds=1e-9)
    assert sorted(calls) == ["a", "b"]
    assert len(first.rounds) == 1


def test_shares_of_the_published_way_sum_to_one() -> None:
    found = shares([10.0, 7.0, 6.0, 2.0])
    assert found == {"share_of_head": 0.375, "share_of_copies": 0.125, "share_of_padding": 0.5}


def test_rows_and_texts_have_the_lengths_of_alpaca() -> None:
    lengths = rows(3000, vocabulary=100, batch_tokens=512).lengths
    assert np.median(lengths) == pytest.approx(LENGTH_DECILES[5], rel=0.1)
    assert lengths.mean() == pytest.approx(MEAN_LENGTH, rel=0.05)
    assert (lengths.min() >= LENGTH_DECILES[0]) & (lengths.max() <= LENGTH_DECILES[-1])
    assert texts(20).fingerprint == texts(20).fingerprint
    assert len({example.turns for example in texts(20).examples}) == 20


def test_few_rows_are_padded_as_little_as_a_large_pool() -> None:
    for batch_tokens in (512, 8192):
        lengths = rows(16, vocabulary=100, batch_tokens=batch_tokens).lengths
        assert padded_share(lengths, plan(lengths, batch_tokens)) < 0.03


def test_a_ratio_is_that_of_the_rounds_whatever_the_machine_does_between_them() -> None:
    floor, way = Seconds.of([1.0, 1.0, 4.0, 4.0, 9.0]), Seconds.of([1.1, 1.1, 4.4, 4.4, 9.9])
    assert way.over(floor) == pytest.approx(1.1)
    assert way.interval(floor) == (1.1, 1.1)
    assert float(way) == 4.4


def test_a_kept_store_serves_a_scorer_and_its_model_cannot_be_opened(tmp_path: Path) -> None:
    extractor, signals = scored(tmp_path, pool(7), target(), "random:tiny")
    table = Nait().score(pool(7), [target()], extractor)
    assert table.values.shape == (7, 1)
    assert np.ptp(table.values) > 0
    with pytest.raises(AssertionError, match="was opened"):
        Nait(site="mlp").score(pool(7), [target()], extractor)
    assert TEMPLATE.digest
    assert len(signals) == 1
    assert Closed().fingerprint == "closed"


def test_a_model_in_a_folder_reads_by_its_own_tokenizer(folder: str) -> None:
    given, usual = Given(folder, "cpu", "float32"), Given("random:tiny", "cpu", "float32")
    assert len(given.load_tokenizer()) <= given.load_network().config.vocab_size
    assert len(usual.load_tokenizer()) > len(given.load_tokenizer())
    assert shape(folder) == (given.load_network().config.num_hidden_layers, HIDDEN)


def test_the_kept_page_shows_the_kept_lines_and_explains_each_missed_goal() -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert RESULTS.read_text(encoding="utf-8") == document(kept)
    assert {kept_line["name"] for kept_line in kept if not kept_line["met"]} <= set(REASONS)


def test_a_bound_is_shown_with_three_decimals() -> None:
    bound = {"name": "speedup", "measured": 1.2, "at_least": 5 / 3, "met": False}
    page = document([line(goal=1 / 1.7, goals=[bound])])
    assert "`a`: 1.2, goal ≤ 0.588; speedup 1.2, goal ≥ 1.667" in page


def test_a_missed_goal_is_shown_with_its_reason() -> None:
    missed, met = (document([line(name="memory", met=met)]) for met in (False, True))
    assert "Why: A pass keeps only the rows' texts" in missed
    assert "Why:" not in met


def test_the_page_lists_first_what_falls_short() -> None:
    lines = [line(), line(name="c", ratio=None, goal=2.0, unit="s", met=True, extra=7)]
    failed = {"name": "d", "setting": "", "met": False, "error": "no disk", "options": ["--rows", "7"]}
    page = document([*lines, {**failed, **circumstances()}])
    short, everything = page.split("## a processor")
    assert "`a`: 1.2, goal ≤ 1.1" in short
    assert "`d` --rows 7 failed: no disk" in short
    assert "`c`" not in short
    assert "| c" in everything
    assert "≤ 2.0 s" in everything
    assert '{"extra": 7}' in everything
    assert "None." in document([lines[1]])


def test_every_goal_of_a_line_has_a_row_and_only_those_missed_fall_short() -> None:
    missed = {"name": "mlp_ratio", "measured": 1.2, "at_most": 1.08, "met": False}
    reached = {"name": "published_ratio", "measured": 5.0, "at_least": 4.0, "met": True}
    short, everything = document([line(ratio=1.0, goals=[missed, reached])]).split("## a processor")
    assert "`a`: mlp_ratio 1.2, goal ≤ 1.08" in short
    assert "published_ratio" not in short
    rows = [[cell.strip() for cell in row.split("|")] for row in everything.splitlines()]
    assert [(row[1], row[4], row[5], row[6]) for row in rows if row[1:2] and row[1].startswith("a")] == [
        ("a", "1", "≤ 1.1", "yes"),
        ("a mlp_ratio", "1.2", "≤ 1.08", "no"),
        ("a published_ratio", "5", "≥ 4.0", "yes"),
    ]


def test_each_machine_has_its_table_and_an_empty_one_says_that_no_gpu_was_measured() -> None:
    here = line(met=True)
    assert "Not measured yet" in document([here])
    on_gpu = line(met=True, machine="a GPU", options=["--device", "cuda"])
    page = document([here, on_gpu])
    assert "Not measured" not in page
    assert page.index("## a processor") < page.index("## On a GPU") < page.index("### a GPU")


def test_a_line_takes_the_place_of_its_predecessor_alone() -> None:
    older = [line(), line(options=["--rows", "7"]), line(machine="another")]
    newer = line(ratio=0.5)
    assert keep(older, newer) == [newer, *older[1:]]
    assert keep(older[1:], newer) == [*older[1:], newer]


def test_operations_are_two_a_weight_and_token_and_those_of_attention(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, table = (
        load("random:tiny", device="cpu", dtype="float32"),
        rows(3, vocabulary=100, batch_tokens=512),
    )
    attention, mlp = 4 * 64 * 64, 3 * 64 * 128
    lengths = table.lengths.astype(float)
    expected = 2 * 2 * (attention + mlp) * lengths.sum() + 2 * (lengths**2).sum() * 64 * 2
    assert operations(network, table) == pytest.approx(expected)
    monkeypatch.setattr("benchmarks.peaks.SIDES", {"cpu": 256})
    assert peak("cpu", "float32") > 1e8
