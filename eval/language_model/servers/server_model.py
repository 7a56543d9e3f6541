"""The harness's model of a completions endpoint, with the tokenizer of the evaluated model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.models.utils import has_bos_prefix, normalize_gen_kwargs, resolve_max_length

from nait.core.contracts import Model
from nait.core.errors import ModelError
from nait.eval.language_model.servers.server_answers import answering, check_logprobs, unusable

SECONDS = 600
"""A request that takes longer has failed."""
SHOWN = 40
"""Characters of a text that an error shows."""
PROBE = "The quick brown fox jumps over the lazy dog."


class ServerModel(LocalCompletionsAPI):  # type: ignore[misc]
    """A model that a server answers for under the name `model`.

    Prompts are sent as token ids of the model's own tokenizer, with its special tokens, as the local model sees them.
    """

    def __init__(
        self, url: str, model: str, tokenizer: Any, *, max_length: int, concurrency: int, seed: int
    ) -> None:
        super().__init__(
            base_url=f"{url.rstrip('/')}/completions",
            model=model,
            tokenizer_backend="none",
            max_length=max_length,
            num_concurrent=concurrency,
            seed=seed,
            timeout=SECONDS,
        )
        self.tokenizer = tokenizer
        self.tokenizer_backend = "huggingface"
        self.tokenized_requests = True
        self.add_bos_token = None  # the tokenizer's own default, for generation too

    @property
    def max_gen_toks(self) -> int:
        """The harness's default limit of an answer."""
        return int(self._max_gen_toks)

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer's name, for the harness's record."""
        return str(self.tokenizer.name_or_path)

    def apply_chat_template(
        self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The text of a chat in the model's own template."""
        text: str = self.tokenizer.apply_chat_template(
            list(chat_history), tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip
        return text

    def tok_encode(
        self,
        string: Any,
        left_truncate_len: int | None = None,
        add_special_tokens: bool | None = None,
        truncation: bool = False,
        **_: Any,
    ) -> Any:
        """Token ids of a text or of texts, with the tokenizer's default special tokens.

        A text that begins with the beginning token, as a chat template writes it, does not get a second one.
        """
        if not isinstance(string, str):
            return [self.tok_encode(one, left_truncate_len, add_special_tokens, truncation) for one in string]
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.bos_token):
            add_special_tokens = False
        options = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        ids = self.tokenizer(string, truncation=truncation, return_attention_mask=False, **options).input_ids
        return ids[-left_truncate_len:] if left_truncate_len else ids

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """The answer to each request. Answers to one prompt are drawn with different seeds.

        A server draws the same answer again from an equal seed, and pass@10 of ten equal answers would be pass@1.
        """
        asked: Counter[str] = Counter()
        seeded = []
        for request in requests:
            text, settings = request.args
            settings = normalize_gen_kwargs(dict(settings), self.max_gen_toks)
            if settings["do_sample"]:
                same = repr((text, sorted(settings.items())))
                settings["seed"] = self._draw_seed(asked[same])
                asked[same] += 1
            seeded.append(replace(request, arguments=(text, settings)))
        answers: list[str] = super().generate_until(seeded, disable_tqdm=disable_tqdm)
        return answers

    def _draw_seed(self, number: int) -> int:
        """The seed of the answer with this number among those to one prompt."""
        (state,) = np.random.SeedSequence([self._seed, number]).generate_state(1).tolist()
        return int(state) % 2**31

    def _loglikelihood_tokens(self, requests: Sequence[Any], **options: Any) -> list[tuple[float, bool]]:
        """The log-likelihoods of answers after their prompts.

        Raises: ModelError for an answer without a token of its own, whose log-likelihood would be 0.
        """
        for texts, _, answer in requests:
            if not answer:
                shown = " and ".join(f"{text[-SHOWN:]!r}" for text in texts or ())
                raise ModelError(
                    f"the tokenizer merges a prompt and its answer, which has no token of its own: {shown}",
                    where="eval.tasks",
                    fix="Set a target_delimiter, such as a space, in the task's file.",
                )
        found: list[tuple[float, bool]] = super()._loglikelihood_tokens(requests, **options)
        return found

    def model_call(self, *given: Any, **options: Any) -> Any:
        """The server's answer to one request. Raises: ModelError if it refuses or does not answer."""
        with answering(self.base_url):
            return super().model_call(*given, **options)

    async def amodel_call(self, *given: Any, **options: Any) -> Any:
        """As `model_call`, for requests that run at the same time."""
        with answering(self.base_url):
            return await super().amodel_call(*given, **options)

    async def get_batched_requests(self, *given: Any, **options: Any) -> Any:
        """The answers to requests that run at the same time. The first error ends all; the others' are not shown."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        return await super().get_batched_requests(*given, **options)

    def parse_logprobs(
        self, outputs: Any, tokens: Any = None, ctxlens: Any = None, **_: Any
    ) -> list[tuple[float, bool]]:
        """The log-likelihood of each prompt after its context, and whether it is the most likely text.

        Raises: ModelError if the server did not return a number for each token of each prompt.
        """
        found = self._choices(outputs)
        if len(found) != len(tokens):
            raise unusable(self.base_url, f"{len(found)} answers to {len(tokens)} prompts")
        for choice, ids in zip(found, tokens, strict=True):
            check_logprobs(choice, len(ids), where=self.base_url)
        numbers: list[tuple[float, bool]] = super().parse_logprobs(outputs, tokens=tokens, ctxlens=ctxlens)
        return numbers

    def parse_generations(self, outputs: Any, **_: Any) -> list[str]:
        """The text of each answer. Raises: ModelError if one has none."""
        texts = [choice.get("text") for choice in self._choices(outputs)]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise unusable(self.base_url, "an answer without a text")
        return texts

    def _choices(self, outputs: Any) -> list[Any]:
        """The answers in the order of their prompts."""
        found: list[Any] = []
        for output in outputs if isinstance(outputs, list) else [outputs]:
            try:
                found += sorted(output["choices"], key=itemgetter("index"))
            except (KeyError, TypeError):
                raise unusable(self.base_url, "an answer without numbered choices") from None
        return found

    def nats(self, text: str) -> float:
        """The log-likelihood of a text after its first token."""
        ids = self.tok_encode(text)
        answer = self.model_call([ids], generate=False)
        ((nats, _),) = self.parse_logprobs([answer], tokens=[ids], ctxlens=[1])
        return float(nats)


def check_applied(adapted: ServerModel, base: ServerModel) -> None:
    """Check that the adapter changes the server's answers. Raises: ModelError if it does not."""
    if adapted.nats(PROBE) == base.nats(PROBE):
        raise ModelError(
            f"'{adapted.model}' answers as '{base.model}' does: the adapter is not applied",
            where=adapted.base_url,
            fix="Start the server with LoRA enabled, or evaluate with eval.backend=shared_prefix.",
        )


def context_of(model: Model, tokenizer: Any) -> int:
    """The model's own context in tokens, in which the local model evaluates too, whatever `model.max_length` is."""
    own = getattr(model, "context", None)
    found: int | None = None if own is None else own()
    return found or int(resolve_max_length(None, tokenizer))
