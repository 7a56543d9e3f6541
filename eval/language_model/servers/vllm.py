"""Evaluation by vLLM, started as a server in an environment of its own: its pins exclude this package's."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nait.core.contracts import Model
from nait.core.errors import ConfigError, ModelError, first_line
from nait.core.inputs.checks import check_whole
from nait.eval.language_model.servers.endpoint import ADAPTED
from nait.eval.language_model.servers.tied_process import tied
from nait.models.devices.leases import leased_device, name_on_machine
from nait.models.devices.open_networks import free_device
from nait.store import read_json

BASE = "nait-base"
START_SECONDS = 1200
VERSION_SECONDS = 120
POLL_SECONDS = 0.5
CONTEXT = "--max-model-len"
"""vLLM's option for its context in tokens."""
VERSION = "import importlib.metadata as m; print(m.version('vllm'))"
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Variables of this process's environment that would reach into vLLM's."""


@dataclass(frozen=True)
class Vllm:
    """vLLM's OpenAI server, run by `python`, an interpreter of an environment with vLLM.

    `options` are added to its command line, such as `[--tensor-parallel-size, "4"]`; `[--max-model-len, "8192"]`
    replaces the model's own context. `concurrency` requests run at a time. The base model and its adapter are served
    by path; a fully fine-tuned model is served from its folder.
    """

    python: str | None = None
    options: Sequence[str] = ()
    concurrency: int = 64

    def __post_init__(self) -> None:
        check_whole("eval.vllm.concurrency", self.concurrency, least=1)
        object.__setattr__(self, "options", tuple(map(str, self.options)))
        _ = self.context

    @property
    def context(self) -> int | None:
        """The context in tokens that `options` set; None: the model's own. Raises: ConfigError for another form."""
        words = [word for option in self.options for word in option.split("=", 1)]
        if CONTEXT not in words:
            return None
        given = words[words.index(CONTEXT) + 1 :][:1]
        if not (given and given[0].isdecimal() and int(given[0]) > 1):
            fix = f"For example eval.vllm.options=[{CONTEXT},4096]."
            raise ConfigError(f"{CONTEXT} needs a number of tokens", where="eval.vllm.options", fix=fix)
        return int(given[0])

    def check(self) -> None:
        """Raises: ConfigError without an interpreter that has vLLM."""
        self.key()

    def key(self) -> Mapping[str, Any]:
        """What decides the numbers: vLLM's version and options. Raises: ConfigError, see `check`."""
        if not self.python or not Path(self.python).expanduser().is_file():
            raise ConfigError(
                "eval.backend=vllm needs the interpreter of an environment with vLLM"
                if not self.python
                else f"there is no file {self.python}",
                where="eval.vllm.python",
                fix="python -m venv vllm-env; vllm-env/bin/pip install vllm; eval.vllm.python=vllm-env/bin/python.",
            )
        return {"vllm": _version(str(Path(self.python).expanduser())), "options": list(self.options)}

    @contextmanager
    def serving(self, model: Model, adapter: Path | None, *, seed: int) -> Iterator[Any]:
        """The harness's model of a server that runs within the block."""
        from nait.eval.language_model.servers.server_model import ServerModel, check_applied, context_of

        free_device()  # vLLM takes most of a GPU's memory
        lora = adapter is not None and (adapter / "adapter_config.json").is_file()
        tokenizer = model.load_tokenizer()
        with tempfile.TemporaryDirectory(prefix="nait-vllm-") as scratch:
            tokenizer.save_pretrained(scratch)
            port = _free_port()
            context = self.context or context_of(model, tokenizer)
            command = self.command(
                model, adapter, tokenizer=Path(scratch), port=port, seed=seed, context=context
            )
            with _running(command, port, Path(scratch) / "vllm.log") as url:

                def named(name: str) -> ServerModel:
                    return ServerModel(
                        url,
                        name,
                        tokenizer,
                        max_length=context,
                        concurrency=self.concurrency,
                        seed=seed,
                    )

                lm = named(ADAPTED if lora else BASE)
                if lora:
                    check_applied(lm, named(BASE))
                yield lm

    def command(
        self, model: Model, adapter: Path | None, *, tokenizer: Path, port: int, seed: int, context: int
    ) -> list[str]:
        """The server's command line. `context`: the most tokens of a prompt and its answer."""
        folder = Path(str(getattr(model, "folder", model.name)))
        config = {} if adapter is None else _lora_config(adapter)
        served = folder if adapter is None or config else adapter
        command = [
            str(Path(str(self.python)).expanduser()), "-m", "vllm.entrypoints.openai.api_server",
            "--model", str(served.resolve()), "--served-model-name", BASE, "--tokenizer", str(tokenizer),
            "--host", "127.0.0.1", "--port", str(port), "--seed", str(seed),
            CONTEXT, str(context), "--dtype", str(getattr(model, "dtype", "auto")),
        ]  # fmt: skip
        if adapter is not None and config:
            rank = max(8, 1 << (int(config["r"]) - 1).bit_length())
            command += ["--enable-lora", "--max-lora-rank", str(rank)]
            command += ["--lora-modules", f"{ADAPTED}={adapter.resolve()}"]
        return [*command, *self.options]


def _lora_config(folder: Path) -> Mapping[str, Any]:
    path = folder / "adapter_config.json"
    return read_json(path) if path.is_file() else {}


@cache
def _version(python: str) -> str:
    where, fix = "eval.vllm.python", "Give the interpreter of an environment with vLLM."
    try:
        done = subprocess.run(  # noqa: S603  # the interpreter that the config names
            [python, "-c", VERSION], capture_output=True, text=True, env=_environment(),
            timeout=VERSION_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{python} does not name its version of vLLM within {VERSION_SECONDS} s", where=where, fix=fix
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{python} cannot be run ({first_line(error)})", where=where, fix=fix) from error
    found = done.stdout.strip()
    if done.returncode or not found:
        raise ConfigError(f"{python} has no vLLM", where=where, fix="Install it there: pip install vllm.")
    return found


@contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[str]:
    """The URL of the server, which ends with the block or this process. Raises: ModelError if it does not start."""
    with log.open("wb") as stream:
        server = subprocess.Popen(  # noqa: S603  # as above
            tied(command), stdout=stream, stderr=subprocess.STDOUT, env=_environment()
        )
    try:
        _wait(server, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import requests

    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok:
                return
        except requests.RequestException:
            time.sleep(POLL_SECONDS)
    end = log.read_text(encoding="utf-8", errors="replace")[-1500:]
    state = "did not start in time" if server.poll() is None else f"ended with {server.returncode}"
    raise ModelError(
        f"vLLM {state}. Its log ends:\n{end}", where="eval.backend=vllm", fix="Check eval.vllm.options"
    )


def _environment() -> dict[str, str]:
    """This process's variables, without those that are its own. vLLM sees the leased GPU alone."""
    kept = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    leased = leased_device()
    if leased is not None:
        kept["CUDA_VISIBLE_DEVICES"] = name_on_machine(leased)
    return {**kept, "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
