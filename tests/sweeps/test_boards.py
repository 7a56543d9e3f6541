"""Laws of the tables: what is not alike is never averaged, compared or called by one name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nait.core.errors import StoreError
from nait.core.statistics.results import Row
from nait.stages.report import record_run
from nait.store import Artifact, Store, read_json
from nait.sweeps.analyses.cost_table import Costs
from nait.sweeps.grouping.collect import Sheet, collect, outcomes, sheets
from nait.sweeps.grouping.names import MOST, fit, legend, target_labels
from nait.sweeps.plots.curves import panels
from nait.sweeps.plots.forest import forest, forest_plot
from nait.sweeps.render.report_document import Notes
from nait.sweeps.reports.full_report import Report
from nait.sweeps.reports.leaderboard import Leaderboard, measured
from nait.sweeps.reports.sections import compared
from nait.sweeps.stats.aggregates import Line, summarise
from nait.sweeps.stats.contrasts import by_seed, controls
from nait.sweeps.stored_runs.run_set import RunSet
from tests.older_stores import without_checksums

from .fixtures import put

OTHER_MODEL = {"model.model": "m1"}


def lines_of(store: Store) -> list[Line]:
    return summarise([row for row in collect(RunSet.load(store)) if row.task == "nano_math"])


def names(sheet: Sheet) -> set[str]:
    return {row.selector for row in sheet.rows}


def again(store: Store, run: str, **facts: object) -> None:
    """Writes other facts into a run's record."""
    without_checksums(store.folder("runs", run), **facts)


def record_again(store: Store, run: Artifact, **links: str) -> None:
    """Records the same run once more, with other links."""
    outer = ("links", "labels", "key", "kind", "address")
    facts = {name: value for name, value in run.manifest.items() if name not in outer}
    record_run(store, {**run.manifest["links"], **links}, run.manifest["labels"], facts)


def test_runs_of_two_batch_sizes_are_two_tables_each_with_its_own_control(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for size, gain in ((4, 0.0), (32, 0.3)):
        for seed in range(2):
            put(store, "random", seed=seed, share=0.3, **{"train.batch_size": str(size)})
            put(store, "nait", seed=seed, share=0.3 + gain, **{"train.batch_size": str(size)})
    small, large = sheets(RunSet.load(store))
    assert {small.head.recipe, large.head.recipe} == {
        "lora, 3 epochs, batch_size=32", "lora, 3 epochs, batch_size=4",
    }  # fmt: skip
    assert names(small) == names(large) == {"nait", "random"}
    found = {
        line.difference.value for one in measured(RunSet.load(store)) for line in one.lines if line.difference
    }
    assert len(found) > 1
    assert 0 not in found
    assert {line.seeds for line in lines_of(store)} == {2}


def test_two_models_whose_folders_share_a_name_are_two_tables_named_by_content(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for settings in ({}, OTHER_MODEL):
        put(store, "nait", **settings)
        put(store, "random", **settings)
    assert {one.head.model for one in sheets(RunSet.load(store))} == {"m (m0)", "m (m1)"}
    assert {row.model for row in collect(RunSet.load(store))} == {"m (m0)", "m (m1)"}
    assert all(line.seeds == 1 for line in lines_of(store))


def test_evaluations_of_two_seeds_are_two_tables(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in ("1", "2"):
        put(store, "nait", **{"eval.seed": seed})
    assert sorted(one.head.evaluation.rsplit(", ", 1)[-1] for one in sheets(RunSet.load(store))) == [
        "seed=1",
        "seed=2",
    ]


def test_two_templates_are_two_tables_named_by_their_option(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for digest, name in (("aaaa", "mine"), ("bbbb", "tulu")):
        put(store, "nait", facts={"options": {"template": name}}, **{"template.template": digest})
    assert sorted(one.head.recipe for one in sheets(RunSet.load(store))) == [
        "lora, 3 epochs, template=mine", "lora, 3 epochs, template=tulu",
    ]  # fmt: skip


def test_two_pools_of_one_name_are_two_tables(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    scores = store.artifacts("scores")[0]
    key = {**scores.manifest["key"], "pool": {**scores.manifest["key"]["pool"], "examples": "beef0000"}}
    facts = {k: v for k, v in scores.manifest.items() if k not in ("kind", "address", "key")}
    other = store.produce("scores", key, lambda _: facts).address
    (run,) = store.artifacts("runs")
    record_again(store, run, scores=other)
    assert {one.head.pool for one in sheets(RunSet.load(store))} == {"p (beef00)", "p (c0ffee)"}


@pytest.mark.parametrize("said", [True, False])
def test_a_seed_that_follows_the_run_s_splits_no_line_and_one_that_is_fixed_does(
    tmp_path: Path, said: bool
) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        for own in (seed, 7):
            facts = {"seeded": ["selector.seed"] if own == seed else []} if said else {}
            put(store, "random", seed=seed, facts=facts, **{"selector.seed": str(own)})
        put(store, "nait", seed=seed, **{"selector.seed": "0"})
    put(store, "nait", budget="20%", **{"selector.seed": "0"})
    assert sorted((line.selector, line.budget, line.seeds) for line in lines_of(store)) == [
        ("nait", "10%", 3), ("nait", "20%", 1), ("random", "10%", 3), ("random seed=7", "10%", 3),
    ]  # fmt: skip


def test_a_sweep_over_a_selector_s_seed_and_the_run_s_has_a_line_a_selector_s_seed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        for own in range(2):
            put(store, "nait", seed=seed, facts={"seeded": []}, **{"selector.seed": str(own)})
    assert {(line.selector, line.seeds) for line in lines_of(store)} == {
        ("nait seed=0", 2),
        ("nait seed=1", 2),
    }


def test_a_run_that_two_configs_reach_joins_the_line_of_its_neighbours(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):  # seed 2 was first run with selector.seed=2
        put(
            store,
            "random",
            seed=seed,
            facts={"seeded": ["selector.seed"] if seed < 2 else []},
            **{"selector.seed": str(seed)},
        )
    assert {(line.selector, line.seeds) for line in lines_of(store)} == {("random", 3)}


def test_two_results_of_one_identity_and_seed_are_never_averaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "random", share=0.3)
    run = put(store, "nait", share=0.2)
    put(store, "nait", seed=1, share=0.5)
    record = store.find("runs", run)
    assert record is not None
    evaluation = store.find("evaluations", str(record.manifest["links"]["evaluation"]))
    assert evaluation is not None
    key = {**evaluation.manifest["key"], "name": "other"}
    other = store.produce("evaluations", key, lambda part: _copy(evaluation.path, part))
    record_again(store, record, evaluation=other.address)
    (sheet,) = sheets(RunSet.load(store))
    found = {line.selector: line.seeds for line in lines_of(store) if line.method == "nait"}
    assert sorted(found.values()) == [1, 1, 1]
    assert sum(" run=" in name for name in found) == 2
    assert "2 runs of seed 0 have the same settings and different results" in " ".join(sheet.notes)


def _copy(source: Path, part: Path) -> dict[str, object]:
    for file in source.iterdir():
        if file.name != "manifest.json":
            (part / file.name).write_bytes(file.read_bytes())
    return {}


def test_rows_of_one_seed_with_two_results_are_refused_where_a_mean_would_be_taken() -> None:
    row = Row(
        "nait", "t", "1%", 0, "m", "task", "acc", 0.1, 0.0, 4, True, 1, 1, 0, 0, 0, 0, None, "", "", "a", "r"
    )
    other = Row(
        "nait", "t", "1%", 0, "m", "task", "acc", 0.9, 0.0, 4, True, 1, 1, 0, 0, 0, 0, None, "", "", "b", "s"
    )
    with pytest.raises(StoreError, match="two results of seed 0"):
        by_seed([row, other])


def test_what_changes_no_number_splits_no_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, quiet in enumerate(("true", "false")):
        run = put(store, "nait", seed=seed)
        again(
            store,
            run,
            settings={"eval.online": quiet, "train.deterministic": quiet, "model.attn_implementation": quiet},
        )
    (line,) = lines_of(store)
    assert line.seeds == 2


def test_highest_and_the_orders_of_several_columns_rank_one_column_equally(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", seed=0)
    put(store, "nait", seed=1, order="BestRank")
    put(store, "nait", seed=2, order="Lowest")
    assert sorted((line.selector, line.seeds) for line in lines_of(store)) == [
        ("nait order=Highest", 2), ("nait order=Lowest", 1),
    ]  # fmt: skip


def test_one_order_for_single_targets_and_their_merge_is_in_no_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for target in ("math", "code"):
        put(store, "nait", target=target, order="BestRank")
    _of_two_columns(store, put(store, "nait", target="math+code", order="BestRank"))
    assert {line.selector for line in lines_of(store)} == {"nait"}
    _of_two_columns(store, put(store, "nait", target="math+code", order="RoundRobin"))
    put(store, "nait", target="math", order="Lowest")
    assert {(line.selector, line.target) for line in lines_of(store)} == {
        ("nait order=Highest", "math"), ("nait order=Lowest", "math"), ("nait order=Highest", "code"),
        ("nait order=BestRank", "math+code"), ("nait order=RoundRobin", "math+code"),
    }  # fmt: skip


def _of_two_columns(store: Store, run: str) -> None:
    """Makes the scores of a run a table of two columns."""
    links = read_json(store.folder("runs", run) / "manifest.json")["links"]
    without_checksums(store.folder("scores", links["scores"]), targets=["math", "code"])


def test_budgets_with_equal_rounded_labels_are_two_lines(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", rows=20)
    put(store, "nait", rows=21, seed=1)
    assert {line.selector for line in lines_of(store)} == {"nait budget.count=20", "nait budget.count=21"}


def test_a_label_of_the_user_s_hides_no_difference(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, layers in enumerate(("[1]", "[2]")):
        run = put(store, "mine", seed=seed, layers=layers)
        again(store, run, settings={})
    assert {line.selector for line in lines_of(store)} == {"mine layers=[1]", "mine layers=[2]"}


def test_the_base_model_is_in_every_table_of_its_model_and_evaluation(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "base", trained=False)
    for epochs in ("1", "2"):
        put(store, "random", **{"train.epochs": epochs})
    put(store, "random", **OTHER_MODEL)
    held = {one.head.text: "base (not trained)" in names(one) for one in sheets(RunSet.load(store))}
    assert sorted(held.values()) == [False, True, True]


def test_the_setting_for_adapters_splits_no_table_of_models_without_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "base", trained=False, **{"eval.merge_adapter": "auto"})
    whole = {"training": {"model": "m0", "template": "t0", "recipe": {"method": "full", "lora": None}}}
    for seed, merge in enumerate(("auto", "true")):
        put(store, "random", **{"eval.merge_adapter": merge})
        put(store, "random", seed=seed, facts=whole, **{"eval.merge_adapter": merge})
    tables = sheets(RunSet.load(store))
    assert sorted(one.head.evaluation.partition("merge_adapter=")[2] for one in tables) == [
        "",
        "auto",
        "true",
    ]
    assert all("base (not trained)" in names(one) for one in tables)


def test_a_control_is_one_line_of_the_same_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "random", seed=seed, share=0.3)
        put(store, "random", seed=seed, share=0.9, order="Lowest")
        put(store, "nait", seed=seed, share=0.5)
    rows = collect(RunSet.load(store))
    group = [row for row in rows if row.selector == "nait" and row.task == "nano_math"]
    assert {row.selector for row in controls(group, rows)} == {"random"}
    (one,) = measured(RunSet.load(store))
    assert "2 lines are random: random, random order=Lowest" in " ".join(Leaderboard().notes(one))


def test_facts_missing_from_the_store_are_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = put(store, "nait")
    again(store, run, training=None)
    for kind in ("scores", "selections"):
        for artifact in store.artifacts(kind):
            (artifact.path / "manifest.json").unlink()
    (sheet,) = sheets(RunSet.load(store))
    for part in ("the pool's rows", "the scores", "the selector's settings", "the training recipe"):
        assert part in " ".join(sheet.notes)


def test_scores_that_are_gone_are_named_with_the_columns_that_they_leave_empty(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    (row, *_) = collect(RunSet.load(store))
    assert "rho" in row.checks
    for artifact in store.artifacts("scores"):
        (artifact.path / "manifest.json").unlink()
    (sheet,) = sheets(RunSet.load(store))
    assert not sheet.rows[0].checks
    (note,) = sheet.notes
    assert "the scores, the selector's settings" in note
    assert "Without the scores, rho, margin, top layer and their warnings are unknown." in note


def test_a_missing_selection_among_others_is_an_error_and_not_a_line_of_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    runs = [put(store, "random", seed=seed) for seed in (0, 1)]
    record = store.find("runs", runs[1])
    assert record is not None
    (store.folder("selections", record.manifest["links"]["selection"]) / "manifest.json").unlink()
    with pytest.raises(StoreError, match="its selection is gone") as raised:
        sheets(RunSet.load(store))
    assert record.address in str(raised.value)


def test_a_name_is_short_and_its_legend_says_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for k in range(3):
        put(
            store,
            "selectit",
            template_="### Instruction:\n" * 9 + str(k),
            cue=f"The answer {k} is what I say now:",
            level=f"a{k}",
        )
    (sheet,) = sheets(RunSet.load(store))
    assert len(names(sheet)) == 3
    assert all(len(name) <= MOST and "\n" not in name for name in names(sheet))
    assert sum("### Instruction:" in said for said in sheet.notes) == 3


def test_a_mixed_store_is_several_tables_in_every_file(tmp_path: Path) -> None:
    store, out = Store(tmp_path / "store"), tmp_path / "out"
    out.mkdir()
    for seed in range(2):
        for settings in ({}, OTHER_MODEL, {"train.batch_size": "4"}):
            for target in ("math", "code"):
                put(
                    store,
                    "nait",
                    target=target,
                    seed=seed,
                    share={"nano_math": 0.5, "nano_code": 0.4},
                    **settings,
                )
            put(store, "random", seed=seed, share={"nano_math": 0.3, "nano_code": 0.3}, **settings)
    printed = Report().report(store, None, out)
    assert printed.count("minus random: paired") == 3
    assert "Table 2: model m (m0); pool p; lora, 3 epochs" in printed
    rows = json.loads((out / "leaderboard.json").read_text())
    assert {row["table"] for row in rows} == {1, 2, 3}
    assert len({(row["table"], row["model"]) for row in rows}) == 3
    page = (out / "report.md").read_text()
    for k in (1, 2, 3):
        assert f"## Table {k}: Against random" in page
        assert (out / f"forest-{k}.svg").is_file()
        assert (out / f"transfer-{k}.svg").is_file()
    assert "| table | model" in page
    assert (out / "leaderboard.md").read_text().count("## Table ") == 3
    held = summarise(
        rows := [row for row in collect(RunSet.load(store)) if row.table == 1],
        outcomes(RunSet.load(store), rows),
    )
    assert len({(line.selector, line.target, line.task) for line in held}) == len(held)


def test_a_picture_s_names_have_forty_characters_at_most_and_a_legend(tmp_path: Path) -> None:
    store = Store(tmp_path)
    long = "a_set_of_our_own_customers_questions"
    for target in (f"{long}_of_spring", f"{long}_of_autumn"):
        put(store, "random", target=target, share=0.3)
        for site in ("mlp", "residual"):
            put(store, "nait", target=target, layers="[1, 2]", site=site, share=0.5)
    (one,) = measured(RunSet.load(store))
    found = forest(one.lines, {})
    assert found is not None
    (ax, *_) = forest_plot(found, "random").axes
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert len(set(shown)) == len(found.names) == 4
    assert all(len(name) <= MOST for name in shown)
    blocks = compared(one.lines, "random", {})
    said = [text for block in blocks if isinstance(block, Notes) for text in block.lines]
    assert sorted(said) == sorted(f"{short}: {name}." for short, name in zip(shown, found.names, strict=True))


def test_shortened_names_are_distinct() -> None:
    names = [f"{'a' * 60}{k}{'b' * 60}" for k in range(12)]
    short = fit([*names, "c"])
    assert len(set(short.values())) == 13
    assert all(len(name) <= MOST for name in short.values())
    assert short["c"] == "c"
    assert legend([*names, "c"]) == tuple(f"{short[name]}: {name}." for name in names)


def test_two_merges_of_as_many_targets_are_called_by_their_own_names() -> None:
    assert target_labels(["a+b+c", "a"]) == {"a+b+c": "3 targets", "a": "a"}
    assert target_labels(["a+b+c", "a+b+d"]) == {"a+b+c": "a+b+c", "a+b+d": "a+b+d"}


def test_costs_are_reported_by_table_and_in_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    store = Store(tmp_path)
    put(store, "nait")
    put(store, "nait", **{"train.batch_size": "4"})
    text = Costs().report(store, None, tmp_path)
    assert text.count("Table ") == 2
    runs = [line.split()[6] for line in text.splitlines() if line.startswith("nait ")]
    assert runs == ["1", "1"]
    assert text.index("All tables") > text.rindex("Table ")


def test_a_curve_of_each_budget_has_its_own_name_and_its_own_random(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for budget, rows in (("10%", 20), ("20%", 40)):
        put(store, "random", budget=budget, rows=rows)
        for layers in ("[1]", "[2]", "[3]"):
            put(store, "nait", budget=budget, rows=rows, layers=layers)
    panel = panels(summarise(collect(RunSet.load(store))), {})[0]
    assert [(curve.name, curve.level) for curve in panel.curves] == [
        ("nait, 10%", False), ("nait, 20%", False), ("random, 10%", True), ("random, 20%", True),
    ]  # fmt: skip


def test_a_shuffled_order_next_to_random_does_not_change_the_control_s_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "random", seed=seed, share=0.3, **{"selector.seed": str(seed)})
        put(store, "length", seed=seed, share=0.5)
    for seed in range(2):
        put(store, "random", seed=seed, share=0.5, facts={"seeded": []}, **{"selector.seed": "5"})
        put(store, "nait", seed=seed, share=0.3, **{"order": "Shuffled", "order.seed": "3"})
        put(store, "full", seed=seed, share=0.9)
    (sheet,) = sheets(RunSet.load(store))
    assert names(sheet) == {"random", "random seed=5", "random order=Shuffled", "length", "full"}
    for name in ("length", "full"):
        group = [row for row in sheet.rows if (row.selector, row.task) == (name, "nano_math")]
        assert {row.selector for row in controls(group, sheet.rows)} == {"random"}


def test_a_table_names_the_selector_behind_a_label(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "judge", facts={"label": "judge", "options": {"selector": "scores"}})
    put(store, "rds", facts={"label": "rds", "options": {"selector": "rds"}})
    put(store, "nait", facts={"label": None, "options": {"selector": "nait"}})
    (sheet,) = sheets(RunSet.load(store))
    assert [note for note in sheet.notes if "abel" in note] == ["Labels: judge is selector=scores."]
