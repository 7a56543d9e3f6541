"""Laws of the NAIT scorer: a slow reference's numbers, the facts of the method, no pass made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.addresses import unit_interval
from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, gather
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.orders import BestRank, Highest
from nait.models.anatomy import SITES
from nait.models.prompts.templates import TextTemplate
from nait.neurons.diagnostics import warnings
from nait.neurons.directions import Directions
from nait.neurons.scorer import Nait
from nait.neurons.stored_directions import read_directions
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.signals.passes.stored_signals import NotMeasured
from nait.signals.specs.activations import Features, Reading
from nait.store import Store
from tests.families import HIDDEN, LAYERS, pool, save, target
from tests.neurons.conftest import Open

MATH, CODE = target(name="math"), target(8, name="code", salt=7000)
Forbid = Callable[[], None]


def unit(v: Any) -> Any:
    return v / np.linalg.norm(v)


def slow_direction(x_nd: Any, pool_mean: Any, one: Nait) -> tuple[Any, Any]:
    """[C, D] and the first component's share, by SVD in float64, one layer."""
    mu = x_nd.mean(axis=0)
    centred = x_nd - mu
    if one.direction == "contrast":
        v = unit(mu - pool_mean)
        return v[None], np.sum((centred @ v) ** 2) / np.sum(centred**2)
    _, s, vt = np.linalg.svd(centred if one.direction == "pca" else x_nd, full_matrices=False)
    found = []
    for v in vt[: one.components]:
        reference = mu - pool_mean if one.sign == "pool" else mu
        found.append(-v if v @ reference < 0 else v)
    return np.array(found), s[0] ** 2 / np.sum(s**2)


def slow_scores(one: Nait, rows: Pool, groups: list[list[Target]], x: StoredExtractor) -> Any:
    """[N, groups]: row by row, layer by layer, from the readings themselves."""

    def read(examples: Any, feature: Any) -> Any:
        (f_nld,) = x.measure(examples, [Features(Reading(one.site, feature, one.origin))])
        return np.asarray(f_nld, dtype=np.float64)

    drawn = sorted(range(len(rows)), key=lambda i: unit_interval("pool sample", one.seed, rows.ids[i]))
    sample = drawn[: one.pool_sample]
    candidates, pool_references = read(rows, one.feature), read(rows, one.reference_feature)
    first = 0 if one.site == "residual" else 1
    layers = list(range(1, LAYERS + 1)) if one.layers == "all" else list(one.layers)  # type: ignore[arg-type]
    columns = []
    for group in groups:
        references = np.concatenate([read(member, one.reference_feature) for member in group])
        total = np.zeros(len(rows))
        for layer in layers:
            at = layer - first
            v_cd, share = slow_direction(references[:, at], pool_references[sample, at].mean(axis=0), one)
            f_nd = candidates[:, at]
            if one.center:
                f_nd = f_nd - candidates[sample, at].mean(axis=0)
            if one.similarity == "cosine":
                f_nd = f_nd / np.linalg.norm(f_nd, axis=1, keepdims=True)
            part = np.zeros(len(rows))
            for v in v_cd:
                part += f_nd @ v if one.component_sum == "signed" else (f_nd @ v) ** 2
            if one.layer_weight == "zscore":
                part = (part - part.mean()) / part.std()
            total += part * (share if one.layer_weight == "explained_variance" else 1.0)
        columns.append(total)
    return np.stack(columns, axis=1)


OPTIONS: dict[str, dict[str, Any]] = {
    "as published": {},
    "neurons": {"site": "mlp"},
    "mlp_out by mean": {"site": "mlp_out", "feature": "mean", "reference_feature": "mean"},
    "attention after the prompt": {"site": "attn_out", "feature": "mean_delta", "origin": "prompt_end"},
    "cosine": {"similarity": "cosine"},
    "centred cosine": {"similarity": "cosine", "center": True, "feature": "mean"},
    "centred on a sample": {"similarity": "cosine", "center": True, "pool_sample": 7, "seed": 3},
    "a list of layers": {"layers": [3, 1]},
    "the embeddings too": {"layers": [0, 2], "feature": "mean"},
    "two components": {"components": 2},
    "two components squared": {"components": 2, "component_sum": "squared", "site": "mlp"},
    "squared and centred": {"component_sum": "squared", "center": True},
    "contrast": {"direction": "contrast"},
    "contrast to a sample": {"direction": "contrast", "pool_sample": 5, "reference_feature": "mean"},
    "uncentered": {"direction": "uncentered", "sign": "pool"},
    "zscore": {"layer_weight": "zscore"},
    "explained variance": {"layer_weight": "explained_variance", "sign": "pool"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_scores_equal_a_slow_reference(options: dict[str, Any], x: StoredExtractor) -> None:
    one = Nait(**options)
    table = one.score(pool(), [MATH, CODE], x)
    wanted = slow_scores(one, pool(), [[MATH], [CODE]], x)
    assert table.targets == ("math", "code")
    assert table.ids == pool().ids
    np.testing.assert_allclose(table.values, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_rows_that_cannot_be_selected_change_no_score(options: dict[str, Any], x: StoredExtractor) -> None:
    one, rows = Nait(**options), pool(16)
    broken = [
        Example("zz1", (Turn("Say nothing.", " \n"),)),
        Example("zz2", (Turn("Long " * 100, "beyond the limit"),)),
        Example("zz3", (Turn("Say " * 12, ""),)),
    ]
    more = gather("p", [*rows.examples, *broken])
    wanted, found = (one.score(each, [MATH], x) for each in (rows, more))
    values = found.values[: len(rows)]
    np.testing.assert_allclose(values, wanted.values, rtol=1e-4, atol=1e-4 * np.abs(wanted.values).max())
    shares = [each.diagnostics["math"]["layer_share_of_score_variance"] for each in (found, wanted)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-3)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_layers_parts_of_a_row_add_up_to_its_score(options: dict[str, Any], x: StoredExtractor) -> None:
    one = Nait(**options)
    table = one.score(pool(), [MATH, CODE], x)
    rows, among = np.array([5, 0, 17]), np.arange(len(pool())) != 3
    found = list(one.contributions(pool(), [MATH, CODE], x.stored_only(), rows=rows, among=among))
    assert [part.target for part in found] == list(table.targets)
    for part in found:
        values = table.column(part.target)
        assert part.parts.shape == (len(rows), len(part.layers))
        np.testing.assert_allclose(part.parts.sum(axis=1), values[rows])
        assert part.means.sum() == pytest.approx(values[among].mean())
    given = options.get("layers", "all")
    assert list(found[0].layers) == (given if given != "all" else list(range(1, LAYERS + 1)))


def test_layers_parts_are_read_and_never_measured(opened: Open, tmp_path: Path, no_network: Forbid) -> None:
    no_network()
    asked = Nait().contributions(
        pool(),
        [MATH],
        opened(tmp_path).stored_only(),
        rows=np.array([0]),
        among=np.ones(len(pool()), dtype=bool),
    )
    with pytest.raises(NotMeasured):
        list(asked)


def test_merged_directions_are_one_decomposition_of_all_reference_sets(x: StoredExtractor) -> None:
    one = Nait(merge="directions", layers=[1, 3])
    table = one.score(pool(), [MATH, CODE], x)
    assert table.targets == ("math+code",)
    wanted = slow_scores(one, pool(), [[MATH, CODE]], x)
    np.testing.assert_allclose(table.values, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def test_a_column_does_not_depend_on_the_other_targets(x: StoredExtractor) -> None:
    together = Nait().score(pool(), [MATH, CODE], x)
    alone = Nait().score(pool(), [CODE], x)
    np.testing.assert_allclose(together.column("code"), alone.column("code"), rtol=1e-6)


def test_the_table_says_what_its_numbers_are(x: StoredExtractor) -> None:
    table = Nait(site="mlp", feature="mean").score(pool(), [MATH], x)
    assert table.unit == "activation units"
    assert table.definition == "NAIT: sum over layers of mlp mean along the pca direction"
    assert [Nait(site=site).version for site in SITES] == [2, 3, 3, 3]
    assert Nait(similarity="cosine").score(pool(), [MATH], x).unit == "1"


# The facts of the method.


@pytest.mark.parametrize("site", ["residual", "mlp"])
def test_with_a_constant_first_token_delta_and_last_rank_equally(site: Any, x: StoredExtractor) -> None:
    """Every text starts with one token, so the shift's origin is one constant vector."""
    delta, last = (Nait(site=site, feature=feature).score(pool(), [MATH], x) for feature in ("delta", "last"))
    gap = (last.values - delta.values)[:, 0]
    np.testing.assert_allclose(gap, gap[0], rtol=1e-5, atol=1e-5)
    assert Highest()(delta).tolist() == Highest()(last).tolist()


def test_without_a_constant_first_token_they_differ(opened: Open, tmp_path: Path) -> None:
    x = opened(tmp_path / "store", save(tmp_path / "bare", bos=False))
    x = x.under(template=TextTemplate(prompt="{user}\nA: "))
    rows = gather("p", [Example(f"{i}", (Turn(f"{chr(65 + i)} {i}", f"is {i}"),), row=i) for i in range(12)])
    delta, last = (Nait(feature=feature).score(rows, [MATH], x) for feature in ("delta", "last"))
    gap = (last.values - delta.values)[:, 0]
    assert gap.std() > 0.1 * delta.values.std()


def test_token_mean_is_another_ranking(x: StoredExtractor) -> None:
    delta, mean = (Nait(feature=feature).score(pool(), [MATH], x) for feature in ("delta", "mean"))
    assert Highest()(delta).tolist() != Highest()(mean).tolist()


def test_centering_a_dot_product_changes_no_ranking(x: StoredExtractor) -> None:
    plain, centred = (Nait(center=center).score(pool(), [MATH], x) for center in (False, True))
    np.testing.assert_allclose(centred.values.mean(), 0, atol=1e-4)
    assert Highest()(plain).tolist() == Highest()(centred).tolist()


def test_several_targets_are_merged_by_the_order(x: StoredExtractor) -> None:
    table = Nait().score(pool(), [MATH, CODE], x)
    tops = [int(np.argmax(table.column(name))) for name in ("math", "code")]
    assert set(tops) <= set(BestRank()(table)[: len(set(tops))].tolist())


# Nothing is measured twice, and nothing about a run's circumstances changes a score.


@pytest.mark.parametrize(
    "options",
    [{"layers": "last"}, {"layers": [2]}, {"layers": "first_half", "layer_weight": "zscore"},
     {"layer_weight": "explained_variance"}, {"component_sum": "squared"}],
)  # fmt: skip
def test_a_sweep_over_layers_and_weights_opens_no_model(
    options: dict[str, Any], opened: Open, x: StoredExtractor, no_network: Forbid
) -> None:
    Nait().score(pool(), [MATH], x)
    no_network()
    table = Nait(**options).score(pool(), [MATH], opened(x.store.root))
    assert np.isfinite(table.values).all()


@pytest.mark.parametrize("layers", ["first_half", "middle", [0, 1], 2, -2])
@pytest.mark.parametrize(
    "options", [{}, {"similarity": "cosine", "center": True}, {"site": "mlp_out", "layers": 1}]
)
def test_an_early_exit_changes_no_score(
    layers: Any, options: dict[str, Any], opened: Open, x: StoredExtractor, tmp_path: Path, no_network: Forbid
) -> None:
    given = {"layers": layers, **options}
    usual = Nait(**given).score(pool(), [MATH, CODE], x)
    early = Nait(**given, early_exit=True)
    exited = early.score(pool(), [MATH, CODE], opened(tmp_path))
    assert exited.values.tobytes() == usual.values.tobytes()
    assert exited.diagnostics == usual.diagnostics
    no_network()  # what was read at every layer serves an early exit too
    again = early.score(pool(), [MATH, CODE], opened(x.store.root))
    assert again.values.tobytes() == usual.values.tobytes()


def test_an_early_exit_reads_the_pool_no_deeper_than_asked(opened: Open, tmp_path: Path) -> None:
    x = opened(tmp_path)
    ((_, _, signals),) = Nait(layers=[1], early_exit=True).requests(pool(), [MATH], x)
    assert [signal.reading.depth for signal in signals] == [1]
    for layers in ("all", "last", [1, LAYERS]):
        ((_, _, signals),) = Nait(layers=layers, early_exit=True).requests(pool(), [MATH], x)
        assert [signal.reading.depth for signal in signals] == [None]


def test_adding_a_target_measures_only_the_new_one(opened: Open, tmp_path: Path) -> None:
    Nait().score(pool(), [MATH], opened(tmp_path))
    before = {artifact.address for artifact in opened(tmp_path).store.artifacts("passes")}
    Nait().score(pool(), [MATH, CODE], opened(tmp_path))
    new = [one for one in opened(tmp_path).store.artifacts("passes") if one.address not in before]
    assert sorted((one.manifest["rows"], len(one.manifest["signals"])) for one in new) == [
        (len(CODE), 1),  # the new target's readings
        (len(pool()), 1),  # the pool along the new target's directions
    ]


@pytest.mark.parametrize("engine", [{"batch_tokens": 60}, {"padding": "left"}, {"chunk_tokens": 100}])
def test_scores_do_not_depend_on_how_the_pass_is_cut(
    engine: dict[str, Any], opened: Open, x: StoredExtractor, tmp_path: Path
) -> None:
    one = Nait(similarity="cosine", center=True)
    usual, other = one.score(pool(), [MATH], x), one.score(pool(), [MATH], opened(tmp_path, **engine))
    np.testing.assert_allclose(other.values, usual.values, atol=1e-5)
    assert Highest()(other).tolist() == Highest()(usual).tolist()


def test_scores_do_not_depend_on_the_files_order(opened: Open, x: StoredExtractor, tmp_path: Path) -> None:
    def turned(rows: Pool | Target) -> Pool:
        lines = enumerate(reversed(rows.examples))
        return gather(rows.name, [replace(example, row=row) for row, example in lines])

    one = Nait(direction="contrast", pool_sample=9)
    usual = one.score(pool(), [MATH], x)
    other = one.score(turned(pool()), [as_target(turned(MATH))], opened(tmp_path))
    assert other.ids == usual.ids
    assert other.values.tobytes() == usual.values.tobytes()


# Errors, before any model is opened.


def reference(*answers: str, name: str = "sums") -> Target:
    rows = [Example(f"r{i}", (Turn("Say", answer),), row=i) for i, answer in enumerate(answers)]
    return as_target(gather(name, rows))


@pytest.mark.parametrize("answers", [["one"], ["one", "one", "one"]], ids=["one row", "identical rows"])
def test_rows_without_a_direction_are_an_error_before_the_model_is_opened(
    answers: list[str], opened: Open, tmp_path: Path, no_network: Forbid
) -> None:
    no_network()
    with pytest.raises(DataError, match=rf"target 'sums': its {len(answers)} row\(s\) hold fewer than two"):
        Nait().score(pool(), [MATH, reference(*answers)], opened(tmp_path))


@pytest.mark.parametrize("answers", [["one"], ["one", "one", "one"]], ids=["one row", "identical rows"])
def test_one_text_has_a_mean_and_so_a_contrast(answers: list[str], opened: Open, tmp_path: Path) -> None:
    contrast = Nait(site="mlp", feature="mean", reference_feature="mean", direction="contrast")
    alone, several = (
        contrast.score(pool(), [reference(*rows)], opened(tmp_path)).values for rows in (answers, ["one"])
    )
    assert np.isfinite(alone).all()
    np.testing.assert_allclose(alone, several, rtol=1e-4, atol=1e-5)


def test_rows_that_differ_in_their_system_message_alone_are_different() -> None:
    rows = [Example(f"r{i}", (Turn("Say", "one"),), system=f"Be {i}", row=i) for i in range(2)]
    Nait().check([as_target(gather("sums", rows))])


def test_no_target_is_an_error(opened: Open, tmp_path: Path, no_network: Forbid) -> None:
    no_network()
    with pytest.raises(DataError, match="NAIT needs a target"):
        Nait().score(pool(), [], opened(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"site": "residul"}, "selector.site: 'residul' is not a choice. Did you mean 'residual'?"),
        ({"feature": "detla"}, "selector.feature: 'detla' is not a choice. Did you mean 'delta'?"),
        ({"reference_feature": "mena"}, "'mena' is not a choice. Did you mean 'mean'?"),
        ({"origin": "prompt_ends"}, "selector.origin: .* Did you mean 'prompt_end'?"),
        ({"layers": "lasthalf"}, "selector.layers: .* Did you mean 'last_half'"),
        ({"layers": [1, 1]}, "selector.layers: layers .* cannot be used"),
        ({"direction": "pcaa"}, "selector.direction: .* Did you mean 'pca'?"),
        ({"sign": "shfit"}, "selector.sign: .* Did you mean 'shift'?"),
        ({"component_sum": "square"}, "selector.component_sum: .* Did you mean 'squared'?"),
        ({"similarity": "cosin"}, "selector.similarity: .* Did you mean 'cosine'?"),
        ({"layer_weight": "z-score"}, "selector.layer_weight: .* Did you mean 'zscore'?"),
        ({"merge": "direction"}, "selector.merge: .* Did you mean 'directions'?"),
        ({"components": 0}, "selector.components: 0 is below 1"),
        ({"pool_sample": 1}, "selector.pool_sample: 1 is below 2"),
        ({"direction": "contrast", "components": 2}, "a contrast has one component"),
    ],
)
def test_an_invalid_choice_is_answered_with_the_nearest_one(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        Nait(**options)


def test_a_layer_the_model_lacks_is_an_error(x: StoredExtractor) -> None:
    with pytest.raises(ConfigError, match=rf"Give different numbers from 0 to {LAYERS}"):
        Nait(layers=[LAYERS + 1]).score(pool(), [MATH], x)


# The end token.


@pytest.mark.parametrize("options", [{}, {"site": "mlp", "direction": "contrast"}, {"merge": "directions"}])
def test_the_end_token_is_read_on_both_sides_as_under_eos_always(
    options: dict[str, Any], x: StoredExtractor, opened: Open, no_network: Forbid
) -> None:
    plain = Nait(**options).score(pool(), [MATH, CODE], x)
    always = opened(x.store.root)
    always = always.under(template=replace(always.encodings.template, eos="always"))
    wanted = Nait(**options).score(pool(), [MATH, CODE], always)
    no_network()  # the texts are the same, and so are their addresses
    ended = Nait(**options, end_token=True)
    table = ended.score(pool(), [MATH, CODE], opened(x.store.root))
    np.testing.assert_array_equal(table.values, wanted.values)
    assert table.definition == f"{wanted.definition}, the end token included"
    rows, among = np.array([2]), np.ones(len(pool()), dtype=bool)
    (part, *_) = ended.contributions(pool(), [MATH, CODE], opened(x.store.root), rows=rows, among=among)
    assert part.parts.sum() == pytest.approx(table.column(part.target)[2], rel=1e-5)
    assert not np.allclose(plain.values, table.values)


def test_directions_to_the_end_token_are_refused_where_it_is_not_read(opened: Open, tmp_path: Path) -> None:
    x = opened(tmp_path)
    Nait(end_token=True).directions(pool(), [MATH], x)
    (artifact,) = x.store.artifacts("directions")
    (given,) = read_directions({"math": str(artifact.path)})
    Nait(end_token=True).score(pool(), [given], x)
    with pytest.raises(ConfigError, match="computed with template="):
        Nait().score(pool(), [given], x)


# Directions made earlier.


@pytest.fixture(scope="module")
def folder_of_math(opened: Open, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the directions of MATH, as published."""
    x = opened(tmp_path_factory.mktemp("made"))
    Nait().directions(pool(), [MATH], x)
    (artifact,) = x.store.artifacts("directions")
    return artifact.path


def test_directions_made_earlier_score_as_their_reference_rows_do(
    x: StoredExtractor, folder_of_math: Path
) -> None:
    (given,) = read_directions({"math": str(folder_of_math)})
    assert len(given) == 0
    rows, from_rows = pool(16, name="another"), Nait().score(pool(16, name="another"), [MATH], x)
    table = Nait().score(rows, [given], x)
    np.testing.assert_array_equal(table.values, from_rows.values)
    assert table.diagnostics == from_rows.diagnostics


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"site": "mlp"}, "computed with site=residual, this run has mlp"),
        ({"reference_feature": "mean"}, "computed with reference_feature=delta, this run has mean"),
        ({"origin": "prompt_end"}, "computed with origin=first"),
        ({"direction": "uncentered"}, "computed with direction=pca, this run has uncentered"),
        ({"sign": "none"}, "computed with sign=shift, this run has none"),
        ({"components": 2}, "computed with components=1, this run has 2"),
    ],
)
def test_directions_of_another_kind_are_refused(
    options: Any, message: str, x: StoredExtractor, folder_of_math: Path
) -> None:
    (given,) = read_directions({"math": str(folder_of_math)})
    with pytest.raises(ConfigError, match=f"target 'math': the directions were {message}"):
        Nait(**options).score(pool(), [given], x)


def test_directions_of_an_earlier_version_of_the_site_are_refused(opened: Open, tmp_path: Path) -> None:
    x = opened(tmp_path)
    Nait(site="mlp").directions(pool(), [MATH], x)
    (artifact,) = x.store.artifacts("directions")
    (given,) = read_directions({"math": str(artifact.path)})
    Nait(site="mlp").score(pool(), [given], x)
    del given.derived[0]["key"]["reading"]["site_version"]
    with pytest.raises(ConfigError, match=r"computed with site=mlp \(version 1\), this run has mlp"):
        Nait(site="mlp").score(pool(), [given], x)


def test_directions_of_another_model_or_template_are_refused(
    folder_of_math: Path, opened: Open, tmp_path: Path, no_network: Forbid
) -> None:
    (given,) = read_directions({"math": str(folder_of_math)})
    no_network()
    other = opened(tmp_path / "a", save(tmp_path / "other", "mistral"))
    with pytest.raises(ConfigError, match="computed with model="):
        Nait().score(pool(), [given], other)
    plain, question = opened(tmp_path / "b"), TextTemplate(prompt="Question: {user}\nA: ")
    template = plain.encodings.template
    other = StoredExtractor(plain.model, plain.store, template, reference_template=question)
    with pytest.raises(ConfigError, match="computed with template="):
        Nait().score(pool(), [given], other)


def test_directions_made_earlier_cannot_be_decomposed_together(
    x: StoredExtractor, folder_of_math: Path
) -> None:
    (given,) = read_directions({"math": str(folder_of_math)})
    with pytest.raises(ConfigError, match=r"selector\.merge: math: stored directions"):
        Nait(merge="directions").score(pool(), [given, CODE], x)


def test_directions_of_another_length_limit_are_a_warning(
    folder_of_math: Path, opened: Open, tmp_path: Path
) -> None:
    (given,) = read_directions({"math": str(folder_of_math)})
    x = opened(tmp_path)
    for limit, said in ((None, []), (100, ["math: its directions are of texts of at most 128 tokens"])):
        table = Nait().score(pool(), [given], x.under(max_length=limit))
        assert [
            text.partition(", and this run reads")[0] for text in table.warnings if "at most" in text
        ] == said


def test_read_directions_says_what_is_wrong(folder_of_math: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"Did you mean '{folder_of_math.name}'"):
        read_directions({"math": str(folder_of_math)[:-1]})
    with pytest.raises(ConfigError, match=r"target\.paths: no folder is given"):
        read_directions({})
    for name in ("manifest.json", "arrays.safetensors"):
        (tmp_path / name).write_bytes((folder_of_math / name).read_bytes()[:-100])
    (tmp_path / "manifest.json").write_bytes((folder_of_math / "manifest.json").read_bytes())
    with pytest.raises(DataError, match=r"arrays\.safetensors has .* bytes instead of"):
        read_directions({"math": str(tmp_path)})


# Diagnostics.


def test_diagnostics_cover_every_layer_and_target(x: StoredExtractor) -> None:
    table = Nait(layers=[1, 3]).score(pool(), [MATH, CODE], x)
    assert set(table.diagnostics) == {"math", "code"}
    facts = table.diagnostics["math"]
    assert list(facts["explained_variance"]) == list(facts["sign_margin"]) == ["0", "1", "2", "3"]
    assert all(0 < share <= 1 for share in facts["explained_variance"].values())
    assert all(0 <= margin <= 1 for margin in facts["sign_margin"].values())
    shares = facts["layer_share_of_score_variance"]
    assert list(shares) == ["1", "3"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert set(facts["cosine_to"]) == {"code"}
    assert facts["cosine_to"] == {"code": table.diagnostics["code"]["cosine_to"]["math"]}
    (math, code) = (found for _, found in Nait().directions(pool(), [MATH, CODE], x))
    wanted = [float(a @ b) for a, b in zip(math.vectors[:, 0], code.vectors[:, 0], strict=True)]
    np.testing.assert_allclose(facts["cosine_to"]["code"], wanted, atol=1e-3)


def with_directions(folder: Path, margins: list[float], sizes: list[float]) -> Target:
    """A target with the manifest of real directions, and vectors, margins of our own."""
    (given,) = read_directions({"math": str(folder)})
    manifest, _ = given.derived
    v = np.random.default_rng(0).normal(size=(LAYERS + 1, 1, HIDDEN))
    v *= np.array(sizes)[:, None, None] / np.linalg.norm(v, axis=2, keepdims=True)
    found = Directions(v, v[:, 0], np.full((LAYERS + 1, 1), 0.5), np.array(margins))
    return replace(given, derived=(manifest, found))


def test_a_sign_near_chance_is_a_warning(x: StoredExtractor, folder_of_math: Path) -> None:
    one = with_directions(folder_of_math, [0.0, 0.5, 0.09, 0.5], [1.0, 1.0, 1.0, 1.0])
    spoken = [w for w in Nait().score(pool(), [one], x).warnings if "coin toss" in w]
    # Layer 0 is not part of the score, so its margin does not matter.
    assert spoken == [
        "math: the sign of the direction is nearly a coin toss (margin < 0.1) in 1 of 3 layers: 2."
    ]
    assert not [w for w in Nait(layers=[1, 3]).score(pool(), [one], x).warnings if "coin toss" in w]


def test_warnings_of_the_pool_rule_are_about_its_own_margins(x: StoredExtractor) -> None:
    nait = Nait(sign="pool")
    table = nait.score(pool(), [MATH], x)
    ((_, found),) = nait.directions(pool(), [MATH], x)
    shift = found.mean - nait.pool_mean(pool(), x)
    wanted = np.abs((shift * found.vectors[:, 0]).sum(axis=1)) / np.linalg.norm(shift, axis=1)
    margins = table.diagnostics["math"]["pool_sign_margin"]
    np.testing.assert_allclose(list(margins.values()), wanted, atol=1e-4)
    assert "pool_sign_margin" not in Nait().score(pool(), [MATH], x).diagnostics["math"]
    other = facts([0.5, 0.5], [0.5, 0.5]) | {"pool_sign_margin": {"1": 0.01, "2": 0.5}}
    assert "in 1 of 2 layers: 1." in warnings({"math": other}, signed=True)[0]
    fine = facts([0.0, 0.0], [0.5, 0.5]) | {"pool_sign_margin": {"1": 0.5, "2": 0.5}}
    assert not warnings({"math": fine}, signed=True)


def test_a_layer_that_dominates_the_score_is_a_warning(x: StoredExtractor, folder_of_math: Path) -> None:
    one = with_directions(folder_of_math, [0.5] * 4, [1.0, 1.0, 1.0, 50.0])
    spoken, advice = Nait().score(pool(), [one], x).warnings
    assert spoken.startswith("math: layer 3 alone carries ")
    assert spoken.endswith("% of the score's variance.")
    assert advice.startswith("math: this reading of NAIT may select the wrong rows here.")
    assert not Nait(layers=[3]).score(pool(), [one], x).warnings  # one layer, chosen: no news


def test_no_sign_rule_no_coin(x: StoredExtractor) -> None:
    spoken = Nait(direction="contrast").score(pool(), [MATH, CODE], x).warnings
    assert not [w for w in spoken if "coin toss" in w]


def facts(margins: list[float], shares: list[float]) -> dict[str, Any]:
    """The diagnostics of one target with these margins and shares, a layer each."""
    numbers = [str(layer + 1) for layer in range(len(margins))]
    return {
        "sign_margin": dict(zip(numbers, margins, strict=True)),
        "layer_share_of_score_variance": dict(zip(numbers, shares, strict=True)),
    }


FINE = facts([0.5] * 8, [0.125] * 8)
TOSSED = facts([0.05] * 2 + [0.5] * 6, [0.125] * 8)
RULED = facts([0.5] * 8, [0.6, 0.4] + [0.0] * 6)
LITTLE = facts([0.05] + [0.5] * 7, [0.125] * 8)


@pytest.mark.parametrize("bad", [TOSSED, RULED], ids=["many coin tosses", "one layer decides"])
def test_bad_diagnostics_point_to_the_contrast(bad: Any) -> None:
    spoken = warnings({"math": FINE, "code": bad}, signed=True)
    assert len(spoken) == 2
    assert spoken[-1].startswith("code: ")
    assert "selector=nait_contrast" in spoken[-1]


@pytest.mark.parametrize("fine", [FINE, LITTLE], ids=["wide margins", "one coin toss of eight"])
def test_fine_diagnostics_point_nowhere(fine: Any) -> None:
    assert not [w for w in warnings({"math": fine}, signed=True) if "nait_contrast" in w]


def test_a_sign_that_no_rule_chose_points_nowhere() -> None:
    assert warnings({"math": TOSSED}, signed=False) == []


def test_the_contrast_is_not_pointed_to_itself() -> None:
    assert warnings({"math": RULED}, signed=False, contrast=True) == [
        "math: layer 1 alone carries 60% of the score's variance."
    ]


def test_the_pointer_names_a_few_of_many_targets() -> None:
    spoken = warnings({f"t{i}": TOSSED for i in range(57)}, signed=True)
    assert spoken[-1].startswith("t0, t1, t2, t3, t4, t5, t6, t7 and 49 more: ")


@pytest.mark.parametrize("kind", ["directions", "passes"])
def test_damaged_arrays_are_logged_and_made_again(
    kind: str, opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = Nait().score(pool(), [MATH], opened(tmp_path))
    damaged = [path for path in (tmp_path / kind).glob("*/*") if path.suffix in (".npy", ".safetensors")]
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:50])
    after = Nait().score(pool(), [MATH], opened(tmp_path))
    assert after.values.tobytes() == before.values.tobytes()
    assert f"{damaged[0].name} has 50 bytes instead of" in caplog.text


def test_a_contrast_is_with_the_pool_under_its_own_template(opened: Open, tmp_path: Path) -> None:
    """Another template of the pool gives other directions, also where the references keep theirs."""
    contrast, kept = (
        Nait(direction="contrast", feature="mean", reference_feature="mean"),
        opened(tmp_path / "one"),
    )
    other = TextTemplate(prompt="Instruction: {user}. Answer: ")
    first, second, alone = (
        StoredExtractor(kept.model, store, template, reference_template=TextTemplate(prompt="{user} = "),
                        engine=Engine(progress=False))
        for store, template in (
            (kept.store, TextTemplate(prompt="Q: {user}\nA: ")), (kept.store, other), (Store(tmp_path / "two"), other)
        )
    )  # fmt: skip
    contrast.score(pool(), [MATH], first)
    again, wanted = (contrast.score(pool(), [MATH], x).values for x in (second, alone))
    np.testing.assert_allclose(again, wanted, rtol=1e-6)


def test_directions_of_one_template_keep_their_address(opened: Open, tmp_path: Path) -> None:
    x = opened(tmp_path)
    Nait(direction="contrast").score(pool(), [MATH], x)
    (made,) = x.store.artifacts("directions")
    assert "pool_template" not in made.manifest["key"]
