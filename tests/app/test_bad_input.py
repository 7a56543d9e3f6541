"""Bad input gets one clear message before a model is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.commands import Run

BAD = [
    ("an unknown key", ["selector.layerz=1"], ["selector.layerz", "Did you mean 'selector.layers'"]),
    ("an unknown option", ["selector=nate"], ["selector=nate", "Did you mean 'nait'"]),
    ("a missing file", ["data.path=nowhere.jsonl"], ["nowhere.jsonl", "no such file"]),
    ("a missing value", ["data.path=???"], ["data.path", "Set data.path="]),
    ("an unknown stage", ["stages=[selekt]"], ["stages", "Did you mean 'select'"]),
    ("a report of nothing", ["stages=[report]"], ["stages", "nothing to report on", "nait-leaderboard"]),
    ("an unknown site", ["selector.site=mpl"], ["selector.site", "Did you mean 'mlp'"]),
    ("a ratio above 1", ["budget.ratio=3"], ["budget.ratio", "0.1 selects a tenth"]),
    (
        "a one-row reference set",
        ["target.limit=1"],
        ["target 'refs'", "at least two different reference rows"],
    ),
    ("an unknown task", ["eval.tasks=[toy_sumz]"], ["toy_sumz", "toy_sums"]),
    ("a model that is not there", ["model.path=nowhere"], ["model.path=nowhere", "no such folder"]),
    ("a value of the wrong kind", ["seed=abc"], ["seed", "is not a whole number"]),
    ("a length beyond the context", ["model.max_length=1896"], ["model.max_length", "256"]),
]


@pytest.mark.parametrize(("arguments", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_gets_one_clear_message_before_a_model_is_opened(
    nait: Run, arguments: list[str], words: list[str]
) -> None:
    done = nait(*arguments)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert "Opening" not in done.stderr
    said = [line for line in done.stderr.splitlines() if words[0] in line]
    said = [line for line in said if not line.endswith(" is used.")]  # of a key that is given twice, as here
    assert len(said) == 1, done.stderr


def test_a_row_without_an_answer_is_named(nait: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"instruction": "a", "output": "b"}\n{"instruction": "a"}\n')
    done = nait(f"data.path={tmp_path / 'bad.jsonl'}")
    assert done.returncode == 2
    for word in ("bad.jsonl", "line 2", "output"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("", ["template=file", "template.path=short.yaml", "selector=random"]),
        (
            "selector.template",
            ["selector=selectit", "selector.template.prompt='Q: {instruction}'"],
        ),
    ],
    ids=["the job's template", "a method's own template"],
)
def test_a_field_that_a_template_drops_is_named_before_a_model_is_opened(
    nait: Run, path: str, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "short.yaml").write_text('prompt: "{instruction}: "\n')
    (tmp_path / "in.jsonl").write_text(
        '{"instruction": "a", "output": "b"}\n{"instruction": "a", "input": "x", "output": "b"}\n'
    )
    done = nait(f"data.path={tmp_path / 'in.jsonl'}", "stages=[select]", *arguments)
    assert done.returncode == 2, done.stderr
    for word in ("in.jsonl line 2", "does not show its input", "template.prompt_with_input", path):
        assert word in done.stderr
    assert "Opening" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_name_with_line_breaks_forges_no_line_of_a_log(nait: Run, tmp_path: Path, home: Path) -> None:
    path = tmp_path / "a\n10:00:00 I Nothing is wrong.\nnait: forged\n.jsonl"
    path.write_bytes((home / "pool.jsonl").read_bytes())
    done = nait(f"data.path='{path}'", "selector=random", "stages=[select]")
    assert done.returncode == 0, done.stderr
    (log,) = (tmp_path / "runs").rglob("*.log")
    for text in (done.stderr, log.read_text()):
        assert "Nothing is wrong." in text
        assert not [line for line in text.splitlines() if line.startswith(("10:00:00 I N", "nait: forged"))]
    path.write_text("{")
    done = nait(f"data.path='{path}'", "selector=random", "stages=[select]")
    assert done.returncode == 2
    assert not [
        line for line in done.stderr.splitlines() if line.startswith(("10:00:00 I N", "nait: forged"))
    ]
