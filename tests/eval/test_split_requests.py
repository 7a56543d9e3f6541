"""Laws of split requests: two processes give the answers and counts of one, in the order of the requests."""

from __future__ import annotations

import itertools
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from nait.eval.language_model.answer_limits import CutAnswers
from nait.eval.language_model.context_limits import CutPrompts
from nait.eval.language_model.requests.split_requests import deal, serve_requests, split_requests
from nait.eval.language_model.shared_prefix import SharedPrefixLM
from nait.models.devices.process_group import sharing
from tests.app.commands import warm
from tests.app.warm import Started
from tests.eval.test_shared_prefix import asked, assert_alike, rated, texts
from tests.families import network, tokenizer

PROCESS = """
import os

from nait.core.ranks import workers_from
from nait.models.devices import process_group
from tests.eval.test_split_requests import run

workers = workers_from(os.environ)
process_group.init_process_group(workers)
run(workers)
"""
SAMPLED = {"do_sample": True, "temperature": 1.5}
TOO_LONG = [f"once upon a time {'there was a ' * 40}{word}" for word in ("dog", "cat", "tree")]


def requests() -> dict[str, list[Instance]]:
    """Requests by name: some prompts are too long for the context."""
    generated = [*asked(), *asked(5, **SAMPLED)]
    generated += [
        Instance("generate_until", {}, (text, {"until": ["\n"], "max_gen_toks": 4}), 0) for text in TOO_LONG
    ]
    for number, one in enumerate(generated):
        one.task_name, one.doc_id = f"task{number % 3}", number
    rates = [*rated(), *(Instance("loglikelihood", {}, (text, " A"), 0) for text in TOO_LONG)]
    for number, one in enumerate(rates):
        one.task_name, one.doc_id = "rated", number
    return {"loglikelihood": rates, "generate_until": generated}


def run(workers: Any) -> dict[str, Any]:
    """Answers and counts; printed by rank 0 as JSON."""
    lm = SharedPrefixLM(
        batch_size=1,
        batch_tokens=256,
        seed=1,
        pretrained=network("llama"),
        tokenizer=tokenizer(),
        max_length=96,
    )
    counters = (CutPrompts(), CutAnswers())
    for counter in counters:
        counter.attach(lm)
    with sharing(workers):
        if workers.rank:
            serve_requests(lm, counters)
            return {}
        split_requests(lm, counters)
        found: dict[str, Any] = {
            name: getattr(lm, name)(asked, disable_tqdm=True) for name, asked in requests().items()
        }
    found["counts"] = [
        {
            kind: {task: sorted(items) for task, items in getattr(counter, kind).items()}
            for kind in ("seen", "cut")
        }
        for counter in counters
    ]
    if workers.count > 1:
        from nait.models.devices.process_group import Call, send

        send(Call("end"))
        sys.stdout.write(json.dumps(found) + "\n")
    return found


def start(folder: Path, *, rank: int, port: int) -> Started:
    script = folder / "process.py"
    script.write_text(PROCESS)
    launcher = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return warm().start(
        [], script=str(script), cwd=Path(__file__).parents[2],
        environment={name: str(value) for name, value in launcher.items()},
    )  # fmt: skip


def test_two_processes_give_the_answers_and_counts_of_one(tmp_path: Path) -> None:
    from nait.core.ranks import SINGLE_PROCESS

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = [one.wait() for one in [start(tmp_path, rank=rank, port=port) for rank in (0, 1)]]
    assert [one.returncode for one in done] == [0, 0], done[0].stderr + done[1].stderr
    found, alone = json.loads(done[0].stdout.splitlines()[-1]), run(SINGLE_PROCESS)
    assert found["generate_until"] == alone["generate_until"]
    assert_alike([tuple(answer) for answer in found["loglikelihood"]], alone["loglikelihood"])
    assert found["counts"] == alone["counts"]
    assert found["counts"][0]["cut"], "no prompt was too long"
    assert found["counts"][1]["cut"], "no answer reached its limit"


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_requests_are_dealt_once_in_blocks_of_about_equal_cost(processes: int) -> None:
    costs = [1.0 + len(text) for text in texts() * 12]
    shares = deal(costs, processes)
    assert sorted(number for share in shares for number in share) == list(range(len(costs)))
    loads = [sum(costs[number] for number in share) for share in shares]
    assert max(loads) < 1.3 * min(loads)
    jumps = sum(b != a + 1 for share in shares for a, b in itertools.pairwise(share))
    assert jumps <= 4 * processes
    assert deal([1.0], 3) == [[0], [], []]
