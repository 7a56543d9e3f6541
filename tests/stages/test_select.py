"""Laws of select and train: what is left out is counted, what is done is kept, the same rows train once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from nait.baselines.controls.length import Length
from nait.baselines.controls.random import Random
from nait.baselines.controls.references import Full
from nait.baselines.perplexity import Perplexity
from nait.baselines.rds import Rds
from nait.core.contracts import Budget, Extractor, Order, Scorer
from nait.core.dataset.examples import Example, Pool, Target, Turn, fingerprint, gather
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError, DataError, NaitError
from nait.core.ranking.budgets import Count, Ratio, Tokens
from nait.core.ranking.orders import BestRank, Highest, Lowest, RoundRobin, Shuffled
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.neurons.pool_mean import able_rows, sample
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.artifacts.score_files import (
    LAYERS,
    example_places,
    read_layers,
    read_scores,
    read_selection,
    write_selected_rows,
)
from nait.stages.checks.cut_texts import tokens_text
from nait.stages.select import Selector, describe, select, with_answers
from nait.stages.train import train
from nait.store import Artifact, Store
from tests.families import pool, save, target

MAX_LENGTH = 96
TEMPLATE = TextTemplate(prompt="Q: {user}\nA: ")
OTHER = TextTemplate(prompt="{user} = ")
EMPTY, BEYOND = "empty answer", "answer beyond max_length"
Choice = tuple[Selection, Artifact, Artifact]


@dataclass
class Fixed:
    """A scorer of given columns that counts how often it is asked."""

    columns: Mapping[str, Callable[[int], float]]
    calls: list[int] = field(default_factory=list)
    exhaustive: bool = False

    def score(self, rows: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        self.calls.append(len(rows))
        values = [[rate(i) for rate in self.columns.values()] for i in range(len(rows))]
        return ScoreTable(
            rows.ids, tuple(self.columns), np.array(values, dtype=np.float64), "1", "a test",
            exhaustive=self.exhaustive,
        )  # fmt: skip


def fixed(*rates: Callable[[int], float]) -> Fixed:
    return Fixed(dict(zip("abc", rates, strict=False)))


def scattered(i: int) -> float:
    """A score that follows nothing."""
    return float((i * 7) % 31)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(str(save(tmp_path_factory.mktemp("model"))), device="cpu", max_length=MAX_LENGTH)


@pytest.fixture
def x(model: LocalModel, tmp_path: Path) -> StoredExtractor:
    return StoredExtractor(model, Store(tmp_path), TEMPLATE, engine=Engine(progress=False))


def choose(
    scorer: Scorer,
    x: StoredExtractor,
    rows: Pool,
    *,
    order: Order | None = None,
    budget: Budget | None = None,
    targets: Sequence[Target] = (),
) -> Choice:
    """`select`, with a config made of the parts themselves."""
    order, budget = order or Highest(), budget or Ratio(0.25)
    name = scorer if isinstance(scorer, (Random, Full, Nait)) else list(getattr(scorer, "columns", {}))
    config = {"selector": name, "order": [type(order).__name__, order], "budget": budget}
    return select(rows, targets, Selector(scorer, order, budget, config), x, x.store)


def flawed() -> Pool:
    """Twelve rows: two without an answer, one whose answer starts beyond the length limit."""
    answers = {2: "", 5: " \n"}
    asked = {8: "Q" * (2 * MAX_LENGTH)}
    return gather(
        "flawed",
        [
            Example(f"id{i:02d}", (Turn(asked.get(i, f"Do {i}"), answers.get(i, f"done {i}")),), row=i)
            for i in range(12)
        ],
    )


LEFT_OUT = {"id02": EMPTY, "id05": EMPTY, "id08": BEYOND}


def test_rows_without_an_answer_are_counted_and_never_ranked(x: StoredExtractor) -> None:
    selection, made, scores = choose(fixed(scattered), x, flawed(), budget=Count(9))
    assert set(selection.ids) == set(flawed().ids) - set(LEFT_OUT)
    assert scores.manifest["ineligible"] == {BEYOND: 1, EMPTY: 2}
    table, answer_tokens = read_scores(scores)
    assert table.reasons == LEFT_OUT
    assert {key for key, ok in zip(table.ids, table.eligible, strict=True) if not ok} == set(LEFT_OUT)
    assert np.isnan(table.values[[2, 5, 8]]).all()
    assert answer_tokens[8] == 0
    assert describe(table) == f"9 of 12 rows eligible (1 {BEYOND}, 2 {EMPTY})"
    file = parquet.read_table(made.path / "scores.parquet").to_pylist()
    assert [row["rank"] for row in file if row["id"] in LEFT_OUT] == [None, None, None]
    assert {row["id"]: row["reason"] for row in file if row["reason"]} == LEFT_OUT


def broken(clean: Target) -> Target:
    """The same reference set with one empty answer and one that is cut off."""
    more = [
        Example("z1", (Turn("Say nothing.", " "),)),
        Example("z2", (Turn("Long " * 100, "cut off"),)),
        Example("z3", (Turn("Say this.", "context", trained=False),)),
    ]
    rows = (*clean.examples, *more)
    return Target(clean.name, rows, fingerprint(rows))


def test_reference_rows_without_an_answer_never_steer_and_are_counted(x: StoredExtractor) -> None:
    rows, clean = pool(16), target(8)
    flawed_target = broken(clean)
    (kept,) = with_answers([flawed_target], x)
    assert kept.examples == clean.examples
    assert kept.fingerprint == clean.fingerprint
    assert kept.skipped == {EMPTY: 2, BEYOND: 1}
    selection, made, scores = choose(Nait(), x, rows, targets=[clean])
    again, made_again, scores_again = choose(Nait(), x, rows, targets=[flawed_target])
    assert (made.address, scores.address) == (made_again.address, scores_again.address)
    assert again.ids == selection.ids


def test_a_reference_set_without_any_answer_is_refused(x: StoredExtractor) -> None:
    rows = tuple(Example(key, (Turn(key, ""),)) for key in "ab")
    with pytest.raises(DataError, match=r"target 't': none of its 2 rows has an answer within 96 tokens"):
        with_answers([Target("t", rows, fingerprint(rows))], x)


def test_a_pools_mean_is_of_rows_that_can_be_selected(x: StoredExtractor) -> None:
    rows = pool(8)
    more = gather("p", [*rows.examples, *flawed().examples[:3], flawed().examples[8]])
    able = [*rows.examples, *flawed().examples[:2]]
    assert sample(more, able_rows(more, x), 4096, 0).fingerprint == gather("p", able).fingerprint
    assert sample(rows, able_rows(rows, x), 4096, 0) is rows


def test_many_excluded_rows_are_a_warning(x: StoredExtractor) -> None:
    _, _, scores = choose(fixed(scattered), x, flawed(), budget=Count(1))
    assert "a: 25% of the rows have no score." in scores.manifest["warnings"]


def test_a_budget_beyond_the_eligible_rows_is_an_error_unless_allowed(x: StoredExtractor) -> None:
    with pytest.raises(ConfigError, match="asks for 12 rows, only 9 are eligible"):
        choose(fixed(scattered), x, flawed(), budget=Ratio(1.0))
    assert len(choose(fixed(scattered), x, flawed(), budget=Ratio(1.0, allow_fewer=True))[0]) == 9


@pytest.mark.parametrize("budget", [Count(1), Count(1000), Ratio(1.0), Tokens(3)], ids=str)
def test_an_exhaustive_table_takes_every_eligible_row_whatever_the_budget(
    budget: Budget, x: StoredExtractor
) -> None:
    selection, _, scores = choose(Full(), x, flawed(), budget=budget)
    assert set(selection.ids) == set(flawed().ids) - set(LEFT_OUT)
    assert scores.manifest["exhaustive"]
    assert scores.manifest["length_correlation"] == {"any": None}


def test_no_eligible_row_is_an_error(x: StoredExtractor) -> None:
    rows = gather("none", [Example(f"id{i}", (Turn("Do", ""),), row=i) for i in range(3)])
    with pytest.raises(NaitError, match=r"no row is eligible \(3 empty answer\)"):
        choose(fixed(scattered), x, rows, budget=Count(1))


def test_a_constant_column_stops_the_run_and_leaves_nothing(x: StoredExtractor) -> None:
    with pytest.raises(NaitError, match="score column 'b': every row has the same score"):
        choose(fixed(scattered, lambda _: 3.0), x, pool(), order=RoundRobin())
    assert x.store.artifacts("scores") == []
    assert x.store.artifacts("selections") == []


def test_a_column_that_differs_only_in_ineligible_rows_is_constant(x: StoredExtractor) -> None:
    with pytest.raises(NaitError, match="every row has the same score"):
        choose(fixed(lambda i: float(i in (2, 5, 8))), x, flawed())


def test_a_score_that_correlates_with_length_is_a_warning(x: StoredExtractor) -> None:
    lengths = x.lengths(pool())
    _, _, scores = choose(fixed(lambda i: -float(lengths[i])), x, pool())
    assert scores.manifest["length_correlation"] == {"a": -1.0}
    assert any("a: the score follows length (Spearman rho -1.00" in w for w in scores.manifest["warnings"])
    _, _, scores = choose(Random(0), x, pool())
    assert abs(scores.manifest["length_correlation"]["any"]) < 0.5
    assert scores.manifest["warnings"] == []


def test_the_files_agree_with_the_selection(x: StoredExtractor) -> None:
    selection, made, scores = choose(
        fixed(scattered, lambda i: -(scattered(i) ** 2)), x, flawed(), order=RoundRobin(), budget=Count(4)
    )
    file = parquet.read_table(made.path / "scores.parquet")
    assert file.column_names == ["id", "score:a", "score:b", "rank", "selected", "answer_tokens", "reason"]
    rows = file.to_pylist()
    assert [row["id"] for row in rows] == list(flawed().ids)
    chosen = sorted((row for row in rows if row["selected"]), key=lambda row: row["rank"])
    assert tuple(row["id"] for row in chosen) == selection.ids
    assert [row["rank"] for row in chosen] == [1, 2, 3, 4]
    assert sum(row["answer_tokens"] for row in chosen) == selection.answer_tokens
    assert [flawed().ids[row] for row in selection.rows] == list(selection.ids)
    ranks = sorted(row["rank"] for row in rows if row["rank"])
    assert ranks == list(range(1, 10))  # every eligible row has its place, chosen or not
    eligible = [i for i, row in enumerate(rows) if not row["reason"]]
    assert [rows[i]["score:a"] for i in eligible] == [scattered(i) for i in eligible]
    assert made.manifest["rows"] == 4
    assert made.manifest["answer_tokens"] == selection.answer_tokens
    assert made.manifest["digest"] == selection.digest
    assert read_selection(made, flawed()) == selection
    assert parquet.read_table(scores.path / "scores.parquet").column_names == [
        "id", "score:a", "score:b", "reason", "answer_tokens"
    ]  # fmt: skip


def test_ties_break_by_id_in_the_files_too(x: StoredExtractor) -> None:
    selection, _, _ = choose(fixed(lambda i: float(i == 3)), x, pool(), budget=Count(3))
    assert selection.ids == ("id003", "id000", "id001")


@dataclass(frozen=True)
class Lines:
    """A source of rows that have text of their own."""

    def lines(self, rows: Sequence[int]) -> Any:
        return iter([f'{{"mine": {row}}}' for row in rows])


def test_the_users_own_rows_come_back_in_rank_order(x: StoredExtractor, tmp_path: Path) -> None:
    examples = [Example(f"id{9 - i}", (Turn(f"Do {i}", f"done {i}"),), row=i) for i in range(10)]
    rows = gather("own", examples, source=Lines())
    selection, _, _ = choose(fixed(scattered), x, rows, budget=Count(3))
    write_selected_rows(tmp_path / "selected.jsonl", rows, selection)
    wanted = [f'{{"mine": {9 - int(key[2:])}}}' for key in selection.ids]
    assert (tmp_path / "selected.jsonl").read_text().splitlines() == wanted


def test_a_selection_keeps_rows_of_the_top_the_middle_and_the_bottom(x: StoredExtractor) -> None:
    examples = [Example(f"id{i}", (Turn(f"Do {i}", f"done {i}"),), row=i) for i in range(10)]
    _, made, _ = choose(
        fixed(lambda i: float(i)), x, gather("own", examples, source=Lines()), budget=Count(2)
    )
    lines = [json.loads(line) for line in (made.path / "examples.jsonl").read_text().splitlines()]
    assert [(one["place"], one["rank"], one["row"]["mine"]) for one in lines] == [
        ("top", 1, 9), ("top", 2, 8), ("top", 3, 7),
        ("middle", 4, 6), ("middle", 5, 5), ("middle", 6, 4),
        ("bottom", 8, 2), ("bottom", 9, 1), ("bottom", 10, 0),
    ]  # fmt: skip
    assert (made.path / "selected.jsonl").read_text().splitlines() == ['{"mine": 9}', '{"mine": 8}']


@pytest.mark.parametrize("rows", range(10))
def test_no_example_is_shown_twice(rows: int) -> None:
    places = example_places(rows)
    assert list(places) == sorted(places)
    assert set(places) <= set(range(rows))
    assert len(places) == rows
    assert rows == 0 or places[0] == "top"


def test_a_second_call_reads_the_store(x: StoredExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = fixed(scattered)
    first = choose(scorer, x, pool())
    monkeypatch.setattr(LocalModel, "load_tokenizer", lambda _: pytest.fail("the tokenizer was opened"))
    other = StoredExtractor(x.model, x.store, TEMPLATE)
    again = choose(scorer, other, pool())
    assert scorer.calls == [len(pool())]
    assert again[0] == first[0]
    assert [one.address for one in again[1:]] == [one.address for one in first[1:]]
    assert [one.fresh for one in (*first[1:], *again[1:])] == [True, True, False, False]


def test_a_killed_selection_is_made_again(x: StoredExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(Fixed):
        def score(self, *args: Any) -> ScoreTable:
            super().score(*args)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        choose(Killed({"a": scattered}), x, pool())
    assert x.store.artifacts("scores") == []
    made = choose(fixed(scattered), x, pool())
    other = StoredExtractor(x.model, Store(x.store.root / "other"), TEMPLATE)
    assert made[0] == choose(fixed(scattered), other, pool())[0]


def test_a_sweep_over_orders_and_budgets_scores_once(x: StoredExtractor) -> None:
    scorer = fixed(scattered)
    made = [
        choose(scorer, x, pool(), order=order, budget=budget)
        for order in (Highest(), Lowest())
        for budget in (Ratio(0.1), Ratio(0.5), Count(3))
    ]
    assert scorer.calls == [len(pool())]
    assert len({one[1].address for one in made}) == 6
    assert made[1][0].ids[: len(made[0][0])] == made[0][0].ids


def test_a_ratio_sweep_of_nait_opens_no_model(x: StoredExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    small = choose(Nait(), x, pool(), targets=[target()], budget=Ratio(0.1))[0]
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    other = StoredExtractor(x.model, x.store, TEMPLATE)
    large = choose(Nait(), other, pool(), targets=[target()], budget=Ratio(0.5))[0]
    assert large.ids[: len(small)] == small.ids
    choose(Nait(layers="last"), other, pool(), targets=[target()])


def test_what_each_layer_adds_is_kept_for_the_selected_rows(x: StoredExtractor) -> None:
    targets = [target(), target(7, name="b")]
    selection, made, scores = choose(
        Nait(), x, flawed(), targets=targets, order=RoundRobin(), budget=Count(4)
    )
    names = parquet.read_table(made.path / LAYERS).column_names
    assert names == ["id", "target", "layer_1", "layer_2", "layer_3"]
    table, _ = read_scores(scores)
    found = read_layers(made)
    assert [part.target for part in found] == ["target", "b"]
    for part in found:
        values = table.column(part.target)
        np.testing.assert_allclose(part.parts.sum(axis=1), values[list(selection.rows)])
        assert part.means.sum() == pytest.approx(np.nanmean(values))  # of the eligible rows alone


def test_a_scorer_without_layers_leaves_none(x: StoredExtractor) -> None:
    made = choose(Random(0), x, pool())[1]
    assert not (made.path / LAYERS).exists()
    assert read_layers(made) == []


@pytest.mark.parametrize("kind", ["signals", "passes"])
def test_signals_that_are_gone_are_not_measured_again_for_the_layers(
    kind: str, x: StoredExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(Nait(), x, pool(), targets=[target()], budget=Ratio(0.1))
    shutil.rmtree(x.store.root / kind)
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    other = StoredExtractor(x.model, x.store, TEMPLATE)
    selection, made, _ = choose(Nait(), other, pool(), targets=[target()], budget=Ratio(0.5))
    assert len(selection) == len(pool()) // 2
    assert read_layers(made) == []


def test_what_changes_a_score_changes_its_address(x: StoredExtractor) -> None:
    def addresses(rows: Pool, **options: Any) -> set[str]:
        return {choose(Nait(**options), x, rows, targets=[one])[2].address for one in (target(), target(7))}

    found = [addresses(pool()), addresses(pool(23)), addresses(pool(), layers="last")]
    assert len(set().union(*found)) == 6


def test_a_pass_from_the_store_costs_what_it_cost_at_first(x: StoredExtractor) -> None:
    """Seconds are told as if the store had been empty, so that a sweep's second method is not free."""
    choose(Nait(), x, pool(), targets=[target()])
    other = StoredExtractor(x.model, x.store, TEMPLATE)
    swept = choose(Nait(layers="last"), other, pool(), targets=[target()])[2]
    (over_pool,) = [one for one in x.store.artifacts("passes") if one.manifest["rows"] == len(pool())]
    assert 0 < over_pool.seconds <= swept.manifest["seconds_from_nothing"]


@pytest.mark.parametrize(
    "scorer", [Nait(direction="contrast", sign="none"), Perplexity(template=OTHER), Rds()]
)
def test_a_method_is_made_of_the_same_texts_whether_it_shares_its_passes(
    scorer: Scorer, model: LocalModel, tmp_path: Path
) -> None:
    """Its cost includes the tokens of its references and of every template, which the shared pass has read."""
    made = []
    for others in ([], [Nait(), Rds(), Perplexity(template=OTHER)]):
        store = Store(tmp_path / str(len(others)))
        own = StoredExtractor(model, store, TEMPLATE, engine=Engine(progress=False))
        selector = Selector(
            scorer, BestRank(), Ratio(0.25), {"selector": "", "order": "", "budget": ""}, lambda o=others: o
        )
        _, _, scores = select(pool(), [target()], selector, own, store)
        made.append({tuple(part[:2]) for part in scores.manifest["made_of"] if part[0] == "encodings"})
        cost = sum(store.find(*place).seconds for place in made[-1])  # type: ignore[union-attr]
        assert cost <= scores.manifest["seconds_from_nothing"]
    assert made[0] == made[1] != set()


@dataclass
class Counting:
    """A trainer that notes what it was given and writes one file."""

    rows: list[int] = field(default_factory=list)
    recipe: Mapping[str, Any] | None = field(default_factory=lambda: {"epochs": 1})

    def train(
        self, model: Any, rows: TokenTable, folder: Path, *, seed: int, tracker: Any
    ) -> Mapping[str, Any]:
        self.rows.append(len(rows))
        (folder / "adapter").write_text("weights")
        return {"loss": 0.5}


class Training:
    """Trains selections of one pool with one trainer."""

    def __init__(self, x: StoredExtractor, rows: Pool) -> None:
        self.x, self.rows, self.trainer = x, rows, Counting()

    def __call__(self, selection: Selection, seed: int = 0, **changes: Any) -> Artifact | None:
        tracker: Any = None
        options = {"model": self.x.model, "template": TEMPLATE, "trainer": self.trainer, **changes}
        return train(selection, self.rows, seed=seed, store=self.x.store, tracker=tracker, **options)


def test_two_methods_that_choose_the_same_rows_train_once(x: StoredExtractor) -> None:
    training = Training(x, flawed())
    full = choose(Full(), x, flawed(), budget=Count(1))[0]
    ranked = choose(fixed(scattered), x, flawed(), budget=Count(9))[0]
    assert ranked.ids != full.ids
    assert ranked.digest == full.digest
    first, second = training(full), training(ranked)
    assert first is not None
    assert second is not None
    assert first.address == second.address
    assert training.trainer.rows == [9]
    assert first.manifest["loss"] == 0.5
    assert first.manifest["rows"] == 9
    assert (second.path / "adapter").read_text() == "weights"


@pytest.mark.parametrize("change", ["rows", "seed", "recipe", "template", "max_length", "text"])
def test_what_changes_an_adapter_changes_its_address(
    change: str, x: StoredExtractor, model: LocalModel
) -> None:
    training = Training(x, pool())
    selection = choose(Random(0), x, pool(), budget=Count(4))[0]
    first = training(selection)
    other: dict[str, Any] = {}
    if change == "rows":
        selection = choose(Random(0), x, pool(), budget=Count(5))[0]
    elif change == "seed":
        other = {"seed": 1}
    elif change == "recipe":
        other = {"trainer": Counting(training.trainer.rows, {"epochs": 2})}
    elif change == "template":
        other = {"template": TextTemplate(prompt="{user}: ")}
    elif change == "max_length":
        other = {"model": LocalModel(model.path, device="cpu", max_length=64)}
    else:
        place = selection.rows[0]
        examples = list(pool().examples)
        examples[place] = Example(examples[place].id, (Turn("Do it", "otherwise"),), row=place)
        training.rows = gather("pool", examples)
    second = training(selection, **other)
    assert first is not None
    assert second is not None
    assert first.address != second.address
    assert len(training.trainer.rows) == 2


def test_rows_that_were_not_selected_do_not_matter(x: StoredExtractor) -> None:
    training = Training(x, pool(24))
    selection = choose(Random(0), x, pool(24), budget=Count(4))[0]
    first = training(selection)
    kept = [example for row, example in enumerate(pool(24).examples) if row in selection.rows]
    training.rows = gather("other", kept)
    places = tuple(training.rows.ids.index(key) for key in selection.ids)
    second = training(Selection(selection.ids, places, selection.answer_tokens))
    assert first is not None
    assert second is not None
    assert first.address == second.address


def test_a_killed_training_is_not_an_adapter(x: StoredExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(x, pool())
    selection = choose(Random(0), x, pool(), budget=Count(4))[0]

    class Killed(Counting):
        def train(self, *args: Any, **options: Any) -> Mapping[str, Any]:
            super().train(*args, **options)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training(selection, trainer=Killed())
    assert x.store.artifacts("adapters") == []
    assert training(selection) is not None
    assert len(x.store.artifacts("adapters")) == 1


def test_without_a_recipe_no_adapter_is_trained(x: StoredExtractor) -> None:
    training = Training(x, pool())
    training.trainer.recipe = None
    assert training(choose(Random(0), x, pool())[0]) is None
    assert training.trainer.rows == []


def test_a_scorer_cannot_reach_the_users_own_rows(x: StoredExtractor) -> None:
    class Labelled:
        def lines(self, rows: Sequence[int]) -> Any:
            return iter(['{"family": "math"}'] * len(rows))

    @dataclass
    class Nosy:
        seen: list[Pool] = field(default_factory=list)

        def score(self, rows: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
            self.seen.append(rows)
            return fixed(scattered).score(rows, targets, extractor)

    labelled, nosy = replace(pool(), source=Labelled()), Nosy()
    choose(nosy, x, labelled)
    assert nosy.seen[0].source is None
    assert nosy.seen[0].examples == labelled.examples


def test_only_a_merge_by_turns_of_several_columns_per_target_has_a_new_address(x: StoredExtractor) -> None:
    def key(*columns: str, order: Order) -> Mapping[str, Any]:
        scorer = Fixed(dict.fromkeys(columns, scattered))
        found: Mapping[str, Any] = choose(scorer, x, pool(), order=order, budget=Count(3))[1].manifest["key"]
        return found

    assert key("a/1", "a/2", "b/1", order=RoundRobin())["turns"] == "by target"
    for columns in (("a",), ("a", "b"), ("a/1", "a/2")):
        assert key(*columns, order=RoundRobin()).keys() == {
            "selection",
            "counts",
            "scores",
            "order",
            "budget",
        }
    assert "turns" not in key("a/1", "a/2", "b/1", order=BestRank())


def long_answers(rows: int, cut: int) -> Pool:
    """Rows of which the first `cut` are longer than the length limit."""
    answers = ["word " * MAX_LENGTH if i < cut else f"done {i}" for i in range(rows)]
    turns = [Turn(f"Do {i}", answer) for i, answer in enumerate(answers)]
    return gather("long", [Example(f"id{i:02d}", (turn,), row=i) for i, turn in enumerate(turns)])


def test_rows_that_a_method_reads_without_their_ends_are_counted(x: StoredExtractor) -> None:
    refs = target()
    cut = replace(refs.examples[0], id="z", turns=(Turn("Count", "1 " * MAX_LENGTH),))
    examples = (*refs.examples, cut)
    longer = replace(refs, examples=examples, fingerprint=fingerprint(examples))
    for count, loud in ((1, False), (4, True)):
        rows = long_answers(24, count)
        manifest = choose(Rds(reduce="max"), x, rows, targets=[longer])[2].manifest
        assert manifest["truncated"] == {"rows": count, "references": {"target": 1}}
        said = [text for text in manifest["warnings"] if "without their ends" in text]
        assert [text.split(" are longer")[0] for text in said] == [
            *([f"{count} of the 24 ranked rows"] if loud else []), "1 of the 7 reference rows of target"
        ]  # fmt: skip


def test_selected_rows_that_are_cut_are_counted_aloud_whatever_the_method(x: StoredExtractor) -> None:
    """Few of the ranked rows are cut, and most of the selected ones."""
    rows = long_answers(60, 2)
    said = f"2 of the 3 selected rows are longer than {MAX_LENGTH} tokens (max_length)"
    for scorer in (Length(), fixed(lambda i: -i)):
        chosen, made, scores = choose(scorer, x, rows, budget=Count(3))
        assert {"id00", "id01"} < set(chosen.ids)
        assert scores.manifest["truncated"]["rows"] == 0
        assert not [text for text in scores.manifest["warnings"] if "max_length" in text]
        assert made.manifest["truncated"] == 2
        assert [text[: len(said)] for text in made.manifest["warnings"]] == [said]
        assert tokens_text(made.manifest).endswith("answer tokens as read, 2 rows cut at max_length")
    whole = choose(Fixed({"last": float}), x, rows, budget=Count(3))[1]
    assert (whole.manifest["truncated"], whole.manifest["warnings"]) == (0, [])
    assert tokens_text(whole.manifest) == f"{whole.manifest['answer_tokens']} answer tokens"


def test_selected_rows_that_the_method_cuts_shorter_are_counted_by_its_limit(x: StoredExtractor) -> None:
    scorer = Perplexity(max_length=16)
    made = choose(scorer, x, long_answers(24, 1), budget=Count(12))[1]
    assert made.manifest["truncated"] <= 1
    own = [text for text in made.manifest["warnings"] if "longer than 16 tokens" in text]
    assert len(own) == 1
    drawn = choose(scorer, x, long_answers(24, 1), order=Shuffled(seed=0), budget=Count(12))[1]
    assert not [text for text in drawn.manifest["warnings"] if "longer than 16 tokens" in text]


def test_a_method_that_reads_no_text_counts_none_as_cut(x: StoredExtractor) -> None:
    manifest = choose(Random(), x, long_answers(24, 4))[2].manifest
    assert manifest["truncated"] == {"rows": 0, "references": {}}
    assert not manifest["warnings"]
