"""Laws of the answer that opens a report: the numbers of the tables in words, and a command for what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from nait.store import Store
from nait.sweeps.render.leaderboard_tables import difference
from nait.sweeps.reports.answer import NOTHING_EVALUATED, answer, answered
from nait.sweeps.reports.findings import Verdict, verdicts
from nait.sweeps.reports.full_report import Report
from nait.sweeps.reports.leaderboard import Measured, measured
from nait.sweeps.reports.next_runs import NO_COMMAND, seeds_needed
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import detectable_difference
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import put


def fill(
    store: Store, methods: Mapping[str, float], *, seeds: int = 3, targets: tuple[str, ...] = ("math",)
) -> None:
    """Runs of these methods, name -> share of right items, each with its recorded command."""
    for name, share in methods.items():
        for target in targets:
            for seed in range(seeds):
                command = f"nait selector={name} seed={seed} target={target} data.limit=9 hydra.mode=RUN"
                put(store, name, target=target, seed=seed, share=share, facts={"command": command})


def asked(store: Store) -> tuple[RunSet, Measured, list[Verdict]]:
    """The only table of a store, and its verdicts."""
    runs = RunSet.load(store, None)
    (one,) = measured(runs)
    return runs, one, verdicts(headlines(one), control="random", benchmarks={})


def headlines(one: Measured) -> list[Line]:
    return [line for line in one.lines if line.headline]


def sentences(store: Store) -> str:
    _, one, found = asked(store)
    return "\n".join(answer(headlines(one), found, control="random"))


def proposed(store: Store) -> dict[str, str]:
    """Reason -> command of each proposed run."""
    runs, one, _ = asked(store)
    _, table = answered(runs, one.rows, headlines(one), control="random", benchmarks={})
    return dict(table.body)


@pytest.fixture(scope="module")
def won(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("won") / "store")
    fill(store, {"random": 0.3, "nait": 0.9, "length": 0.32})
    put(store, "base", trained=False, share=0.1)
    return store


def test_the_answer_names_the_winner_with_the_difference_of_the_table(won: Store) -> None:
    _, one, _ = asked(won)
    (line,) = [x for x in one.lines if (x.selector, x.task) == ("nait", "nano_math")]
    assert line.difference
    text = sentences(won)
    assert (
        f"nait beats random on nano_math by {difference(line.difference)} ({line.value:.3f} against" in text
    )
    assert "3 seeds, 60 items" in text
    assert "1 of 2 methods beat random." in text
    assert "For reference: base (not trained) 0." in text


def test_open_questions_are_listed_with_the_smallest_detectable_difference(won: Store) -> None:
    _, _, (verdict,) = asked(won)
    text = sentences(won)
    assert "Not established on nano_math after Holm's correction: length " in text
    assert verdict.detectable is not None
    assert f"find a true difference of {verdict.detectable:.3f} with power 0.8" in text


def test_the_answer_says_what_the_winner_and_the_control_cost(won: Store) -> None:
    text = sentences(won)
    assert (
        "Cost of one run of nait: 5.0 s of selection, 2.0 s of training, 3.0 s of evaluation for 20 rows."
        in text
    )
    assert "Cost of one run of random: 7.0 s of selection" in text


def test_after_a_win_the_whole_pool_comes_next(won: Store) -> None:
    assert proposed(won) == {
        "Compare nait with training on the whole pool.": (
            "nait -m target=math data.limit=9 selector=full seed=0,1,2"
        )
    }


def test_without_a_winner_the_answer_gives_the_closest_method_and_the_power(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.5, "nait": 0.52, "length": 0.45})
    text = sentences(store)
    assert "None of 2 methods beats random on nano_math. nait is closest:" in text
    assert "with power 0.8, so smaller ones can be missed." in text
    assert " beat random." not in text


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.52, 0.51), "None of 2 lines (1 method) beats random on nano_math. nait, "),
        ((0.95, 0.51), "1 of 2 lines (1 method) beat random."),
    ],
)
def test_one_method_at_two_budgets_is_two_lines_of_one_method(
    shares: tuple[float, float], said: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for budget, share in zip(("10%", "30%"), shares, strict=True):
        for seed in range(3):
            put(store, "random", seed=seed, share=0.5, budget=budget)
            put(store, "nait", seed=seed, share=share, budget=budget)
    assert said in sentences(store)


def test_a_method_that_is_worse_is_called_worse(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.9, "nait": 0.3, "length": 0.91})
    text = sentences(store)
    assert "Worse than random on nano_math: nait -0." in text
    assert "nait beats" not in text


def test_a_method_of_fewer_seeds_is_marked_beside_tested_ones(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.3, "length": 0.32})
    put(store, "nait", seed=1, share=0.9)
    text = sentences(store)
    assert "None of 2 methods beats random on nano_math. nait is closest: +0." in text
    assert "] items only (0." in text
    assert " over all seeds; 1 shared seed, 60 items)" in text


def test_one_seed_establishes_nothing_and_more_seeds_of_both_come_next(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.3, "nait": 0.9}, seeds=1)
    text = sentences(store)
    assert "Nothing is established on nano_math: with one seed, intervals are over items only" in text
    assert "beats" not in text
    ((why, command),) = proposed(store).items()
    assert why == "nano_math: 3 seeds of nait and random, so that the difference can be tested."
    assert command == "nait -m target=math data.limit=9 selector=nait,random seed=1,2"


def test_the_proposed_number_of_seeds_is_the_least_that_detects_the_gain(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.4, "nait": 0.62}, seeds=2)
    _, _, (verdict,) = asked(store)
    gain = verdict.found[0].difference.value
    assert not verdict.wins
    wanted = seeds_needed(verdict)
    assert wanted is not None
    detected = {k: detectable_difference(verdict.column, k) or 1.0 for k in (wanted - 1, wanted)}
    assert detected[wanted] <= gain < detected[wanted - 1]
    assert f"seed={','.join(map(str, range(2, wanted)))}" in next(iter(proposed(store).values()))


@pytest.mark.parametrize(("seeds", "run"), [(1, "1,2"), (2, "2,3")])
def test_the_proposed_seeds_are_those_that_the_control_lacks_too(
    seeds: int, run: str, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.4}, seeds=seeds)
    fill(store, {"nait": 0.62})
    ((why, command),) = proposed(store).items()
    assert f"{seeds + 2 if seeds > 1 else 3} seeds of nait and random" in why
    assert command.endswith(f"selector=nait,random seed={run}")


def test_more_seeds_find_smaller_differences_and_the_measured_number_is_the_tables(won: Store) -> None:
    _, _, (verdict,) = asked(won)
    found = [detectable_difference(verdict.column, seeds) or 0.0 for seeds in (2, 3, 5, 10)]
    assert found == sorted(found, reverse=True)
    assert found[1] == verdict.detectable


def test_each_target_is_judged_by_its_own_benchmark(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"random": 0.3, "nait": 0.9}, targets=("math", "code"))
    _, _, found = asked(store)
    assert [one.task for one in found] == ["nano_code", "nano_math"]
    assert [[x.line.target for x in one.found] for one in found] == [["code"], ["math"]]
    text = sentences(store)
    assert "nait, code beats random on nano_code by" in text
    assert "nait, math beats random on nano_math by" in text


def test_without_a_control_the_answer_asks_for_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    fill(store, {"nait": 0.9})
    assert sentences(store) == "No random control is in this table: also run selector=random."
    ((why, command),) = proposed(store).items()
    assert why == "Add the random control, without which no gain can be stated."
    assert command == "nait -m target=math data.limit=9 selector=random seed=0,1,2"


def test_a_missing_control_is_asked_for_at_every_budget(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for percent in (10, 30):
        command = f"nait selector=nait seed=0 budget.ratio=0.{percent // 10}"
        put(store, "nait", budget=f"{percent}%", rows=percent, facts={"command": command})
    (command,) = proposed(store).values()
    assert sorted(command.split(" && ")) == [
        "nait -m budget.ratio=0.1 selector=random seed=0",
        "nait -m budget.ratio=0.3 selector=random seed=0",
    ]


@pytest.mark.parametrize("lacking", ["nait", "random", "both"])
def test_a_proposal_whose_command_is_not_recorded_is_a_sentence_without_a_part_of_it(
    lacking: str, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    for name, share in (("nait", 0.9), ("random", 0.3)):
        facts = {} if lacking in (name, "both") else {"command": f"nait selector={name} seed=0"}
        put(store, name, share=share, facts=facts)
    runs, one, _ = asked(store)
    said, table = answered(runs, one.rows, headlines(one), control="random", benchmarks={})
    assert table.body == ()
    assert said.lines[-1] == (
        "What to run next: nano_math: 3 seeds of nait and random, so that the difference can be tested. "
        f"{NO_COMMAND}"
    )
    Report().report(store, None, tmp_path)
    assert "<code></code>" not in (tmp_path / "report.html").read_text()
    assert "``" not in (tmp_path / "report.md").read_text()


def test_selections_alone_answer_nothing_and_training_comes_next(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", evaluated=False, facts={"command": "nait selector=nait stages=[select]"})
    assert sentences(store) == NOTHING_EVALUATED
    (command,) = proposed(store).values()
    assert command.startswith("nait -m selector=nait seed=0,1,2 'stages=[select,train,evaluate,report]'")


def test_every_form_of_the_report_opens_with_the_answer(won: Store, tmp_path: Path) -> None:
    Report().report(won, None, tmp_path)
    for name, heading in (("report.html", ">The answer</h2>"), ("report.md", "## The answer\n")):
        text = (tmp_path / name).read_text()
        opening = text[text.index(heading) :]
        assert opening.index("nait beats random on nano_math by") < opening.index("Leaderboard")
