"""Laws of plans: they say what the store has and what the rest takes, and leave nothing behind but their words."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nait.baselines.controls.length import Length
from nait.baselines.controls.references import Full
from nait.baselines.ifd import Ifd
from nait.baselines.perplexity import Perplexity
from nait.core.contracts import Evaluator, Extractor, Model, Scorer, Trainer
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import TokenTable
from nait.core.dataset.traits import Traits
from nait.core.errors import ConfigError, DataError
from nait.core.estimates.costs import Cost
from nait.core.estimates.plans import Phase, Plan, expected, known_seconds, per_unit, predicted_total, updates
from nait.core.ranking.budgets import Count, Ratio, Tokens
from nait.core.ranking.orders import Highest
from nait.core.ranking.score_table import ScoreTable
from nait.core.statistics.results import Evaluation
from nait.models.loading import LocalModel
from nait.models.prompts.templates import TextTemplate
from nait.neurons.scorer import Nait
from nait.planning.dry_run_doubles import OverlayStore, TimedModel
from nait.planning.inputs import Work
from nait.planning.plan_text import describe
from nait.planning.planner import make_plan, wraps
from nait.planning.subsample import draw
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.describe_pool import characterise
from nait.stages.evaluate import evaluate
from nait.stages.select import Selector, select
from nait.stages.train import train
from nait.store import Store
from nait.store.spared import spare
from tests.families import LAYERS, pool, save, target

TEMPLATE = TextTemplate(prompt="Q: {user}\nA: ")
ENGINE = Engine(progress=False)
ROWS = 60


@dataclass
class Stepping:
    """A trainer of three-step epochs that logs its steps."""

    rows: list[int] = field(default_factory=list)
    recipe: Mapping[str, Any] | None = field(default_factory=lambda: {"epochs": 2.0, "batch_size": 4})

    def train(
        self,
        model: Model,
        rows: TokenTable,
        folder: Path,
        *,
        seed: int,
        tracker: Any,
    ) -> Mapping[str, Any]:
        self.rows.append(len(rows))
        for step in range(6):
            tracker.log({"loss": 1.0}, phase="train", step=step)
        (folder / "adapter").write_text("weights")
        return {}


class Silent:
    """Hears nothing."""

    def log(self, *_: Any, **__: Any) -> None: ...


class Suite:
    """A suite that is never run twice."""

    runs = 0

    def check(self) -> None: ...

    def key(self) -> Mapping[str, Any]:
        return {"suite": "one"}

    def items(self) -> Mapping[str, Sequence[Any]]:
        raise AssertionError("the items may be slow to read")

    def evaluate(self, model: Model, adapter: Path | None, *, folder: Path) -> Evaluation:
        self.runs += 1
        return Evaluation((), (), (), (), {})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    return LocalModel(str(save(tmp_path_factory.mktemp("model"))), device="cpu", max_length=96)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def opened(store: Store, model: Model) -> StoredExtractor:
    return StoredExtractor(model, store, TEMPLATE, engine=ENGINE)


def work(model: Model, scorer: Scorer, *, rows: Pool | None = None, **changes: Any) -> Work:
    """A job of this method: no training and no evaluation unless they are given."""
    name = [type(scorer).__name__, str(scorer)]
    config = {"selector": name, "order": "highest", "budget": "a quarter"}
    return replace(
        Work(
            pool=rows or pool(ROWS), targets=[target()], selector=Selector(scorer, Highest(), Ratio(0.25), config),
            model=model, template=TEMPLATE, engine=ENGINE, extractor=opened, seed=0, cost=Cost(2, 10.0, "EUR"),
        ),
        **changes,
    )  # fmt: skip


def planned(job: Work, store: Store, tmp_path: Path) -> Plan:
    return make_plan(job, store, tmp_path / f"scratch{len(list(tmp_path.iterdir()))}")


def pass_seconds(plan: Mapping[str, Any]) -> float:
    """The part of the select phase that is spent in the pass over the pool; 0 without one."""
    return (
        min([plan["seconds"]["select"], *(one["seconds"] for one in plan["passes"])]) if plan["passes"] else 0
    )


def files(store: Store) -> set[str]:
    return {str(path.relative_to(store.root)) for path in store.root.rglob("*")}


def do(job: Work, store: Store, *, trainer: Trainer | None = None, suite: Evaluator | None = None) -> None:
    """The job itself."""
    extractor = opened(store, job.model)
    selection, _, _ = select(job.pool, job.targets, job.selector, extractor, store)
    adapter = None
    if trainer is not None:
        silent: Any = Silent()
        adapter = train(
            selection, job.pool, model=job.model, template=TEMPLATE, trainer=trainer, seed=0, store=store,
            tracker=silent,
        )  # fmt: skip
    if suite is not None:
        evaluate(job.model, adapter, evaluator=suite, store=store)


def test_the_plan_of_an_empty_store_lists_all_work_and_writes_no_artifact(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    suite, trainer = Suite(), Stepping()
    plan = planned(work(model, Nait(), trainer=trainer, evaluator=suite), store, tmp_path)
    assert [(p.name, p.stored) for p in plan.phases] == [
        ("select", False),
        ("train", None),
        ("evaluate", None),
    ]
    assert plan.seconds["select"]
    assert plan.seconds["select"] > plan.opening_seconds > 0
    assert plan.seconds["train"] is not None
    assert plan.seconds["evaluate"] is None
    assert plan.rows == ROWS
    assert plan.targets == {"target": 6}
    assert files(store) == set()
    assert suite.runs == 0
    assert trainer.rows == [15]  # some rows for a few steps, thrown away
    assert "without evaluate" in describe(plan)


def test_a_store_that_holds_everything_needs_no_second_and_opens_nothing(
    model: LocalModel, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, trainer = Suite(), Stepping()
    job = work(model, Nait(), trainer=trainer, evaluator=suite)
    do(job, store, trainer=trainer, suite=suite)
    before = files(store)
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    monkeypatch.setattr(LocalModel, "load_tokenizer", lambda _: pytest.fail("the tokenizer was opened"))
    plan = planned(job, store, tmp_path)
    assert plan.seconds == {"select": 0.0, "train": 0.0, "evaluate": 0.0}
    assert all(phase.stored for phase in plan.phases)
    assert plan.tokens == int(opened(store, model).tokens(job.pool).starts[-1])
    assert (plan.device_hours, plan.money) == (0.0, 0.0)
    assert files(store) == before
    assert (suite.runs, trainer.rows) == (1, [15])


def test_scores_of_stored_measurements_are_made_aside_and_name_the_adapter(
    model: LocalModel, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(work(model, Nait()), store)
    before = files(store)
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    plan = planned(work(model, Nait(layers="last")), store, tmp_path)
    (phase,) = plan.phases
    assert phase.stored is False
    assert phase.seconds is not None
    assert phase.seconds < 5
    assert "in the store" in phase.how
    assert files(store) == before


def test_the_predicted_time_of_an_evaluation_is_that_of_earlier_ones(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    suite = Suite()
    evaluate(model, None, evaluator=suite, store=store)
    (earlier,) = store.artifacts("evaluations")
    job = work(model, Full(), trainer=Stepping(), evaluator=suite)
    plan = planned(job, store, tmp_path)
    assert plan.seconds["evaluate"] == earlier.seconds
    assert suite.runs == 1


def test_a_plan_says_that_the_rows_of_a_budget_of_tokens_are_not_known(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    """The longest answers use up a budget of tokens with fewer rows than average ones."""
    job = work(model, Length(), trainer=Stepping())

    def notes(budget: Any) -> list[str]:
        found = planned(replace(job, selector=replace(job.selector, budget=budget)), store, tmp_path)
        return [note for note in found.notes if "depends on their lengths" in note]

    assert notes(Ratio(0.25)) == notes(Count(9)) == []
    (said,) = notes(Tokens(60))
    assert "How many rows this budget selects" in said
    do(replace(job, selector=replace(job.selector, budget=Tokens(60))), store)
    assert notes(Tokens(60)) == [], "the selection is in the store"


def test_tokens_expected_from_some_rows_are_the_pools(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    many = pool(900)
    plan = planned(work(model, Length(), rows=many), store, tmp_path)
    truth = int(opened(Store(tmp_path / "other"), model).lengths(many).sum())
    assert plan.tokens == pytest.approx(truth, rel=0.05)
    assert plan.padded_share is not None
    assert 0 <= plan.padded_share < 0.2


def test_a_plan_marks_tokens_that_are_estimated(model: LocalModel, store: Store, tmp_path: Path) -> None:
    job = work(model, Length(), rows=pool(900))
    expected_ones = planned(job, store, tmp_path)
    assert f"Tokens: about {expected_ones.tokens:,} in the pool" in describe(expected_ones)
    assert ", from 500 of its rows;" in describe(expected_ones)
    do(job, store)
    counted = planned(job, store, tmp_path)
    truth = int(opened(Store(tmp_path / "other"), model).lengths(job.pool).sum())
    assert f"Tokens: {truth:,} in the pool" in describe(counted)
    assert "of its rows;" not in describe(counted)


def test_passes_over_the_pool_are_counted_with_the_bytes_of_their_results(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    (one,) = planned(work(model, Nait()), store, tmp_path).passes
    assert one.signals == ("projections",)
    assert one.disk_bytes == pytest.approx(ROWS * (LAYERS + 1) * 4, abs=200)
    direct = TextTemplate(prompt="", unconditional=True)
    many = pool(1200)
    ifd = work(model, Ifd(TEMPLATE, direct), rows=many)
    assert [p.stored for p in planned(ifd, store, tmp_path).passes] == [False, False]
    do(work(model, Perplexity(), rows=many), store)  # the conditioned half of it
    half = planned(ifd, store, tmp_path).passes
    assert sorted(p.stored for p in half) == [False, True]


def test_a_method_that_needs_more_rows_gets_a_lower_bound_that_says_so(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    class Hungry:
        def score(self, rows: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
            if len(rows) < 1000:
                raise DataError("too few rows", where="data")
            return Full().score(rows, targets, extractor)

    plan = planned(work(model, Hungry(), rows=pool(1000)), store, tmp_path)
    assert plan.seconds["select"]
    assert "one plain pass" in plan.notes[0]
    assert all("lower bound" in note for note in plan.notes)


def test_a_plan_refuses_a_job_that_cannot_run(model: LocalModel, store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="NAIT needs a target"):
        planned(work(model, Nait(), targets=[]), store, tmp_path)
    with pytest.raises(ConfigError, match="layer"):
        planned(work(model, Nait(layers=[77])), store, tmp_path)
    job = work(model, Full())
    beyond = replace(work(model, Length()).selector, budget=Count(10 * ROWS))
    with pytest.raises(ConfigError, match="budget"):
        planned(replace(job, selector=beyond, trainer=Stepping()), store, tmp_path)


def test_money_is_that_of_the_known_seconds(model: LocalModel, store: Store, tmp_path: Path) -> None:
    plan = planned(work(model, Length()), store, tmp_path)
    assert plan.device_hours == pytest.approx(2 * known_seconds(plan.phases) / 3600)
    assert plan.money == pytest.approx(10 * plan.device_hours)
    assert "EUR" in describe(plan)


def test_a_larger_draw_holds_a_smaller_one() -> None:
    few, more = draw(pool(ROWS), 8), draw(pool(ROWS), 20)
    assert set(few.ids) < set(more.ids)
    assert list(more.ids) == sorted(more.ids)
    assert draw(pool(ROWS), ROWS) == pool(ROWS)


def test_seconds_a_unit_are_the_slope_between_two_sizes() -> None:
    assert per_unit((10, 3.0), (110, 5.0)) == pytest.approx(0.02)
    assert per_unit((10, 3.0), (110, 2.0)) == 0.0  # noise is not a negative cost
    assert per_unit((10, 3.0), (10, 4.0)) == 0.0


def test_tokens_follow_characters_and_rows_that_were_cut_do_not_bend_the_line() -> None:
    chars = np.arange(0, 400, 4)
    truth = np.minimum(12 + chars // 4, 64)
    drawn = np.arange(0, 100, 7)
    assert np.abs(expected(chars, drawn, truth[drawn], most=64) - truth).max() <= 1


@pytest.mark.parametrize(
    ("change", "count"),
    [({}, 96), ({"batch_size": 64}, 24), ({"max_steps": 7}, 7), ({"epochs": 0.5}, 16)],
)
def test_updates_are_those_of_the_recipe(change: Mapping[str, Any], count: int) -> None:
    recipe = {"epochs": 3.0, "batch_size": 16, "max_steps": None}
    assert updates({**recipe, **change}, 500) == count
    assert updates({"kind": "other"}, 500) is None


def test_a_sweep_makes_the_same_scores_once() -> None:
    phases = (
        Phase("select", False, 10.0, ""),
        Phase("train", None, 5.0, ""),
        Phase("evaluate", None, None, ""),
    )
    one = Plan(1, {}, None, None, phases, scores="a").record()
    assert predicted_total([one, one, {**one, "scores": "b"}]) == 10 + 10 + 3 * 5


@pytest.mark.parametrize(
    ("scorer", "shared"), [(Full(), True), (Length(), True), (Nait(layers="last"), False)]
)
def test_jobs_of_a_sweep_share_what_no_target_changes(
    scorer: Scorer, shared: bool, model: LocalModel, store: Store, tmp_path: Path
) -> None:
    def planned(place: str, name: str, **changes: Any) -> dict[str, Any]:
        targets = [replace(target(), name=name, fingerprint=f"of {name}")]
        given = {"targets": targets, "trainer": Stepping(), "evaluator": Suite(), **changes}
        return make_plan(work(model, scorer, **given), store, tmp_path / place).record()

    one, other, again = planned("a", "math"), planned("b", "code"), planned("c", "math", seed=1)
    assert (one["results"] == other["results"]) == shared
    assert one["results"]["train"] != again["results"]["train"]
    assert one["results"]["evaluate"] != again["results"]["evaluate"]
    both = sum(seconds or 0.0 for plan in (one, other) for seconds in plan["seconds"].values())
    both -= min(pass_seconds(plan) for plan in (one, other))  # both targets have one direction
    longest = [max(one["seconds"][name], other["seconds"][name]) for name in ("select", "train")]
    assert predicted_total([one, other]) == pytest.approx(sum(longest) if shared else both)


def test_the_untrained_model_is_evaluated_once_whatever_the_seeds() -> None:
    phases = (Phase("evaluate", False, 4.0, ""),)
    one = Plan(1, {}, None, None, phases, results={"evaluate": "e"}).record()
    assert predicted_total([one, one, {**one, "results": {"evaluate": "f"}}]) == 8


def test_jobs_with_other_templates_for_the_references_share_no_selection(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    def planned(prompt: str) -> Mapping[str, str]:
        def opened(store: Store, model: Model) -> StoredExtractor:
            other = TextTemplate(prompt=prompt)
            return StoredExtractor(model, store, TEMPLATE, reference_template=other, engine=ENGINE)

        job = work(model, Nait(layers="last"), extractor=opened, trainer=Stepping())
        return make_plan(job, store, tmp_path / prompt[:1]).results

    one, other = planned(TEMPLATE.prompt), planned("{user} = ")
    assert one["select"] != other["select"]
    assert one["train"] != other["train"]


def test_passes_that_are_extrapolated_do_not_contain_the_time_of_loading_a_model(
    store: Store, tmp_path: Path
) -> None:
    class Slow:
        def load_tokenizer(self) -> None:
            time.sleep(0.1)

    slow: Any = Slow()
    timed = TimedModel(slow)
    overlay = OverlayStore(tmp_path / "overlay", store, timed=timed)

    def write(part: Path) -> Mapping[str, Any]:
        timed.load_tokenizer()
        time.sleep(0.1)
        spare(5.0, None)
        return {}

    made = overlay.produce("passes", {"signals": []}, write)
    counted = overlay.seconds_without_loading(made)
    assert made.seconds - counted == pytest.approx(5.0 + timed.seconds)


def test_a_sweep_counts_a_pass_once_from_which_several_scores_are_computed(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    def planned(place: str, scorer: Scorer) -> Plan:
        return make_plan(work(model, scorer), store, tmp_path / place)

    one, other, alone = (
        planned("a", Nait(layers=[1])),
        planned("b", Nait(layers="last")),
        planned("c", Perplexity()),
    )
    (ours,), (theirs,) = one.passes, other.passes
    assert ours.address == theirs.address != alone.passes[0].address
    assert ours.seconds > 0
    total = one.seconds["select"] + other.seconds["select"]
    again = min(pass_seconds(plan.record()) for plan in (one, other))
    assert predicted_total([one.record(), other.record()]) == pytest.approx(total - again)
    both = one.seconds["select"] + alone.seconds["select"]
    assert predicted_total([one.record(), one.record(), alone.record()]) == pytest.approx(both)


def test_a_method_that_wraps_another_may_depend_on_the_target() -> None:
    assert not wraps({"_target_": "a.Length", "layers": [1, 2]})
    assert wraps({"_target_": "a.Matched", "other": {"_target_": "b.Nait"}})
    assert wraps({"_target_": "a.Merged", "others": [{"_target_": "b.Nait"}]})


def test_a_sweep_reads_a_pool_s_traits_once() -> None:
    one = Plan(1, {}, None, None, (Phase("traits", False, 7.0, ""),), pool="p").record()
    assert predicted_total([one, one, {**one, "pool": "q"}]) == 7 + 7


def test_traits_are_expected_from_the_texts_of_some_rows_until_the_store_has_them(
    model: LocalModel, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    monkeypatch.setattr(
        "nait.planning.timings.trait_timing.time", SimpleNamespace(monotonic=lambda: 3 + 1e-3 * sum(reads))
    )

    class Reader:
        def key(self) -> Mapping[str, Any]:
            return {"reader": 1}

        def read(self, rows: Pool) -> Traits:
            reads.append(len(rows))
            return Traits(rows.ids, labels={"topic": np.array(["a"] * len(rows))}, marks={}, sizes={})

    many = pool(2000)
    job = work(model, Full(), rows=many, describer=Reader(), given={"kind": ["b"] * len(many)})
    before = planned(job, store, tmp_path)
    assert before.seconds["traits"] == pytest.approx(2.0)
    assert sum(reads) < len(many)
    characterise(many, Reader(), store)
    assert planned(job, store, tmp_path).seconds["traits"], "they have no given labels"
    characterise(many, Reader(), store, given=job.given)
    assert planned(job, store, tmp_path).seconds["traits"] == 0.0


def test_the_jobs_of_a_sweep_time_an_evaluation_once(
    model: LocalModel, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[Any] = []

    def time_it(*given: Any, **_: Any) -> tuple[float, str]:
        timed.append(given)
        return 7.0, "timed"

    class Other(Suite):
        def key(self) -> Mapping[str, Any]:
            return {"suite": "timed once"}

    monkeypatch.setattr("nait.planning.planner.time_evaluation", time_it)
    for _ in range(2):
        job = work(model, Full(), trainer=Stepping(), evaluator=Other())
        assert planned(job, store, tmp_path).seconds["evaluate"] == 7.0
    assert len(timed) == 1


def test_an_evaluation_is_timed_with_an_adapter_if_one_will_be_trained(
    model: LocalModel, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Path | None] = []

    def time_it(*_: Any, adapter: Path | None, **__: Any) -> tuple[float, str]:
        given.append(adapter)
        return 7.0, "timed"

    class Other(Suite):
        def key(self) -> Mapping[str, Any]:
            return {"suite": "with an adapter"}

    class Adapting(Stepping):
        def save_untrained(self, model: Model, folder: Path) -> Path:
            return folder

    monkeypatch.setattr("nait.planning.planner.time_evaluation", time_it)
    evaluate(model, None, evaluator=Other(), store=store)  # the base model's, which is faster
    for trainer in (Adapting(), Stepping()):
        job = work(model, Full(), trainer=trainer, evaluator=Other())
        assert planned(job, store, tmp_path).seconds["evaluate"] == 7.0
    assert [adapter is not None for adapter in given] == [True, False]


LORA: Mapping[str, Any] = {
    "kind": "fine_tune", "epochs": 2.0, "batch_size": 4,
    "lora": {"r": 4, "alpha": 8.0, "dropout": 0.0, "target_modules": "all-linear"},
}  # fmt: skip
WHOLE: Mapping[str, Any] = {**LORA, "lora": None}
WIDER: Mapping[str, Any] = {**LORA, "lora": {**LORA["lora"], "r": 8}}
RETUNED: Mapping[str, Any] = {**LORA, "epochs": 3.0, "lora": {**LORA["lora"], "alpha": 4.0, "dropout": 0.1}}


@pytest.mark.parametrize(
    ("recipe", "alike"),
    [(LORA, "lora"), (RETUNED, "lora"), (WHOLE, "whole"), (None, "base"), (WIDER, ""), ({"kind": "mine"}, "")],
)  # fmt: skip
def test_an_evaluation_is_predicted_by_those_after_the_same_kind_of_training(
    recipe: Mapping[str, Any] | None, alike: str, model: LocalModel, store: Store, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The time of an evaluation depends on the adapter's rank."""

    class Kinds(Suite):
        def key(self) -> Mapping[str, Any]:
            return {"suite": f"after {recipe}"}

    monkeypatch.setattr("nait.planning.planner.time_evaluation", lambda *_, **__: (7.0, "timed"))
    suite, seconds = Kinds(), {}
    for name, earlier in (("lora", LORA), ("whole", WHOLE), ("base", None)):
        trainer = Stepping(recipe=earlier)
        do(work(model, Full()), store, trainer=trainer if earlier else None, suite=suite)
        (made,) = (one for one in store.artifacts("evaluations") if one.address not in seconds.values())
        seconds[name] = made.address
    taken = {name: store.find("evaluations", address) for name, address in seconds.items()}
    job = work(model, Full(), rows=pool(ROWS - 1), trainer=Stepping(recipe=recipe), evaluator=suite, seed=1)
    phase = planned(job, store, tmp_path).phases[-1]
    if recipe is None:
        assert phase.stored
    elif found := taken.get(alike):
        assert (phase.seconds, phase.how) == (found.seconds, "median of 1 earlier evaluation(s)")
    else:
        assert (phase.seconds, phase.how) == (7.0, "timed")


def test_a_prediction_from_another_kind_of_training_says_so(
    model: LocalModel, store: Store, tmp_path: Path
) -> None:
    suite = Suite()
    do(work(model, Full()), store, trainer=Stepping(recipe=LORA), suite=suite)
    job = work(model, Full(), trainer=Stepping(recipe=WHOLE), evaluator=suite)
    phase = planned(job, store, tmp_path).phases[-1]
    assert phase.how == "median of 1 earlier evaluation(s) of lora adapters (rank 4, on all-linear)"
