"""Generated programs run in limited processes, and only when it is allowed."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import pytest

from nait.core.errors import ConfigError
from nait.eval.code_execution import child, programs
from nait.eval.code_execution.code_eval import CodeEval, code_warnings, providing
from nait.eval.code_execution.kernel_filter import ARCHITECTURES, kernel_filter
from nait.eval.code_execution.pass_at_k import pass_at_k
from nait.eval.code_execution.programs import Limits, isolation_text, run_programs
from nait.eval.harness import LmEval

Shared = Callable[[str], Path]
PLANTED = {
    "a fork bomb": ("import os\nwhile True: os.fork()", "PermissionError"),
    "a subprocess": ("import subprocess\nsubprocess.run(['true'])", "PermissionError"),
    "a written file": ("open({file!r}, 'w').write('x')", "PermissionError"),
    "a socket": ("import socket\nsocket.create_connection(('127.0.0.1', 1))", "PermissionError"),
    "a signal to another process": ("import os\nos.kill(os.getppid(), 9)", "PermissionError"),
    "a deleted file": ("import os\nos.remove({kept!r})", "PermissionError"),
    "too much memory": ("x = bytearray(8 << 30)", "MemoryError"),
    "an early exit": ("import os\nos._exit(0)", "status 0"),
    "an exit by exception": ("raise SystemExit(0)", "SystemExit"),
    "a request for input": ("input()", "EOFError"),
    "a failed test": ("assert 1 == 2", "AssertionError"),
    "a false report": (
        "import os\nos.write(int(__import__('sys').argv[1]), b'[0, \"passed\"]\\n')",
        "report",
    ),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, programs.Outcome]]:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "kept").write_text("kept")
    names = {"file": str(folder / "made"), "kept": str(folder / "kept")}
    found = run_programs([text.format(**names) for text, _ in PLANTED.values()])
    return folder, dict(zip(PLANTED, found, strict=True))


@pytest.mark.parametrize("name", PLANTED)
def test_a_harmful_or_wrong_program_fails_cleanly(
    name: str, planted: tuple[Path, dict[str, programs.Outcome]]
) -> None:
    outcome = planted[1][name]
    assert not outcome.passed
    assert outcome.message.startswith("failed: ")
    assert PLANTED[name][1] in outcome.message


def test_a_program_changes_no_file(planted: tuple[Path, dict[str, programs.Outcome]]) -> None:
    assert {path.name: path.read_text() for path in planted[0].iterdir()} == {"kept": "kept"}


def test_endless_and_waiting_programs_time_out() -> None:
    limits = Limits(seconds=1, wall=4.0)
    loop, wait, fine = run_programs(["while True: pass", "import time; time.sleep(60)", "x = 1"], limits)
    assert (loop.message, wait.message, fine.message) == ("timed out", "timed out", "passed")


def test_a_program_has_its_libraries_and_no_variable_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    tests = ["import numpy\nassert numpy.eye(2).sum() == 2", "import os\nassert 'HF_TOKEN' not in os.environ"]
    assert all(outcome.passed for outcome in run_programs(tests))


LOOP = """
import asyncio
async def double(x):
    await asyncio.sleep(0)
    return 2 * x
async def both():
    return await asyncio.gather(double(1), asyncio.to_thread(lambda: 3))
assert asyncio.run(both()) == [2, 3]
"""
PAIRS = """
import socket
left, right = socket.socketpair()
left.sendall(b"x")
assert right.recv(1) == b"x"
tries = {
    "other pairs": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    "a connection": lambda: left.connect("/dev/log"),
    "a name": lambda: left.bind("name"),
    "a network socket": lambda: socket.socket(socket.AF_INET),
}
for name, attempt in tries.items():
    try:
        attempt()
    except PermissionError:
        continue
    raise ValueError(name)
"""


@pytest.mark.parametrize("filtered", [True, False])
def test_a_program_may_use_asyncio_and_pairs_of_sockets_but_no_other(
    filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not filtered:
        monkeypatch.setattr(programs, "kernel_filter", lambda: b"")
    loop, pairs = run_programs([LOOP, PAIRS])
    assert pairs.message == "passed"
    if filtered:  # without the filter, a program has no thread
        assert loop.message == "passed"


def test_equal_programs_run_once() -> None:
    first, other, again = run_programs(["x = 1", "x = 2", "x = 1"])
    assert first is again is not other


ALONE = """
import importlib.util, resource, sys
spec = importlib.util.spec_from_file_location("child", sys.argv[1])
child = importlib.util.module_from_spec(spec)
spec.loader.exec_module(child)
import _posixsubprocess, _socket, os, threading
left, right = _socket.socketpair()
granted = child.isolate(bytes.fromhex(sys.argv[2]))
again = child.isolate(bytes.fromhex(sys.argv[2]))  # the filter refuses a namespace, as other systems do
def refused(call, *given):
    try:
        call(*given)
    except PermissionError:
        return True
found = [
    refused(os.fork), refused(_socket.socket), refused(left.connect, sys.argv[3]), refused(left.bind, sys.argv[3]),
    refused(left.listen), refused(left._accept), refused(_socket.socketpair, _socket.AF_UNIX, _socket.SOCK_DGRAM),
    bool(_socket.socketpair()), refused(os.kill, os.getppid(), 0), refused(os.unlink, sys.argv[3]),
    refused(os.open, sys.argv[3], os.O_RDWR), refused(os.rename, sys.argv[3], sys.argv[3] + "2"),
    refused(os.execv, sys.executable, [sys.executable]), refused(os.chmod, sys.argv[3], 0),
    refused(resource.prlimit, os.getppid(), resource.RLIMIT_CPU, (1, 1)), refused(os.truncate, sys.argv[3], 0),
]
thread = threading.Thread(target=int)
thread.start()
thread.join()
with open(sys.argv[3]) as file:
    closed = again == {"namespace": False, "filter": True}
    print(granted["filter"], all(found), closed, resource.getrlimit(resource.RLIMIT_CPU) is not None, file.read())
"""


@pytest.mark.skipif(not kernel_filter(), reason="this system has no kernel filter")
def test_the_kernel_filter_alone_refuses_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    given = [sys.executable, "-c", ALONE, child.__file__, kernel_filter().hex(), str(kept)]
    done = subprocess.run(given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "True", "kept"]


def test_the_audit_hook_alone_refuses_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "kernel_filter", lambda: b"")
    names = {"file": str(tmp_path / "made"), "kept": str(tmp_path / "kept")}
    (tmp_path / "kept").write_text("kept")
    chosen = [text.format(**names) for text, reason in PLANTED.values() if reason == "PermissionError"]
    found = run_programs(chosen)
    assert all(outcome.message.startswith("failed: PermissionError") for outcome in found)
    assert all(outcome.isolation.endswith("audit hook only") for outcome in found)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_filter_exists_for_known_processors_only() -> None:
    assert all(len(kernel_filter(name)) % 8 == 0 < len(kernel_filter(name)) for name in ARCHITECTURES)
    assert kernel_filter("riscv64") == b""


def test_the_isolation_says_how_the_network_is_closed() -> None:
    assert isolation_text({"namespace": True, "filter": True}) == "empty network namespace, kernel filter"
    weaker = isolation_text({"namespace": False, "filter": True})
    assert weaker == "refused socket calls, kernel filter"
    assert code_warnings({"isolation": "empty network namespace, kernel filter"}) == code_warnings({}) == []
    (said,) = code_warnings({"isolation": weaker})
    assert said.endswith(f"weaker isolation than empty network namespace, kernel filter: {weaker}")


def test_pass_at_k_has_its_hand_computed_values() -> None:
    assert pass_at_k(5, 2, 1) == pytest.approx(0.4)
    assert pass_at_k(5, 2, 3) == pytest.approx(0.9)  # 1 - C(3, 3) / C(5, 3)
    assert pass_at_k(20, 1, 10) == pytest.approx(0.5)
    assert (pass_at_k(5, 2, 4), pass_at_k(5, 0, 5), pass_at_k(3, 3, 1)) == (1.0, 0.0, 1.0)
    with pytest.raises(ConfigError, match="pass@3 needs at least 3 answers"):
        pass_at_k(2, 1, 3)


def test_pass_at_k_is_the_share_of_draws_with_a_pass() -> None:
    for n, passed, k in [(6, 2, 3), (7, 1, 2), (5, 4, 2)]:
        draws = list(itertools.combinations([True] * passed + [False] * (n - passed), k))
        assert pass_at_k(n, passed, k) == pytest.approx(fmean(any(draw) for draw in draws))


def test_code_eval_returns_what_the_package_returns() -> None:
    """The example of the metric's documentation."""
    wrong, right = "def add(a, b):\n    return a*b", "def add(a, b):\n    return a+b"
    metric = CodeEval()
    estimates, details = metric.compute([[wrong, right]], ["assert add(2, 3) == 5"], k=[1, 2])
    assert estimates == {"pass@1": 0.5, "pass@2": 1.0}
    passes = [(number, record["passed"], record["completion_id"]) for number, record in details[0]]
    assert passes == [(0, False, 0), (1, True, 1)]
    summary = metric.summary()
    assert (summary["programs"], summary["passed"], summary["failed"], summary["timed_out"]) == (2, 1, 1, 0)
    assert "network namespace" in summary["isolation"] or "refused socket calls" in summary["isolation"]


def solutions(hub: Path) -> list[str]:
    """HumanEval's canonical solutions with their tests."""
    import pyarrow.parquet as pq

    rows = pq.read_table(next((hub / "openai" / "openai_humaneval").rglob("*.parquet"))).to_pylist()
    return [
        f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})"
        for row in rows
    ]


def test_canonical_solutions_pass(shared: Shared) -> None:
    assert all(outcome.passed for outcome in run_programs(solutions(shared("data/hub"))[::16]))


@pytest.mark.slow
def test_all_canonical_solutions_pass_and_empty_ones_fail(shared: Shared) -> None:
    texts = solutions(shared("data/hub"))
    assert sum(outcome.passed for outcome in run_programs(texts)) == len(texts) == 164
    empty = [text.replace("\n    ", "\n    return None\n    ", 1) for text in texts]
    assert sum(outcome.passed for outcome in run_programs(empty)) < 10


def test_code_eval_is_provided_while_tasks_are_built_and_not_later(tmp_path: Path) -> None:
    import evaluate

    before, metric = evaluate.load, CodeEval()
    with providing(metric, []):
        assert evaluate.load("code_eval") is metric
    assert evaluate.load is before


@pytest.mark.parametrize(
    "name", ["humaneval", "mbpp", "humaneval_64", "humaneval_plus", "mbpp_plus_instruct"]
)
def test_a_task_that_runs_code_needs_permission(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="allow_code_execution=true") as refused:
        LmEval([name], mirror=str(tmp_path)).check()
    assert name in str(refused.value)
    with pytest.raises(ConfigError, match="data are missing"):
        LmEval([name], mirror=str(tmp_path), allow_code_execution=True).check()


def test_a_task_that_runs_code_by_its_own_means_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="by their own means"):
        LmEval(["cruxeval_input"], mirror=str(tmp_path), allow_code_execution=True).check()
    with pytest.raises(ConfigError, match="by their own means"):
        LmEval(["cruxeval_input"], online=True, allow_code_execution=True).suite  # noqa: B018


def test_stock_tasks_score_programs_by_running_them(shared: Shared) -> None:
    """The harness's own task, with right and wrong answers instead of a model's."""
    hub = shared("data/hub")
    evaluator = LmEval(["humaneval", "mbpp"], mirror=str(hub), allow_code_execution=True)
    code = CodeEval()
    with evaluator._tasks(code) as tasks:
        assert code.outcomes == []
        doc = next(iter(tasks["humaneval"].eval_docs))
        right, wrong = [doc["prompt"] + doc["canonical_solution"]], [doc["prompt"] + "    return None\n"]
        assert tasks["humaneval"].process_results(doc, [right]) == {"pass@1": 1.0}
        assert tasks["humaneval"].process_results(doc, [wrong]) == {"pass@1": 0.0}
        doc = next(iter(tasks["mbpp"].eval_docs))
        assert tasks["mbpp"].process_results(doc, [doc["code"]]) == {"pass_at_1": 1.0}
    assert [outcome.passed for outcome in code.outcomes] == [True, False, True]
    assert evaluator.key()["code_execution"]["seconds"] == 3
    assert "code_execution" not in LmEval(["gsm8k"], mirror=str(hub)).key()
