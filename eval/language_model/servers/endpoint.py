"""Evaluation by an OpenAI-compatible completions endpoint that already runs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.contracts import Model
from nait.core.errors import ConfigError, ModelError
from nait.core.inputs.checks import check_flag, check_whole
from nait.core.inputs.secrets import without_login
from nait.eval.language_model.servers.server_answers import (
    check_logprobs,
    listed_models,
    post,
    unusable,
)

LOAD_SECONDS = 120
PROMPT = (1, 2, 3)
"""Token ids that every model has."""
ADAPTED = "nait-adapter"


@dataclass(frozen=True)
class Endpoint:
    """A server at `url` (such as http://localhost:8000/v1) that serves the base model as `model`.

    It must return the log-probabilities of a prompt (`echo`). The key is in the environment, `OPENAI_API_KEY`. With
    `load_adapters`, a trained adapter is loaded by its path through vLLM's `load_lora_adapter` and unloaded after the
    evaluation; without it, only the base model is evaluated. `concurrency` requests run at a time.
    """

    url: str | None = None
    model: str | None = None
    load_adapters: bool = False
    concurrency: int = 8

    def __post_init__(self) -> None:
        check_flag("eval.endpoint.load_adapters", self.load_adapters)
        check_whole("eval.endpoint.concurrency", self.concurrency, least=1)

    def check(self) -> None:
        """Raises: ConfigError without a URL and the served model's name; ModelError if the server does not answer."""
        for name, example in (("url", "http://localhost:8000/v1"), ("model", "NAME")):
            if not getattr(self, name):
                raise ConfigError(
                    "eval.backend=endpoint needs it", where=f"eval.endpoint.{name}",
                    fix=f"For example eval.endpoint.{name}={example}.",
                )  # fmt: skip
        if not str(self.url).startswith(("http://", "https://")):
            raise ConfigError(f"'{self.url}' is not a URL", where="eval.endpoint.url")
        self._answers()

    def key(self) -> Mapping[str, Any]:
        """What identifies the server: its weights cannot be seen from here."""
        return {"url": without_login(str(self.url)), "model": self.model}

    @contextmanager
    def serving(self, model: Model, adapter: Path | None, *, seed: int) -> Iterator[Any]:
        """The harness's model of the endpoint, with the adapter loaded if there is one."""
        from nait.eval.language_model.servers.server_model import ServerModel, check_applied, context_of

        def named(name: str) -> ServerModel:
            return ServerModel(
                str(self.url),
                name,
                tokenizer,
                max_length=context,
                concurrency=self.concurrency,
                seed=seed,
            )

        tokenizer = model.load_tokenizer()
        own = context_of(model, tokenizer)
        context = min(own, self._stated_context() or own)
        base = named(str(self.model))
        if adapter is None:
            yield base
            return
        if not self.load_adapters or not (adapter / "adapter_config.json").is_file():
            raise ConfigError(
                f"the endpoint serves the base model, not what was trained in {adapter}",
                where="eval.endpoint.load_adapters",
                fix="Set it to true for a vLLM server with VLLM_ALLOW_RUNTIME_LORA_UPDATING=true that sees this "
                "folder (adapters only), or evaluate with eval.backend=shared_prefix.",
            )
        name = f"{ADAPTED}-{secrets.token_hex(6)}"  # jobs side by side share the server
        self._change("load_lora_adapter", {"lora_name": name, "lora_path": str(adapter.resolve())})
        try:
            adapted = named(name)
            check_applied(adapted, base)
            yield adapted
        finally:
            self._change("unload_lora_adapter", {"lora_name": name})

    def _stated_context(self) -> int | None:
        """The context in tokens that the server states for the model, as vLLM does; None where it states none."""
        for one in listed_models(str(self.url)):
            if one.get("id") == self.model and isinstance(one.get("max_model_len"), int):
                return int(one["max_model_len"])
        return None

    def _answers(self) -> None:
        """Raises: ModelError unless the server answers a short request, as it will answer the evaluation's."""
        asked = {
            "model": self.model, "prompt": [[*PROMPT]], "max_tokens": 1, "temperature": 0, "logprobs": 1, "echo": True
        }  # fmt: skip
        answer = post(str(self.url), "completions", asked, seconds=LOAD_SECONDS)
        try:
            (choice,) = answer["choices"]
        except (KeyError, TypeError, ValueError):
            raise unusable(str(self.url), "no answer to a prompt") from None
        if self.load_adapters:
            check_logprobs(choice, len(PROMPT), where=str(self.url))

    def _change(self, call: str, content: Mapping[str, str]) -> None:
        """Load or unload an adapter. Raises: ModelError if the server refuses."""
        try:
            post(str(self.url), call, content, seconds=LOAD_SECONDS)
        except ModelError as error:
            raise ModelError(
                error.what,
                where=error.where,
                fix="Start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=true.",
            ) from None
