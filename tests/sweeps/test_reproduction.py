"""Laws of published figures: data with a source, and a reproduction only under equal settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import nait.cli.config.resolvers  # noqa: F401  # registers the resolvers of the YAML files
from nait.core.addresses import address
from nait.core.statistics.results import Evaluation, Member, Result
from nait.models.prompts.templates import TextTemplate
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.store import Store
from nait.sweeps.grouping.recorded_facts import RecordedFacts, flat
from nait.sweeps.render.report_document import Table
from nait.sweeps.reports.full_report import Report
from nait.sweeps.reports.leaderboard import measured
from nait.sweeps.reproduction.comparison_table import DIFFERENT, _arms_of, beside_published
from nait.sweeps.reproduction.measured_arms import DIGEST_CHARS, Arm, _owners, arms
from nait.sweeps.reproduction.published_figures import Protocol, Published, parse, published
from nait.sweeps.reproduction.setting_differences import SettingDifference, not_stated, setting_differences
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import put

SAME = {"train.epochs": "3.0", "layers": "all"}
"""Settings of a run, as records spell them."""


def source(**settings: Any) -> Published:
    """Two figures about the tasks of the fixtures, with an exact setting and one that the source omits."""
    content: Mapping[str, Any] = {
        "source": "a paper",
        "benchmarks": {
            "math": {"task": "nano_math", "metric": "acc", "shots": 0},
            "code": {"task": "nano_code", "metric": "acc", "shots": 0},
        },
        "means": {"both": ["math", "code"]},
        "directions": ["math", "code"],
        "settings": {"model": "m", "pool": "p", "seeds": None, "train.epochs": 3, "selected rows": 20, **settings},
        "selectors": {"nait": {"layers": "all"}},
        "figures": [
            {"name": "NAIT", "selector": "nait", "target": "math", "mean": "both", "value": 60.0, "table": "main"},
            {"name": "random", "selector": "random", "mean": "both", "value": 90.0, "table": "main"},
            {"name": "gain", "selector": "nait", "over": "random", "mean": "both", "value": 5.0, "table": "models"},
            {"name": "cost", "selector": "nait", "hours": 1.5, "table": "cost", "settings": {"device": "A800"}},
        ],
    }  # fmt: skip
    return parse(content)


class Shown(NamedTuple):
    """A line of the first table, and what the other two say about it."""

    published: str
    measured: str
    method: str
    verdict: str
    differs: list[str]
    omitted: list[str]


def shown(store: Store, known: Published) -> dict[str, Shown]:
    """Figure -> what the section shows."""
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    blocks = beside_published(runs, one.rows, one.lines, known)
    if not blocks:
        return {}
    lines, differing, omitted = (block for block in blocks if isinstance(block, Table))
    return {
        figure: Shown(
            *cells,
            [
                f"{setting} {here}, not {there}"
                for setting, there, here, at in differing.body
                if is_at(number, at)
            ],
            [f"{setting} ({here} here)" for setting, here, at in omitted.body if is_at(number, at)],
        )
        for number, figure, _, *cells in lines.body
    }


def is_at(number: str, lines: str) -> bool:
    """Whether a line is among those of a cell: `all`, or `1-3, 5`."""
    ranges = [part.split("-") for part in lines.split(", ")]
    return lines == "all" or any(int(one[0]) <= int(number) <= int(one[-1]) for one in ranges)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    for seed in range(2):
        put(made, "nait", seed=seed, share=0.6, **SAME)
        put(made, "random", seed=seed, share=0.5, **{"train.epochs": "3.0"})
    return made


def test_a_number_under_the_published_settings_is_a_reproduction_inside_or_outside_its_interval(
    store: Store,
) -> None:
    rows = shown(store, source())
    assert rows["NAIT"].published == "60.00 %"
    assert rows["NAIT"][3:] == ("reproduction: published value inside the interval", [], ["seeds (2 here)"])
    assert rows["random"].verdict.endswith("outside the interval")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("model", "other", "model m, not other"),
        ("pool", "other", "pool p, not other"),
        ("train.epochs", 4, "train.epochs 3.0, not 4"),
        ("selected rows", 5200, "selected rows 20, not 5,200"),
        ("template", "alpaca", "template unknown, not alpaca"),
        ("train.max_steps", None, "train.max_steps unknown, not null"),
    ],
)
def test_a_setting_that_differs_is_named_and_the_number_is_not_called_a_reproduction(
    store: Store, setting: str, value: object, words: str
) -> None:
    rows = shown(store, source(**{setting: value}))
    assert rows["NAIT"][3:5] == (DIFFERENT, [words])


def test_a_methods_own_settings_count(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", **{**SAME, "layers": "[3]"})
    assert shown(store, source())["NAIT"][3:5] == (DIFFERENT, ["layers [3], not all"])


def test_a_part_of_the_benchmarks_or_of_their_items_is_another_setting(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", share={"nano_math": 0.5}, **SAME)
    assert shown(store, source())["NAIT"].differs == ["benchmarks 1 of 2 (without code), not all 2"]
    store = Store(tmp_path / "limited")
    put(store, "nait", **{**SAME, "eval.limit": "2"})
    assert shown(store, source())["NAIT"].differs == [
        f"{name}: items at most 2 of a task, not all" for name in ("math", "code")
    ]


def test_another_number_of_examples_is_another_setting(store: Store) -> None:
    known = parse(
        {
            "source": "s", "directions": [], "settings": {}, "selectors": {},
            "benchmarks": {"math": {"task": "nano_math", "metric": "acc", "shots": 8}}, "means": {"one": ["math"]},
            "figures": [{"name": "NAIT", "selector": "nait", "mean": "one", "value": 1, "table": "t"}],
        }
    )  # fmt: skip
    assert shown(store, known)["NAIT"][3:5] == (DIFFERENT, ["math: examples 0, not 8"])


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("spread", {"nano_math": 5}, "math: items at most 5 of a task, not all"),
        ("max_gen_toks", {"nano_code": 8}, "code: tokens of an answer 8, not the task's"),
        ("max_gen_toks", {"nano_code": 8, "other": 4}, "code: tokens of an answer 8, not the task's"),
        ("apply_chat_template", True, "prompts in the chat template, not plain"),
    ],
)
def test_a_part_of_the_protocol_that_differs_is_named(
    setting: str, value: object, words: str, tmp_path: Path
) -> None:
    store = Store(tmp_path / "store")
    options: dict[str, Any] = {**SAME, f"eval.{setting}": value}
    put(store, "nait", **options)
    assert shown(store, source())["NAIT"][3:5] == (DIFFERENT, [words])


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"nano_code": 8}, "all: tokens of an answer 8/64, not 64"),
        ({"nano_code": 8, "nano_math": 8, "nano_facts": 8}, "all: tokens of an answer 8, not 64"),
        ({}, ""),
    ],
)
def test_a_cap_of_a_part_of_a_benchmark_is_named(caps: dict[str, int], words: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", **{**SAME, "eval.max_gen_toks": {"nano": 64, **caps}})
    known = parse(
        {
            "source": "s", "directions": [], "settings": {}, "selectors": {},
            "benchmarks": {"all": {"task": "nano", "metric": "acc_macro", "shots": 0, "tokens": 64}},
            "means": {"one": ["all"]},
            "figures": [{"name": "NAIT", "selector": "nait", "mean": "one", "value": 1, "table": "t"}],
        }
    )  # fmt: skip
    assert shown(store, known)["NAIT"].differs == ([words] if words else [])


def test_a_cap_of_a_group_around_or_within_a_benchmark_is_named(store: Store) -> None:
    """Groups of the evaluation: `outer` contains the benchmark `nano`, and `inner` is a part of it."""
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    arm = next(arm for arm in arms(runs, one.rows, one.lines) if arm.method == "nait")
    assert arm.owners["nano_math"] == ["nano"]
    protocols = {"all": Protocol("nano", "acc_macro", 0, tokens=64)}
    figure = replace(source().figures[1], selector="nait", settings={}, protocols=protocols)
    tasks = ("nano_math", "nano_code", "nano_facts")
    owners = {task: ["nano", "outer"] for task in tasks} | {"nano_code": ["inner", "nano", "outer"]}

    def named(caps: Mapping[str, int]) -> list[str]:
        suite = {**arm.suite, "max_gen_toks": caps}
        return [str(one) for one in setting_differences(figure, replace(arm, suite=suite, owners=owners))]

    assert named({"outer": 64}) == []
    assert named({"outer": 8}) == ["all: tokens of an answer 8, not 64"]
    assert named({"outer": 64, "inner": 8}) == ["all: tokens of an answer 8/64, not 64"]
    assert named({"nano": 64, "outer": 8}) == []


def test_groups_of_equal_size_are_in_the_order_of_the_evaluation(tmp_path: Path) -> None:
    """`outer` holds nothing but `inner`; results name the requested `outer` first."""
    store, tasks = Store(tmp_path), ("a", "b")
    members = tuple(Member(task, "acc", "", 0.5) for task in tasks)
    names = ("outer", "wide", "inner")
    wide = (*members, Member("c", "acc", "", 0.5))
    results = [
        Result(name, "acc", 0.5, 0.1, 8, is_group=True, members=wide if name == "wide" else members)
        for name in names
    ]

    def write(part: Path) -> dict[str, Any]:
        write_evaluation(part, Evaluation(tuple(results), ()))
        return {"requested": {"tag": list(tasks)}}

    for means, wanted in (
        ({"inner": [], "outer": [], "wide": []}, ["inner", "outer", "wide", "tag"]),
        ({"wide": [], "inner": [], "outer": []}, ["wide", "inner", "outer", "tag"]),
        (None, ["inner", "outer", "tag", "wide"]),
    ):
        suite = {} if means is None else {"means": means}
        made = store.produce("evaluations", {"suite": suite, "name": str(wanted)}, write)
        assert _owners(RunSet.load(store), made)["a"] == wanted


def test_a_number_of_examples_that_is_set_by_group_is_named(store: Store) -> None:
    """An evaluation records each task's own number, from `eval.num_fewshot={inner: 3, outer: 5}` for example."""
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    arm = next(arm for arm in arms(runs, one.rows, one.lines) if arm.method == "nait")
    protocols = {"all": Protocol("nano", "acc_macro", 5)}
    figure = replace(source().figures[1], selector="nait", settings={}, protocols=protocols)
    for counts, words in (((5, 5, 5), []), ((5, 3, 5), ["all: examples 3/5, not 5"])):
        tasks = dict(zip(("nano_math", "nano_code", "nano_facts"), counts, strict=True))
        suite = {**arm.suite, "tasks": {task: {"num_fewshot": count} for task, count in tasks.items()}}
        assert [str(one) for one in setting_differences(figure, replace(arm, suite=suite))] == words


def test_the_contents_of_model_and_pool_are_shown_since_no_source_states_them(store: Store) -> None:
    known = source(**{"model content": None, "pool content": None})
    omitted = shown(store, known)["NAIT"].omitted
    assert {"model content (m0 here)", "pool content (c0ffee00 here)"} <= set(omitted)
    for name in ("model content", "pool content"):
        assert all(name in figure.settings for figure in published().figures)
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    (*_, note) = beside_published(runs, one.rows, one.lines, known)
    assert "compared by name" in str(note)


def test_a_spread_of_a_part_of_a_benchmark_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", **{**SAME, "eval.spread": {"nano_code": 8}})
    known = parse(
        {
            "source": "s", "directions": [], "settings": {}, "selectors": {},
            "benchmarks": {"all": {"task": "nano", "metric": "acc_macro", "shots": 0}}, "means": {"one": ["all"]},
            "figures": [{"name": "NAIT", "selector": "nait", "mean": "one", "value": 1, "table": "t"}],
        }
    )  # fmt: skip
    assert shown(store, known)["NAIT"].differs == ["all: items at most 8 of a task, not all"]


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("train.max_tokens", "9000", "train.max_tokens 9000, not null"),
        ("direction", "contrast", "direction contrast, not pca"),
        ("sign", "none", "sign none, not shift"),
    ],
)
def test_the_shipped_figures_state_what_makes_another_training_or_method(
    setting: str, value: str, words: str
) -> None:
    (figure,) = [one for one in published().figures if one.name == "NAIT by GSM"]
    stated = {key: str(value) for key, value in figure.settings.items()}
    arm = Arm("nait", "nait", frozenset({"gsm8k"}), {}, stated, {})
    same = setting_differences(figure, arm)
    other = setting_differences(figure, replace(arm, facts={**stated, setting: value}))
    assert [str(one) for one in other if one not in same] == [words]


SHIPPED = {"nait": "NAIT by GSM", "ifd_q2q": "Q2Q (IFD)", "selectit": "SelectIT", "alpagasus": "AlpaGasus"}


@pytest.mark.parametrize("selector", SHIPPED)
def test_the_shipped_preset_of_a_method_has_the_stated_settings_and_another_is_named(selector: str) -> None:
    with initialize_config_module("nait.conf", version_base="1.3"):
        preset = compose("run", overrides=[f"selector={selector}"]).selector
    facts = flat("", OmegaConf.to_container(preset))  # type: ignore[arg-type]
    (figure,) = [
        one for one in published().figures if (one.name, one.table) == (SHIPPED[selector], "main results")
    ]
    own = yaml.safe_load((Path(__file__).parents[2] / "sweeps" / "published.yaml").read_text())["selectors"]
    stated = {key: value for key, value in own[selector].items() if value is not None}
    assert len(stated) >= 2

    def named(found: Mapping[str, str]) -> list[str]:
        arm = Arm(selector, selector, frozenset(), {}, found, {})
        return [one.setting for one in setting_differences(figure, arm) if one.setting in stated]

    assert named(facts) == []
    for key in stated:
        assert named({**facts, key: "other"}) == [key]


def test_contents_that_are_compared_by_name_and_long_texts_are_shown_by_their_digests(store: Store) -> None:
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    arm = next(arm for arm in arms(runs, one.rows, one.lines) if arm.method == "nait")
    assert arm.facts["reference content"] == "+".join(
        part[:DIGEST_CHARS] for part in RecordedFacts(runs, runs.records[0]).reference.split("+")
    )
    figure = replace(published().figures[5], settings={"prompts": None, "benchmark data": None})
    prompts = {"prompts": "rate this " * 20, "benchmark data": "c0ffee"}
    shown = dict(not_stated(figure, replace(arm, facts=prompts)))
    assert shown["benchmark data"] == "c0ffee"
    assert shown["prompts"] == f"a text with the digest {address(prompts['prompts'])[:DIGEST_CHARS]}"
    (everything,) = [one for one in published().figures if one.name == "NAIT by all"]
    assert {"order", "merge", "reference content", "benchmark definitions"} <= {
        key for key, value in everything.settings.items() if value is None
    }
    assert not any(
        key.startswith(("eval.", "benchmark"))
        for one in published().figures
        if one.is_cost
        for key in one.settings
    )


def test_a_recipe_without_a_number_of_tokens_is_the_stated_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for name, recipe in (
        ("nait", {"max_steps": "null"}),
        ("length", {"max_steps": "null", "max_tokens": "90"}),
    ):
        put(store, name, **{f"train.{key}": value for key, value in recipe.items()})
    runs = RunSet.load(store, None)
    facts = {
        arm.method: arm.facts["train.max_tokens"]
        for one in measured(runs, "random")
        for arm in arms(runs, one.rows, one.lines)
    }
    assert facts == {"nait": "null", "length": "90"}


def test_a_changed_template_is_not_the_stated_one() -> None:
    path = Path(__file__).parents[2] / "conf" / "template" / "alpaca.yaml"
    given = {key: value for key, value in yaml.safe_load(path.read_text()).items() if key != "_target_"}
    stated = {one.settings["template text"] for one in published().figures}
    assert stated == {TextTemplate(**given).digest[:DIGEST_CHARS]}
    assert TextTemplate(**{**given, "separator": " "}).digest[:DIGEST_CHARS] not in stated


def test_the_published_protocols_are_those_of_the_papers_evaluation() -> None:
    suite = yaml.safe_load((Path(__file__).parents[2] / "conf" / "eval" / "paper.yaml").read_text())
    (nine,) = {tuple(one.protocols.items()) for one in published().figures if len(one.protocols) == 9}
    protocols = [protocol for _, protocol in nine]
    assert [one.task for one in protocols] == [
        *["mmlu", "mmlu_pro", "gsm8k_cot", "svamp", "humaneval_pass10", "mbpp_sanitized"],
        *["tydiqa", "xquad", "bbh_cot_fewshot"],
    ]
    assert {one.task for one in protocols} == {*suite["tasks"]}
    named = {one.task: one.metric.replace(" (", "/").rstrip(")") for one in protocols}
    assert {task: named[task] for task in suite["primary"]} == suite["primary"]
    assert {one.task: one.tokens for one in protocols if one.tokens} == suite["max_gen_toks"]


def test_a_gain_is_relative_and_a_cost_is_hours(store: Store) -> None:
    rows = shown(store, source())
    nait, random = (float(rows[name].measured.split(" ")[0]) for name in ("NAIT", "random"))
    assert rows["gain"].published == "5.00 % over random"
    assert float(rows["gain"].measured) == pytest.approx(100 * (nait - random) / random, abs=0.05)
    assert rows["cost"][:2] == ("1.50 h", "0.001")
    assert rows["cost"].differs == ["device unknown, not A800"]


def test_a_gain_over_a_method_that_was_not_run_is_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", share=0.6, **SAME)
    assert "NAIT" in shown(store, source())
    assert "gain" not in shown(store, source())


def test_a_device_is_known_by_the_words_of_its_name(store: Store) -> None:
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    arm = next(arm for arm in arms(runs, one.rows, one.lines) if arm.method == "nait")
    (cost,) = [figure for figure in source().figures if figure.is_cost]
    for device, differing in {"NVIDIA A800-SXM4-80GB": 0, "NVIDIA A100-SXM4-80GB": 1}.items():
        on = replace(arm, facts={**arm.facts, "device": device})
        stated = replace(cost, settings={**cost.settings, "device": "A800 80GB"})
        assert len(setting_differences(stated, on)) == differing
    assert arm.facts["devices"] == "1"
    shared = replace(arm, facts={**arm.facts, "device": "A800 80GB", "devices": "4"})
    stated = replace(cost, settings={**cost.settings, "device": "A800 80GB", "devices": 1})
    assert setting_differences(stated, shared) == [SettingDifference("devices", "4", "1")]


def test_of_figures_for_several_models_the_one_for_the_runs_model_is_shown(store: Store) -> None:
    known = source()
    gain = next(figure for figure in known.figures if figure.name == "gain")
    other = replace(gain, value=9.0, settings={**gain.settings, "model": "other"})
    assert shown(store, replace(known, figures=(gain, other)))["gain"].published == "5.00 % over random"
    assert shown(store, replace(known, figures=(other,)))["gain"].differs == ["model m, not other"]


def test_a_benchmark_with_fewer_items_is_another_setting(store: Store) -> None:
    known = parse(
        {
            "source": "s", "directions": [], "settings": {}, "selectors": {},
            "benchmarks": {"math": {"task": "nano_math", "metric": "acc", "shots": 0, "items": 1319}},
            "means": {"one": ["math"]},
            "figures": [{"name": "NAIT", "selector": "nait", "mean": "one", "value": 1, "table": "t"}],
        }
    )  # fmt: skip
    assert shown(store, known)["NAIT"].differs == ["math: items 60, not 1,319"]


def test_a_method_that_no_target_changes_is_compared_once_and_is_the_base_of_each_gain(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "store")
    for target in ("math", "code"):
        put(store, "nait", target=target, share=0.6, **SAME)
        put(store, "random", target=target, share=0.5, **{"train.epochs": "3.0"})
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    table = beside_published(runs, one.rows, one.lines, source())[0]
    assert isinstance(table, Table)
    methods = [(row[1], row[5]) for row in table.body]
    assert sorted(methods) == [
        ("NAIT", "nait, math"), ("cost", "nait, code"), ("cost", "nait, math"), ("gain", "nait, code"),
        ("gain", "nait, math"), ("random", "random"),
    ]  # fmt: skip
    assert all(float(row[4]) > 0 for row in table.body if row[1] == "gain")


def test_arms_of_one_evaluation_are_compared_once_where_the_figure_has_no_target(store: Store) -> None:
    runs = RunSet.load(store, None)
    (one,) = measured(runs, "random")
    arm = next(arm for arm in arms(runs, one.rows, one.lines) if arm.method == "nait")
    twice = [replace(arm, name="nait, math"), replace(arm, name="nait, code", targets=frozenset({"code"}))]
    figures = {figure.name: replace(figure, over="") for figure in source().figures}
    assert [one.name for one in _arms_of(figures["gain"], twice)] == ["nait, math"]
    assert len(_arms_of(figures["gain"], [twice[0], replace(twice[1], evaluation="another")])) == 2
    assert [one.name for one in _arms_of(figures["NAIT"], twice)] == ["nait, math"]


def test_other_targets_and_orders_are_other_figures(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", target="code", **SAME)
    put(store, "nait", order="Lowest", **SAME)
    assert "NAIT" not in shown(store, source())


def test_a_sweep_without_the_papers_benchmarks_has_no_such_section(store: Store) -> None:
    assert shown(store, published()) == {}


def test_the_shipped_figures_are_data_with_a_source() -> None:
    known = published()
    assert "arXiv 2603.13201" in known.source
    values = {(one.name, one.table): one.value for one in known.figures if one.table == "main results"}
    assert values["NAIT by GSM", "main results"] == 37.70
    assert {len(one.protocols) for one in known.figures} == {0, 5, 9}
    assert all(one.settings["model"] and one.settings["pool"] == "alpaca_gpt4" for one in known.figures)
    (full,) = [one for one in known.figures if one.selector == "full" and one.table == "main results"]
    assert full.settings["selected rows"] == 52_002
    assert {one.settings.get("device") for one in known.figures if one.is_cost} == {"A800 80GB"}


def test_the_report_has_the_section_where_the_papers_benchmarks_were_measured(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "full", share={"gsm8k_cot": 0.5}, rows=20)
    runs = RunSet.load(store, None)
    document = Report().document(runs, measured(runs, "random"))
    (section,) = [one for one in document.sections if one.title == "Beside published figures"]
    lines, differing, _ = (block for block in section.blocks if isinstance(block, Table))
    assert {row[6] for row in lines.body} == {DIFFERENT}
    settings = {(row[0], row[1]): row[2] for row in differing.body}
    assert settings["benchmarks", "all 9"].startswith("0 of 9 (without mmlu, ")
    assert settings["gsm8k: metric", "exact_match (flexible-extract)"] == "acc"
    assert settings["pool rows", "52,002"] == "unknown"


def test_a_run_without_scores_is_compared_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "full", facts={"settings": SAME}, also={"scores": ""})
    runs = RunSet.load(store, None)
    (one,) = measured(runs)
    assert [arm.facts["device"] for arm in arms(runs, one.rows, one.lines)] == ["unknown"]
