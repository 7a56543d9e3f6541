"""The jobs of a sweep: what is composed before the first, and which keys each has."""

from __future__ import annotations

import json
import pickle
import shlex
from itertools import product
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn
from hydra_plugins.nait import check_evaluation, covering, launcher_error, targets_of
from omegaconf import OmegaConf

import nait.cli.config.resolvers  # noqa: F401  # registers them
from nait.cli.command.command_line import hydra_line, split
from nait.cli.command.config_groups import compose, loader_of
from nait.cli.command.sweep_jobs import Jobs, expand
from nait.cli.config.log_lines import AGAIN
from nait.cli.sweep import Sweep, portable, progress
from nait.core.errors import ConfigError, NaitError
from nait.store.files.damaged import DamagedError
from tests.app.commands import Run, given, manifests

FAILED = (
    "Failed jobs, of 4:\n- selector=scores selector.path=nowhere.parquet seed=0, "
    "selector=scores selector.path=nowhere.parquet seed=1: nowhere.parquet: there is no such file."
)


def jobs(*words: str) -> Jobs:
    """The jobs of `nait -m` with these words."""
    loader = loader_of()
    base = compose(loader, hydra_line(split(["-m", *words]), loader).words)
    params = [f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items()]
    return expand(loader, base, [*params, *base.hydra.overrides.task])


def test_each_value_is_composed_once_and_no_more_combinations_than_that_takes() -> None:
    values = [["a=1", "a=2", "a=3"], ["b=1"], ["c=1", "c=2"]]
    batch = [list(job) for job in product(*values)]
    kept = covering(batch)
    assert {word for job in kept for word in job} == {word for part in values for word in part}
    assert len(kept) == 4
    assert kept[0] == batch[0]


def test_values_of_a_dotted_key_are_composed_once_together_and_options_each() -> None:
    batch = [["selector=rds", "selector.subset=0"], ["selector=rds", "selector.subset=1"], ["selector=ifd"]]
    assert covering(batch) == [batch[0], batch[2]]


def test_a_sweep_over_targets_warns_that_held_out_rows_give_each_job_its_own_benchmark(
    nait: Run, home: Path
) -> None:
    words = [
        "-m",
        *(word for word in given(home) if not word.startswith(("target", "eval"))),
        "selector=random",
    ]
    words += ["target=files", f"target.paths={{a: {home}/pool.jsonl, b: {home}/pool.jsonl}}", "eval=heldout"]
    for swept, told in (
        ("target.capabilities=[a],[b]", True),
        ("seed=0,1", False),
        ("target.seed=0,1", False),
    ):
        done = nait(*words, "plan=true", swept, bare=True)
        assert done.returncode == 0, done.stderr
        assert ("no transfer matrix" in done.stderr) is told
    assert targets_of(["seed=1", "target.capabilities=[a]", "target.seed=3", "++target=files"]) == (
        "target.capabilities=[a]", "++target=files",
    )  # fmt: skip


def test_a_serial_sweep_says_which_job_begins_and_the_time_left() -> None:
    assert progress(0, 12, 0.0) == "Job 1 of 12."
    assert progress(3, 12, 20.0) == "Job 4 of 12, about 60 s left."
    assert progress(1, 55, 60.0) == "Job 2 of 55, about 54 min left."


def test_no_jobs_are_none() -> None:
    assert covering([]) == []


def test_a_key_that_some_options_have_is_theirs_and_the_others_run_once() -> None:
    made = jobs("selector=nait,random", "selector.layers=[1],[2]", "budget.ratio=0.05,0.1")
    assert sorted(made.overrides) == sorted(
        [
            *(
                ["selector=nait", f"selector.layers=[{n}]", f"budget.ratio={r}"]
                for n in (1, 2)
                for r in (0.05, 0.1)
            ),
            *(["selector=random", f"budget.ratio={r}"] for r in (0.05, 0.1)),
        ]
    )
    assert made.notes == ["selector.layers applies to selector=nait; selector=random runs without it."]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["budget=count,ratio", "budget.count=40"], [["budget=count", "budget.count=40"], ["budget=ratio"]]),
        (["model=nano,local", "model.path=M"], [["model=nano"], ["model=local", "model.path=M"]]),
        (["train=lora,none", "train.lora.r=4,8"], [["train=lora", "train.lora.r=4"], ["train=lora", "train.lora.r=8"],
                                                   ["train=none"]]),
        (["train=lora,full", "train.lora.r=4"], [["train=lora", "train.lora.r=4"], ["train=full"]]),
        (["order=middle,from_quantile", "order.q=0.2"], [["order=middle"], ["order=from_quantile", "order.q=0.2"]]),
        (["target=none,file", "target.path=a.jsonl"], [["target=none"], ["target=file", "target.path=a.jsonl"]]),
        (["eval=nano,gsm8k", "eval.limit=4"], [["eval=nano", "eval.limit=4"], ["eval=gsm8k", "eval.limit=4"]]),
        (["selector=perplexity_rds,perplexity", "order.q=0.2"],
         [["selector=perplexity_rds", "order.q=0.2"], ["selector=perplexity"]]),
        (["seed=0,1", "eval=mmlu", "eval.num_fewshot={gsm8k: 8}"],
         [[f"seed={s}", "eval=mmlu", "++eval.num_fewshot={gsm8k:8}"] for s in (0, 1)]),
    ],
)  # fmt: skip
def test_a_key_of_some_options_applies_to_their_jobs_in_every_group(
    words: list[str], expected: list[list[str]]
) -> None:
    assert jobs(*words).overrides == expected


def test_the_options_of_a_named_sweep_count_too() -> None:
    made = jobs("sweep=methods", "selector.alpha=0.3", "seed=0")
    assert len(made.overrides) == 12
    assert [job for job in made.overrides if "selector.alpha=0.3" in job] == [
        ["selector=selectit", "seed=0", "sweep=methods", "selector.alpha=0.3"]
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["selector=random,full", "selector.layers=[1]"],
            "selector.layers: selector=full,random has no such key. It needs selector=nait, nait_contrast, nait_end, "
            "nait_mean, nait_mlp or nait_mlp_end.",
        ),
        (["selector=nait,random", "selector.layerz=[1]"], "there is no such key. Did you mean 'selector.layers'?"),
        (["seed=0,1", "budget.count=40"], "budget.count: budget=ratio has no such key. It needs budget=count."),
    ],
)  # fmt: skip
def test_a_key_that_none_of_them_has_is_an_error(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        jobs(*words)
    assert message in str(caught.value)


def test_cfg_of_a_sweep_is_that_of_its_first_job(nait: Run) -> None:
    done = nait("-m", "selector=random,nait", "selector.layers=[1]", "--cfg", "job", "--package", "selector")
    assert done.returncode == 0, done.stderr
    assert "name: random" in done.stdout


def test_a_job_of_such_a_sweep_is_repeated_by_its_command(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=nait,random", "selector.layers=[1],[2]", "stages=[select]")
    assert done.returncode == 0, done.stderr
    assert "selector.layers applies to selector=nait; selector=random runs without it." in done.stderr
    made = manifests(tmp_path)
    assert sorted((one["selector"], str(one["config"]["selector"].get("layers"))) for one in made) == [
        ("nait", "[1]"), ("nait", "[2]"), ("random", "None")
    ]  # fmt: skip
    (command,) = [one["config"]["command"] for one in made if one["selector"] == "random"]
    assert "layers" not in command
    assert nait(*shlex.split(command)[1:], "paths.runs=again", bare=True).returncode == 0


def test_a_finished_job_of_a_sweep_keeps_no_config() -> None:
    config = compose(loader_of(), ["seed=1"])
    done = JobReturn(cfg=config, hydra_cfg=config)
    Sweep().on_job_end(config, done)
    assert done.cfg is None
    assert done.hydra_cfg is None


def test_a_warning_that_the_jobs_share_is_shown_once_and_is_in_the_log_of_each(
    nait: Run, tmp_path: Path
) -> None:
    done = nait("-m", "selector=length", "seed=0,1", "stages=[select]")
    assert done.returncode == 0, done.stderr
    warnings = [line.split(" ", 1)[1] for line in done.stderr.splitlines() if " W " in line[:12]]
    assert warnings
    assert len(set(warnings)) == len(warnings)
    logs = [path.read_text() for path in sorted((tmp_path / "runs").rglob("*.log"))]
    assert len(logs) == 2
    for line in warnings:
        assert [line in text for text in logs] == [True, True]


def test_an_error_that_the_jobs_share_is_shown_once(nait: Run, home: Path) -> None:
    words = [word for word in given(home) if not word.startswith("eval")]
    done = nait("-m", *words, "eval=heldout", "selector=random", "seed=0,1,2", bare=True)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "each side needs" in line]
    assert len(lines) == 2
    assert " E " in lines[0][:12]
    assert lines[1].startswith("nait: ")  # the message that ends the sweep
    assert done.stderr.count(AGAIN) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eval=gsm8k", "eval.mirror=hub", "seed=0,1"], "data are missing for 1 of 1 tasks: gsm8k (openai/gsm8k"),
        (["eval=nano,gsm8k", "eval.mirror=hub"], "data are missing for 1 of 1 tasks: gsm8k (openai/gsm8k"),
        (["eval.tasks=[nano_math],[nano_maths]"], "unknown task 'nano_maths'"),
        (["eval=lm_eval", "seed=0,1"], "eval.tasks: a value is needed"),
    ],
)  # fmt: skip
def test_an_evaluation_that_cannot_run_ends_the_sweep_before_its_first_job(
    nait: Run, home: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "hub").mkdir()
    own = [word for word in given(home) if not word.startswith("eval")]
    done = nait("-m", *own, "selector=random,length", "stages=[select,evaluate]", *words, bare=True)
    assert done.returncode == 2
    assert done.stderr.count(message) == 1
    assert not manifests(tmp_path)


def test_an_evaluation_is_not_checked_where_no_job_evaluates(nait: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    words = ("selector=random,length", "stages=[select]", "eval=gsm8k", "eval.mirror=hub", "plan=true")
    own = [word for word in given(home) if not word.startswith("eval")]
    done = nait("-m", *own, *words, bare=True)
    assert done.returncode == 0, done.stderr


def test_a_server_that_jobs_on_other_machines_ask_is_not_asked_from_this_one() -> None:
    loader = loader_of()
    config = compose(loader, ["eval=nano", "eval.backend=endpoint"])
    with pytest.raises(ConfigError, match=r"eval\.backend=endpoint needs it"):
        check_evaluation(config, [])
    OmegaConf.update(config, "hydra.launcher._target_", "hydra_plugins.submitit.SlurmLauncher")
    check_evaluation(config, [])
    config.eval.tasks = ["nano_maths"]
    config.eval.backend = "shared_prefix"
    with pytest.raises(ConfigError, match="unknown task 'nano_maths'"):
        check_evaluation(config, [])


def test_a_failed_job_leaves_the_others_their_leaderboard(nait: Run, tmp_path: Path) -> None:
    words = ("stages=[select,report]", "selector.path=nowhere.parquet", "seed=0,1", "tracking=files")
    done = nait("-m", "selector=random,scores", *words)
    assert done.returncode == 2
    assert "there is no such file" in done.stderr
    assert FAILED in done.stdout
    (board,) = (tmp_path / "runs").rglob("leaderboard.json")
    assert [(row["selector"], row["seed"]) for row in json.loads(board.read_text())] == [
        ("random", 0), ("random", 1),
    ]  # fmt: skip


def test_the_jobs_after_a_failed_batch_run_too(nait: Run, tmp_path: Path) -> None:
    words = ("stages=[select,report]", "selector.path=nowhere.parquet", "tracking=files")
    done = nait("-m", "selector=scores,random,length", "hydra.sweeper.max_batch_size=1", *words)
    assert done.returncode == 2
    assert "there is no such file" in done.stderr
    assert (
        "Failed jobs, of 3:\n- selector=scores selector.path=nowhere.parquet: nowhere.parquet: there"
        in done.stdout
    )
    (board,) = (tmp_path / "runs").rglob("leaderboard.json")
    assert [row["selector"] for row in json.loads(board.read_text())] == ["random", "length"]
    for file in ("leaderboard.md", "report.md", "report.html"):
        text = " ".join((board.parent / file).read_text().split())
        assert "Failed jobs" in text, file
        assert "selector=scores selector.path=nowhere.parquet" in text, file


PARALLEL = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "tracking=files")


def test_a_job_that_fails_beside_others_leaves_them_their_leaderboard(process: Run, tmp_path: Path) -> None:
    words = ("stages=[select,report]", "selector.path=nowhere.parquet", "seed=0,1")
    done = process("-m", "selector=scores,random", *words, *PARALLEL)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert FAILED in done.stdout
    (board,) = (tmp_path / "runs").rglob("leaderboard.json")
    assert [(row["selector"], row["seed"]) for row in json.loads(board.read_text())] == [
        ("random", 0), ("random", 1),
    ]  # fmt: skip
    shown = [line.split(" ", 1)[1] for line in done.stderr.splitlines() if line[8:11] in (" W ", " E ")]
    assert shown
    assert sorted(set(shown) - {f"E {AGAIN}"}) == sorted(one for one in shown if one != f"E {AGAIN}")


def test_a_sweep_whose_jobs_all_fail_says_which_and_why(process: Run, tmp_path: Path) -> None:
    done = process("-m", "selector=random,length", "budget.ratio=3", "stages=[select]", *PARALLEL)
    assert done.returncode == 2
    assert "Failed jobs, of 2:\n- selector=random, selector=length: budget.ratio: 3 is not in" in done.stdout
    serial = process(
        "-m", "selector=random,length", "budget.ratio=3", "stages=[select,report]", "tracking=files"
    )
    assert serial.returncode == 2
    assert "No job reached a result.\nFailed jobs, of 2:" in serial.stdout
    assert not list((tmp_path / "runs").rglob("run.json"))


class Unreadable(Exception):  # as a library names it
    """An error that pickle writes and cannot read."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(f"{what} at {where}")


def test_an_error_reaches_another_process_whole_or_as_its_text() -> None:
    for error in (ConfigError("it broke", where="here", fix="Change it"), ValueError("plain")):
        found = pickle.loads(pickle.dumps(portable(error)))
        assert (type(found), str(found), found.__dict__) == (type(error), str(error), error.__dict__)
    damaged = DamagedError("it is cut", path=Path("a/b"), artifact=Path("a"))
    again = pickle.loads(pickle.dumps(damaged))
    assert (str(again), again.artifact) == (str(damaged), Path("a"))
    text = portable(Unreadable("it broke", where="there"))
    assert type(text) is RuntimeError
    assert str(text).endswith("Unreadable: it broke at there")


def test_a_killed_process_of_a_job_is_an_error_of_one_line() -> None:
    class TerminatedWorkerError(RuntimeError):
        pass

    found = launcher_error(
        TerminatedWorkerError("A worker process managed by the executor was unexpectedly ended.\nx")
    )
    assert isinstance(found, NaitError)
    assert "hydra/launcher: the process of a job ended without a word, perhaps for lack of memory" in str(
        found
    )
    other = ValueError("x")
    assert launcher_error(other) is other
