"""A server gives the items of the local model; vLLM is started with the right command, and its adapter checked."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from pyarrow import parquet

from nait.core.errors import ConfigError, ModelError
from nait.eval.harness import LmEval
from nait.eval.language_model.servers.endpoint import Endpoint
from nait.eval.language_model.servers.vllm import Vllm, _version
from nait.models.devices import open_networks
from nait.models.devices.leases import lease
from nait.models.loading import LocalModel
from nait.training.adapters.adapted_models import load_adapted
from tests.eval.adapters import save_adapter
from tests.families import save as save_model
from tests.families import tokenizer


class Completions(BaseHTTPRequestHandler):
    """Answers completions with networks in this process, by the name of the served model."""

    networks: ClassVar[dict[str, Any]] = {}
    tokenizer: ClassVar[Any] = None
    base: ClassVar[LocalModel]
    applies: ClassVar[bool] = True
    fault: ClassVar[str] = ""
    context: ClassVar[int | None] = None
    asked: ClassVar[list[dict[str, Any]]] = []

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        stated = {} if self.context is None else {"max_model_len": self.context}
        self._answer({"data": [{"id": name, **stated} for name in self.networks]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(asked)
        if self.fault:
            self._fail()
        elif self.path.endswith("/load_lora_adapter"):
            folder = Path(asked["lora_path"]) if self.applies else None
            self.networks[asked["lora_name"]] = load_adapted(self.base, folder)[0]
            self._answer({})
        elif self.path.endswith("/unload_lora_adapter"):
            del self.networks[asked["lora_name"]]
            self._answer({})
        else:
            prompts = asked["prompt"] if isinstance(asked["prompt"][0], list) else [asked["prompt"]]
            choices = [{"index": i, **self._complete(ids, asked)} for i, ids in enumerate(prompts)]
            self._answer({"choices": choices})

    def _fail(self) -> None:
        if self.fault == "key":
            self._answer({"error": f"Incorrect API key: {self.headers['Authorization']}"}, status=401)
        elif self.fault == "model":
            self._answer({"error": "The model `served` does not exist."}, status=404)
        elif self.fault == "page":
            self._answer("<html>Welcome</html>")
        elif self.fault == "no echo":
            last = {"token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1}]}
            self._answer({"choices": [{"index": 0, "text": "a", "logprobs": last}]})
        else:
            self._answer({"choices": [{"index": 0, "text": None}]})

    def _complete(self, ids: list[int], asked: dict[str, Any]) -> dict[str, Any]:
        network = self.networks[asked["model"]]
        with torch.inference_mode():
            if asked.get("echo"):
                nats = network(torch.tensor([ids])).logits[0].log_softmax(-1)
                own = [None, *(nats[t, ids[t + 1]].item() for t in range(len(ids) - 1)), 0.0]
                top = [None, *({"best": nats[t].max().item()} for t in range(len(ids) - 1)), {"": 0.0}]
                return {"logprobs": {"token_logprobs": own, "top_logprobs": top}}
            made: list[int] = []
            while len(made) < asked["max_tokens"]:
                made.append(int(network(torch.tensor([[*ids, *made]])).logits[0, -1].argmax()))
                text = self.tokenizer.decode(made)
                if made[-1] == self.tokenizer.eos_token_id or any(stop in text for stop in asked["stop"]):
                    break
        text = self.tokenizer.decode(made, skip_special_tokens=True)
        for stop in asked["stop"]:
            text = text.split(stop)[0]
        return {"text": text}

    def _answer(self, content: dict[str, Any] | str, *, status: int = 200) -> None:
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    torch.set_num_threads(1)
    return LocalModel(str(save_model(tmp_path_factory.mktemp("model"))), device="cpu", max_length=128)


@pytest.fixture(scope="module")
def adapter(model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(model, tmp_path_factory.mktemp("adapter"), std=0.5, seed=3)


@pytest.fixture
def url(model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Completions, "networks", {"served": model.load_network()})
    monkeypatch.setattr(Completions, "tokenizer", model.load_tokenizer())
    monkeypatch.setattr(Completions, "base", model, raising=False)
    monkeypatch.setattr(Completions, "asked", [])
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Completions)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def suite(folder: Path, mirror: Path, **options: Any) -> LmEval:
    return LmEval(
        ["toy_sums", "toy_letters"],
        include=[str(folder)],
        mirror=str(mirror),
        max_gen_toks=6,
        trust_task_code=True,
        **options,
    )


def outcomes(evaluation: Any) -> list[tuple[Any, ...]]:
    return [
        (item.task, item.doc_id, item.metric, item.filter, round(item.value, 4)) for item in evaluation.items
    ]


@pytest.mark.parametrize("adapted", [False, True])
def test_an_endpoint_gives_the_items_of_the_local_model(
    adapted: bool, url: str, model: LocalModel, adapter: Path, task_folder: Path, mirror: Path, tmp_path: Path
) -> None:
    place = adapter if adapted else None
    local = suite(task_folder, mirror).evaluate(model, place, folder=tmp_path)
    endpoint = Endpoint(url=url, model="served", load_adapters=True, concurrency=1)
    served = suite(task_folder, mirror, backend="endpoint", endpoint=endpoint)
    served.check()
    found = served.evaluate(model, place, folder=tmp_path)
    assert outcomes(found) == outcomes(local)
    assert list(Completions.networks) == ["served"], "the adapter stays loaded"
    assert any("a server answered" in warning for warning in found.warnings)


QUESTIONS = ["Is it so?", "Name one. " * 20, "Why? " * 4]
"""One is longer than the model's `max_length` of 128 tokens, and none than its context of 256."""
ASKED = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
doc_to_text: "{{{{question}}}}"
target_delimiter: ""
{rest}
"""
CHOOSES = """
output_type: multiple_choice
doc_to_choice: [" yes", " no", "?!"]
doc_to_target: 1
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
WRITES = """
output_type: generate_until
doc_to_target: "x"
generation_kwargs: {until: ["\\n\\n"], do_sample: false, max_gen_toks: 12}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""
DRAWS = WRITES.replace("do_sample: false", "do_sample: true, temperature: 0.8") + "repeats: 4\n"


def asking(folder: Path, questions: list[str], **tasks: str) -> LmEval:
    """An evaluation with these tasks over the same questions."""
    data = folder / "questions.jsonl"
    data.write_text("".join(json.dumps({"question": one}) + "\n" for one in questions))
    for name, rest in tasks.items():
        (folder / f"{name}.yaml").write_text(ASKED.format(name=name, data=data, rest=rest))
    return LmEval([*tasks], include=[str(folder)], backend="hf")


def responses(folder: Path) -> list[list[Any]]:
    """The answers to each item in order: texts, or log-likelihoods with three decimals."""
    found = parquet.read_table(folder / "samples.parquet", columns=["responses"]).column(0).to_pylist()
    return [
        [round(json.loads(one)["nats"], 3) if one.startswith('{"answer"') else one for one in answers]
        for answers in found
    ]


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    """The same model, with a chat template that writes the beginning token itself."""
    folder = save_model(tmp_path_factory.mktemp("chatting"))
    words = tokenizer()
    words.chat_template = "{{ bos_token }}{% for one in messages %}[{{ one.content }}]{% endfor %}"
    words.save_pretrained(folder)
    return LocalModel(str(folder), device="cpu", max_length=128)


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_server_gets_the_tokens_of_the_local_model(
    chat: bool, concurrency: int, url: str, chatting: LocalModel, tmp_path: Path
) -> None:
    """With one beginning token, generated answers included, and in the model's context instead of `max_length`."""
    local = replace(asking(tmp_path, QUESTIONS, chooses=CHOOSES, writes=WRITES), apply_chat_template=chat)
    endpoint = Endpoint(url=url, model="served", concurrency=concurrency)
    found = []
    for evaluation in (local, replace(local, backend="endpoint", endpoint=endpoint)):
        folder = tmp_path / evaluation.backend
        folder.mkdir()
        done = evaluation.evaluate(chatting, None, folder=folder)
        assert not any("lost their beginnings" in warning for warning in done.warnings)
        found.append(responses(folder))
    assert found[0] == found[1]
    assert {ids[0][:2].count(1) for asked in Completions.asked if (ids := asked["prompt"])} == {1}
    assert max(len(ids) for asked in Completions.asked for ids in asked["prompt"]) > 200


def test_a_server_draws_each_answer_to_a_prompt_from_another_seed(
    url: str, model: LocalModel, tmp_path: Path
) -> None:
    endpoint = Endpoint(url=url, model="served", concurrency=4)
    evaluation = replace(
        asking(tmp_path, QUESTIONS, draws=DRAWS, writes=WRITES), backend="endpoint", endpoint=endpoint
    )
    seeds: list[dict[str, set[int]]] = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        evaluation.evaluate(model, None, folder=folder)
        by_prompt: dict[str, set[int]] = {}
        for asked in Completions.asked:
            if asked["temperature"]:
                by_prompt.setdefault(str(asked["prompt"]), set()).add(asked["seed"])
        seeds.append(by_prompt)
        Completions.asked.clear()
    assert [len(found) for found in seeds[0].values()] == [4, 4, 4]
    assert seeds[0] == seeds[1], "a repeated evaluation draws other answers"


def test_an_answer_without_a_token_of_its_own_is_an_error(url: str, model: LocalModel) -> None:
    """As where a tokenizer merges it with its prompt: the log-likelihood of nothing is 0, above every other."""
    asked = [(("Once upon a ti", "me"), [1, 9, 8], []), (("Once", " more"), [1, 9], [7])]
    with Endpoint(url=url, model="served", concurrency=1).serving(model, None, seed=0) as lm:
        with pytest.raises(ModelError, match=r"has no token of its own: 'Once upon a ti' and 'me'"):
            lm._loglikelihood_tokens(asked)
        ((nats, _),) = lm._loglikelihood_tokens(asked[1:])
    assert nats < 0


@pytest.mark.parametrize("context", [None, 120])
def test_prompts_beyond_the_context_of_a_server_are_counted(
    context: int | None, url: str, model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Completions, "context", context)
    endpoint = Endpoint(url=url, model="served", concurrency=2)
    questions = [*QUESTIONS, "Tell me. " * 40]
    evaluation = asking(tmp_path, questions, chooses=CHOOSES, writes=WRITES)
    done = replace(evaluation, backend="endpoint", endpoint=endpoint).evaluate(model, None, folder=tmp_path)
    most, cut = (256, 1) if context is None else (context, 2)
    (said,) = [one for one in done.warnings if "lost their beginnings" in one]
    assert said.endswith(f"chooses {cut} of 4, writes {cut} of 4")
    sent = [
        len(ids) + (0 if asked.get("echo") else 12) for asked in Completions.asked for ids in asked["prompt"]
    ]
    assert max(sent) == most - 1


def test_whether_an_adapter_is_merged_is_true_false_or_auto() -> None:
    with pytest.raises(ConfigError, match=r"eval\.merge_adapter: 'ja' is neither true, false nor auto"):
        LmEval(["gsm8k"], merge_adapter="ja")  # type: ignore[arg-type]


@pytest.mark.parametrize("merge", [True, False])
def test_a_server_loads_an_adapter_itself(merge: bool) -> None:
    with pytest.raises(ConfigError, match=r"eval\.merge_adapter: backend=endpoint loads the adapter itself"):
        LmEval(["gsm8k"], backend="endpoint", merge_adapter=merge)


def test_an_adapter_that_the_server_ignores_is_an_error(
    url: str, model: LocalModel, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Completions, "applies", False)
    endpoint = Endpoint(url=url, model="served", load_adapters=True, concurrency=1)
    with (
        pytest.raises(
            ModelError, match=r"'nait-adapter-\w+' answers as 'served' does: the adapter is not applied"
        ),
        endpoint.serving(model, adapter, seed=0),
    ):
        pass
    with (
        pytest.raises(
            ConfigError, match=r"eval\.endpoint\.load_adapters: the endpoint serves the base model"
        ),
        Endpoint(url=url, model="served").serving(model, adapter, seed=0),
    ):
        pass


REFUSALS = {
    "key": r"/v1/completions: the server refused the request \(401: .*OPENAI_API_KEY",
    "model": r"refused the request \(404: .*does not exist.*Check the URL",
    "page": r"the server returned no answer to a prompt",
    "no echo": r"no log-probability for each of the 3 tokens of a prompt \(echo\)",
    "no text": r"no log-probability for each of the 3 tokens",
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_a_server_that_cannot_evaluate_is_refused_before_anything_is_trained(
    fault: str, url: str, task_folder: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Completions, "fault", fault)
    monkeypatch.setenv("OPENAI_API_KEY", "key-that-is-secret")
    endpoint = Endpoint(url=url, model="served", load_adapters=True)
    with pytest.raises(ModelError, match=REFUSALS[fault]) as refused:
        suite(task_folder, mirror, backend="endpoint", endpoint=endpoint).check()
    assert "key-that-is-secret" not in str(refused.value)


def test_a_server_that_is_down_is_named(url: str) -> None:
    port = url.replace(url.rsplit(":", 1)[1], "1/v1")  # nothing listens there
    with pytest.raises(ModelError, match=r"127.0.0.1:1/v1.*: the server does not answer \(ConnectionError\)"):
        Endpoint(url=port, model="served").check()


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no echo", r"no log-probability for each of the \d+ tokens"),
        ("no text", r"an answer without a text|no log-probability"),
        ("page", r"the server returned no JSON"),
        ("key", r"refused the request \(401"),
    ],
)
def test_a_server_that_fails_during_an_evaluation_is_one_error(
    fault: str, said: str, concurrency: int, url: str, model: LocalModel, task_folder: Path, mirror: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    monkeypatch.setattr(Completions, "fault", fault)
    endpoint = Endpoint(url=url, model="served", concurrency=concurrency)
    with pytest.raises(ModelError, match=said):
        suite(task_folder, mirror, backend="endpoint", endpoint=endpoint).evaluate(
            model, None, folder=tmp_path
        )
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_vllm_runs_on_the_leased_gpu_with_its_memory_free(
    model: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    seen: list[Any] = []

    class Started(RuntimeError): ...

    def started(words: Any, *, env: dict[str, str], **_: Any) -> Any:
        seen.append((env["CUDA_VISIBLE_DEVICES"], [*open_networks._kept]))
        raise Started

    monkeypatch.setattr("subprocess.Popen", started)
    open_networks.give_back(open_networks.borrow(model))
    assert open_networks._kept
    with lease([1], folder=tmp_path), pytest.raises(Started), Vllm("python").serving(model, None, seed=0):
        pass
    assert seen == [("6", [])]


@pytest.mark.parametrize("content", ["not a program", "#!/bin/sh\nsleep 30\n", "#!/bin/sh\n"])
def test_an_interpreter_that_cannot_be_asked_is_named(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nait.eval.language_model.servers.vllm.VERSION_SECONDS", 0.5)
    path = tmp_path / "python"
    path.write_text(content)
    for mode in (0o644, 0o755):
        path.chmod(mode)
        with pytest.raises(
            ConfigError, match=r"eval\.vllm\.python: .*(cannot be run|has no vLLM|within 0.5 s)"
        ):
            Vllm(str(path)).check()
        _version.cache_clear()


def test_a_backend_is_checked_before_anything_is_trained(
    task_folder: Path, mirror: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"eval\.endpoint\.url: eval\.backend=endpoint needs it"):
        suite(task_folder, mirror, backend="endpoint").check()
    with pytest.raises(ConfigError, match=r"eval\.vllm\.python: .* needs the interpreter"):
        suite(task_folder, mirror, backend="vllm").check()
    with pytest.raises(ConfigError, match=r"eval\.vllm\.python: there is no file"):
        suite(task_folder, mirror, backend="vllm", vllm=Vllm(str(tmp_path / "python"))).check()
    with pytest.raises(ConfigError, match=r"has no vLLM"):
        suite(task_folder, mirror, backend="vllm", vllm=Vllm(sys.executable)).check()


def test_results_of_different_servers_have_different_keys(
    task_folder: Path, mirror: Path, tmp_path: Path
) -> None:
    def key(**options: Any) -> Any:
        return suite(task_folder, mirror, **options).key()

    one, two = (Endpoint(url="http://a/v1", model=name) for name in ("a", "b"))
    keys = [
        key(),
        key(backend="hf"),
        key(backend="endpoint", endpoint=one),
        key(backend="endpoint", endpoint=two),
    ]
    assert len({repr(found) for found in keys}) == 4
    assert key() == key(endpoint=one, vllm=Vllm("nowhere")), "a server that is not asked is part of the key"


STAND_IN = """#!{python}
import json, os, sys, threading
words = sys.argv[1:]
if words[0] == "-c":
    print("0.9.9")
    sys.exit()
from pathlib import Path
Path({folder!r}, "started.json").write_text(json.dumps([words, sorted(os.environ)]))
if "--fail" in words:
    print("no GPU was found")
    sys.exit(3)
sys.path[:0] = [{root!r}]
from http.server import ThreadingHTTPServer
from tests.eval.test_servers import Completions, LocalModel, load_adapted
option = lambda name: words[words.index(name) + 1]
base = LocalModel(option("--model"), device="cpu", max_length=int(option("--max-model-len")))
Completions.tokenizer = base.load_tokenizer()
Completions.networks = {{option("--served-model-name"): base.load_network()}}
name, path = option("--lora-modules").split("=")
Completions.networks[name] = load_adapted(base, Path(path))[0]
ThreadingHTTPServer((option("--host"), int(option("--port"))), Completions).serve_forever()
"""


def stand_in(folder: Path) -> str:
    """An executable that takes vLLM's command line and serves the model with this package."""
    path = folder / "python"
    root = str(Path(__file__).parents[2])
    path.write_text(STAND_IN.format(python=sys.executable, folder=str(folder), root=root))
    path.chmod(0o755)
    return str(path)


def test_vllm_is_started_with_model_and_adapter_in_a_clean_environment(
    model: LocalModel,
    adapter: Path,
    task_folder: Path,
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONHOME_", "x")
    monkeypatch.setenv("RANK", "0")
    vllm = Vllm(stand_in(tmp_path), options=["--gpu-memory-utilization", 0.8], concurrency=1)
    found = suite(task_folder, mirror, backend="vllm", vllm=vllm).evaluate(model, adapter, folder=tmp_path)
    assert outcomes(found) == outcomes(suite(task_folder, mirror).evaluate(model, adapter, folder=tmp_path))
    words, names = json.loads((tmp_path / "started.json").read_text())
    assert words[:2] == ["-m", "vllm.entrypoints.openai.api_server"]
    assert words[-2:] == ["--gpu-memory-utilization", "0.8"]
    assert words[words.index("--max-model-len") + 1] == "256", "the model's context, not model.max_length"
    assert {"--enable-lora", "--lora-modules", "--max-lora-rank"} <= set(words)
    assert "RANK" not in names
    assert "VLLM_NO_USAGE_STATS" in names


def test_a_server_that_ends_shows_the_end_of_its_log(model: LocalModel, tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match=r"vLLM ended with 3. Its log ends:\nno GPU was found"),
        Vllm(stand_in(tmp_path), options=["--fail"]).serving(model, None, seed=0),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such signal")
def test_a_server_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\nfrom nait.eval.language_model.servers.tied_process import tied\n"
        "subprocess.Popen(tied([sys.executable, '-c', 'print(1, flush=True); import time; time.sleep(600)']))\n"
        "import time\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "1\n"
        parent.kill()
        assert parent.stdout.read() == "", "the pipe closes when the child has ended too"


def test_a_fully_trained_model_is_served_from_its_folder(tmp_path: Path) -> None:
    model: Any = SimpleNamespace(folder=tmp_path / "base", name="base", max_length=64, dtype="bfloat16")
    words = Vllm("python").command(model, tmp_path, tokenizer=tmp_path, port=1, seed=0, context=256)
    assert words[words.index("--model") + 1] == str(tmp_path.resolve())
    assert words[words.index("--max-model-len") + 1] == "256"
    assert "--enable-lora" not in words


@pytest.mark.parametrize("options", [["--max-model-len", 64], ["--seed=1", "--max-model-len=64"]])
def test_the_context_among_the_options_of_vllm_is_the_one_of_the_prompts(options: list[Any]) -> None:
    assert Vllm("python", options=options).context == 64
    assert Vllm("python", options=["--seed", 1]).context is None
    for wrong in (["--max-model-len"], ["--max-model-len", "8k"]):
        with pytest.raises(
            ConfigError, match=r"eval\.vllm\.options: --max-model-len needs a number of tokens"
        ):
            Vllm("python", options=wrong)
