"""lm-evaluation-harness, run in process: a suite's settings, its address, and its run.

Task names, missing data and an evaluation's address are resolved from the task files, without importing `lm_eval`. It
is imported only to build tasks and to run: stock tasks under their stock names, on a model that is already in memory.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from nait.core.contracts import Model
from nait.core.dataset.contamination import EvaluationText
from nait.core.errors import ConfigError, ModelError
from nait.core.inputs.checks import check_choice, check_whole
from nait.core.statistics.results import Evaluation
from nait.eval.built_tasks import built_tasks, item_texts
from nait.eval.code_execution.code_eval import CodeEval, code_settings, code_warnings
from nait.eval.isolation import PYTHON_SEED
from nait.eval.language_model.answer_limits import CutAnswers, limit_warnings
from nait.eval.language_model.chat_prompts import Chats, chat_warnings
from nait.eval.language_model.context_limits import CutPrompts, cap_answers, context_warnings
from nait.eval.language_model.requests.kept_answers import KeptAnswers
from nait.eval.language_model.requests.model_answers import versions, write_samples
from nait.eval.language_model.requests.split_requests import ItemCounter, serve_requests, split_requests
from nait.eval.language_model.requests.undefined_answers import checked_logits
from nait.eval.language_model.servers.endpoint import Endpoint
from nait.eval.language_model.servers.vllm import Vllm
from nait.eval.parsed_results import parse
from nait.eval.suites.embedded_sizes import embedded_sizes
from nait.eval.suites.generated_code import check_code, check_trust, function_files, runs_code
from nait.eval.suites.item_choices import chosen_by_task, named
from nait.eval.suites.listed_metrics import reading_version
from nait.eval.suites.requirements import check_hub, data_digest, missing_data, task_digest, where_to_put
from nait.eval.suites.suite import Suite, resolve
from nait.eval.suites.task_definitions import OWN, Catalogue, library
from nait.eval.suites.task_settings import (
    ByName,
    check_choices,
    check_numbers,
    check_shots,
    examples_version,
    relevant,
    samples_answers,
    setting_of,
    shots,
    zero_shot_warnings,
)
from nait.models.devices.open_networks import free_device
from nait.models.prompts.frozen_clock import DAY, freeze_tokenizer_clock
from nait.models.tokens.tokenizers import check_highest

# Used only for metrics that are not a mean over items (F1, BLEU). Means have a closed-form standard error.
_BOOTSTRAPS = 1000

SERVER_VERSION = 2
"""Since 2, a server gets the prompts of the local model: with the beginning token, once, in the model's own context.
Repeated answers are drawn with different seeds."""

Backend = Literal["shared_prefix", "hf", "vllm", "endpoint"]
BACKENDS = ("shared_prefix", "hf", "vllm", "endpoint")


@dataclass(frozen=True)
class LmEval:
    """A suite of lm-evaluation-harness tasks.

    - `num_fewshot`: one number, or one per task or group; null keeps each task's own.
    - `spread`: number of items per task or subtask, evenly spread over it; one number, or one per task or group.
    - `limit`: number of items per task or subtask, the first ones; with `spread`, the first ones of the subset.
    - `backend`: "shared_prefix" forwards the prefixes that requests share once, in batches of at most `batch_tokens`
      own tokens; "hf" is the harness's own model, in batches of `batch_size` sequences, which also answers for a
      network that cannot continue a shared prefix. "vllm" starts a server, `vllm`; "endpoint" asks one that runs,
      `endpoint`.
    - `merge_adapter`: add the adapter to the weights, so that its layers take no time; "auto": where the weights are
      float32. Not for a server.
    - `max_gen_toks`: cap on generated answers; one number, or one per task or group.
    - `mirror`: a folder in the Hub's layout. Without it, tasks with data on the Hub run only with `online`.
    - `allow_partial`: run a suite although the mirror lacks some tasks; the result names them.
    - `apply_chat_template`: render prompts in the model's chat template. `fewshot_as_multiturn` makes each example a
      turn; null means true with a chat template, as on the harness's command line.
    - `seed`: seed of few-shot draws, numpy and torch. Python's `random` starts from 0 for each task, as on the
      harness's command line.
    - `include`: folders with the user's task files. They are code: a file's `!function` runs Python when the task is
      built. `trust_task_code` allows it.
    - `primary`: the main metric by task or group.
    - `allow_code_execution`: run the code that the model writes, for tasks that score it so. Without it, they are
      refused.
    """

    tasks: Sequence[str]
    num_fewshot: ByName = None
    spread: ByName = None
    limit: int | None = None
    backend: Backend = "shared_prefix"
    batch_tokens: int | Literal["auto"] = "auto"
    batch_size: int | str = 16
    merge_adapter: bool | Literal["auto"] = "auto"
    max_gen_toks: ByName = None
    mirror: str | None = None
    online: bool = False
    allow_partial: bool = False
    apply_chat_template: bool = False
    fewshot_as_multiturn: bool | None = None
    seed: int = 1234
    include: Sequence[str] = ()
    primary: Mapping[str, str] = field(default_factory=dict)
    allow_code_execution: bool = False
    trust_task_code: bool = False
    vllm: Vllm = field(default_factory=Vllm)
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        for name in ("tasks", "include"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        if not self.tasks:
            raise ConfigError("no task is given", where="eval.tasks", fix="For example eval.tasks=[gsm8k].")
        check_shots(self.num_fewshot)
        check_choice("eval.backend", self.backend, BACKENDS)
        if self.batch_tokens != "auto":
            check_whole("eval.batch_tokens", self.batch_tokens, least=1, fix="Give auto, or 1 or more.")
        if self.limit is not None:
            check_whole("eval.limit", self.limit, least=1)
        for name in ("spread", "max_gen_toks"):
            check_numbers(name, getattr(self, name))
        if self.batch_size != "auto" and (isinstance(self.batch_size, str) or self.batch_size < 1):
            raise ConfigError(f"'{self.batch_size}' is neither above 0 nor 'auto'", where="eval.batch_size")
        if self.merge_adapter != "auto" and not isinstance(self.merge_adapter, bool):
            raise ConfigError(
                f"{self.merge_adapter!r} is neither true, false nor auto",
                where="eval.merge_adapter",
                fix="Set it to auto.",
            )
        if self.merge_adapter != "auto" and self._server is not None:
            raise ConfigError(
                f"backend={self.backend} loads the adapter itself",
                where="eval.merge_adapter",
                fix="Set it to auto.",
            )
        if self.fewshot_as_multiturn and not self.apply_chat_template:
            raise ConfigError(
                "turns need a chat template",
                where="eval.fewshot_as_multiturn",
                fix="Set eval.apply_chat_template=true too.",
            )
        if self.mirror is not None and self.online:
            raise ConfigError(
                "a mirror and the network exclude each other", where="eval.online", fix="Set one of them."
            )

    @property
    def multiturn(self) -> bool:
        """Whether each few-shot example is a turn of the chat."""
        return self.apply_chat_template if self.fewshot_as_multiturn is None else self.fewshot_as_multiturn

    @property
    def shows_examples(self) -> bool:
        """Whether any task shows few-shot examples, as requested or as its own file says."""
        return any(shots(task, self.suite, self.num_fewshot) for task in self.suite.tasks)

    @property
    def imports_functions(self) -> bool:
        """Whether a task imports functions from Python files other than ours. Such a file can lack a package."""
        files = {path for task in self.suite.tasks for path in function_files(task)}
        return any(OWN not in path.parents for path in files)

    @property
    def _mirror(self) -> Path | None:
        return None if self.mirror is None else Path(str(self.mirror)).expanduser().resolve()

    @cached_property
    def suite(self) -> Suite:
        """The tasks that run and their groups. Raises: ConfigError, see `check`."""
        if self._mirror is not None and not self._mirror.is_dir():
            raise ConfigError(f"there is no folder {self._mirror}", where="eval.mirror")
        folders = [*(Path(name).expanduser().resolve() for name in self.include), OWN]
        catalogue = Catalogue(folders, shipped=library())
        suite = resolve(self.tasks, catalogue)
        check_trust(suite, trusted=self.trust_task_code)
        check_code(suite, allowed=self.allow_code_execution)
        numbers = {name: getattr(self, name) for name in ("num_fewshot", "spread", "max_gen_toks")}
        check_choices(suite, catalogue, primary=self.primary, numbers=numbers)
        missing = missing_data(suite, self._mirror, online=self.online)
        partial = suite.without(list(missing))
        if missing and not (self.allow_partial and partial.tasks):
            raise ConfigError(
                f"data are missing for {len(missing)} of {len(suite.tasks)} tasks: "
                + ", ".join(f"{name} ({why})" for name, why in missing.items()),
                where="eval.tasks" if self.mirror is None else f"eval.mirror={self.mirror}",
                fix=" ".join(
                    filter(
                        None,
                        [
                            "Add them." if not partial.tasks else "Add them, or set eval.allow_partial=true.",
                            where_to_put(
                                (task for task in suite.tasks if task.name in missing), self._mirror
                            ),
                        ],
                    )
                ),
            )
        return partial

    def without_adapter(self) -> LmEval:
        """The same evaluation of a model without an adapter, in which `merge_adapter` has no effect."""
        return replace(self, merge_adapter="auto")

    def check(self) -> None:
        """Raises: ConfigError for an unknown name, missing data, an unreachable Hub, or a task that runs code
        without `trust_task_code` or `allow_code_execution`."""
        suite = self.suite
        if self.online:
            check_hub(suite)
        if self._server:
            self._server.check()

    @property
    def _server(self) -> Vllm | Endpoint | None:
        """The server that answers; None for the model in this process."""
        servers: dict[str, Vllm | Endpoint] = {"vllm": self.vllm, "endpoint": self.endpoint}
        return servers.get(self.backend)

    def key(self) -> dict[str, Any]:
        """Everything that decides the numbers. Device and location of the data do not.

        The batch size of `hf` decides only answers that are drawn at random: each batch takes its share of the draws.
        """
        suite = self.suite
        return {
            "requested": list(self.tasks),
            "tasks": {
                task.name: {
                    "definition": task_digest(task),
                    "data": data_digest(task, self._mirror),
                    "num_fewshot": shots(task, suite, self.num_fewshot),
                    **examples_version(task, shots(task, suite, self.num_fewshot)),
                }
                for task in suite.tasks
            },
            "missing": list(suite.missing),
            "means": {group.name: list(group.means) for group in suite.groups},
            "limit": self.limit,
            **({"spread": spread} if (spread := named(self.spread, suite)) else {}),
            "max_gen_toks": named(self.max_gen_toks, suite) or None,
            "apply_chat_template": self.apply_chat_template,
            **({"fewshot_as_multiturn": self.multiturn} if self.apply_chat_template else {}),
            "seed": self.seed,
            "python_seed": PYTHON_SEED,
            "primary": relevant(self.primary, suite),
            **reading_version(suite),
            "backend": self.backend,
            **(
                {"server": {"version": SERVER_VERSION, **self._server.key()}}
                if self._server
                else {"merge_adapter": self.merge_adapter}
            ),
            "lm_eval": importlib.metadata.version("lm_eval"),
            **({"chat_date": DAY} if self.apply_chat_template else {}),
            **({"batch_size": self.batch_size} if any(map(samples_answers, suite.tasks)) else {}),
            **({"code_execution": code_settings()} if any(map(runs_code, suite.tasks)) else {}),
        }

    def sizes(self) -> dict[str, int]:
        """Task -> number of evaluated items; {} if a task is not one of the embedded ones."""
        return embedded_sizes(self.suite, self.spread, self.limit)

    def counts(self) -> dict[str, dict[str, int]]:
        """Requested name -> task -> the number of its items that are evaluated; {} if a server answers.

        A task is evaluated once, and counted for the first name that has it: a group may be requested with its tasks.
        """
        if self._server is not None:
            return {}
        with self._tasks() as tasks:
            chosen = {name: len(numbers) for name, numbers in self._chosen(tasks).items()}
        found = {
            name: {task: chosen.pop(task) for task in own if task in chosen}
            for name, own in self.suite.requested.items()
        }
        return {name: own for name, own in found.items() if own}

    def part(self, items: Mapping[str, int]) -> LmEval:
        """The same evaluation of these tasks alone, with so many items of each, evenly spread."""
        tasks = [task for task in self.suite.tasks if task.name in items]
        caps = {task.name: setting_of(self.max_gen_toks, task, self.suite) for task in tasks}
        return replace(
            self, tasks=tuple(items), spread=dict(items), limit=None, primary={},
            num_fewshot={task.name: shots(task, self.suite, self.num_fewshot) for task in tasks},
            max_gen_toks={name: cap for name, cap in caps.items() if cap is not None} or None,
        )  # fmt: skip

    def items(self) -> dict[str, list[EvaluationText]]:
        """Task -> the texts of each item: prompt and fields. Items that are not evaluated are included and marked."""
        with self._tasks() as tasks:
            chosen = self._chosen(tasks)
            return {
                name: [
                    EvaluationText(str(i), item_texts(task, doc), i in chosen[name])
                    for i, doc in enumerate(task.eval_docs)
                ]
                for name, task in tasks.items()
            }

    def check_prompts(self, model: Model) -> None:
        """Render one prompt of each task in the model's chat template. Only the tokenizer is loaded.

        Without the template, the tasks are only built, if they show few-shot examples or import functions. Raises:
        ConfigError with the name of a task that cannot be built, that has too few examples, or whose prompt the
        template rejects; ModelError if the tokenizer has no template, or one with tokens that the model lacks.
        """
        if not self.apply_chat_template:
            if self.shows_examples or self.imports_functions:
                with self._tasks():
                    pass
            return
        from lm_eval.models.huggingface import HFLM

        tokenizer = model.load_tokenizer()
        self._prepare(tokenizer, model.name)
        chats = Chats(model.name, check=partial(_check_tokens, tokenizer, model.vocabulary()))
        harness = SimpleNamespace(tokenizer=tokenizer, chat_template_args={})
        render = chats.wrap(partial(HFLM.apply_chat_template, harness))
        with self._tasks() as tasks:
            for name, task in tasks.items():
                chats.task = name
                doc = next(iter(task.eval_docs))
                task.fewshot_context(
                    doc, num_fewshot=task.config.num_fewshot or 0, apply_chat_template=True,
                    fewshot_as_multiturn=self.multiturn, chat_template=render, gen_prefix=task.doc_to_prefix(doc),
                )  # fmt: skip

    def evaluate(self, model: Model, adapter: Path | None, *, folder: Path) -> Evaluation:
        """The results of the model with its adapter. Prompts and responses are written to `folder`.

        `folder` keeps the answers of each finished task (`ANSWERS`), from which a later call resumes.

        Raises: ConfigError if a task cannot be built; ModelError if the tokenizer lacks the requested chat template.
        """
        from lm_eval.evaluator import evaluate

        from nait.eval.language_model.shared_prefix import backend_warnings

        suite = self.suite
        chats = Chats(model.name)
        code = CodeEval()
        cuts, unfinished = CutPrompts(), CutAnswers()
        with self._tasks(code) as tasks, self._opened(model, adapter, [cuts, unfinished]) as lm:
            context = int(lm.max_length)
            caps = {task.name: setting_of(self.max_gen_toks, task, suite) for task in suite.tasks}
            capped = cap_answers(tasks, user_caps=caps, context=context, default=int(lm.max_gen_toks))
            lm.apply_chat_template = chats.wrap(lm.apply_chat_template)
            chats.track(tasks)
            kept = KeptAnswers(folder, lm, [cuts, unfinished], tasks=len(tasks))
            if os.environ.get("TQDM_DISABLE"):  # parallel jobs; the harness ignores this variable
                for name in ("loglikelihood", "generate_until"):
                    setattr(lm, name, partial(getattr(lm, name), disable_tqdm=True))
            with kept.reporting_interrupts():
                raw = evaluate(
                    lm=lm,
                    task_dict={"tasks": tasks, "groups": {}, "group_map": {}},
                    limit=None if self.spread else self.limit,
                    samples=self._chosen(tasks) if self.spread else None,
                    bootstrap_iters=_BOOTSTRAPS,
                    apply_chat_template=self.apply_chat_template,
                    fewshot_as_multiturn=self.multiturn,
                    confirm_run_unsafe_code=self.allow_code_execution,
                )
        results, items, warnings = parse(raw, suite, primary=relevant(self.primary, suite))
        warnings = [
            *zero_shot_warnings(suite, self.num_fewshot),
            *context_warnings(suite, capped, cuts, context),
            *limit_warnings(suite, unfinished.counts),
            *chat_warnings(suite, chats),
            *backend_warnings(lm),
            *code_warnings(code.summary()),
            *warnings,
        ]
        write_samples(raw["samples"], folder)
        scored = {result.task for result in results}
        return Evaluation(
            results, items, suite.missing, tuple(warnings), versions(raw),
            answers_at_limit=unfinished.counts, code_execution=code.summary(), earlier=kept.attempt.facts(),
            requested={name: tasks for name, tasks in suite.requested.items() if name not in scored},
        )  # fmt: skip

    def assist(self, model: Model, adapter: Path | None) -> None:
        """This process's share of `evaluate`, which rank 0 calls with the same model and adapter. Writes nothing."""
        if self._server is not None:
            free_device()  # vLLM may use this process's GPU too
            return
        counters: list[ItemCounter] = [CutPrompts(), CutAnswers()]
        with self._opened(model, adapter, counters, splits=False) as lm:
            serve_requests(lm, counters)

    @contextmanager
    def _opened(
        self, model: Model, adapter: Path | None, counters: Sequence[Any], *, splits: bool = True
    ) -> Iterator[Any]:
        """The language model that answers requests with the adapter. The counters see what it truncates."""
        from nait.eval.language_model.shared_prefix import open_lm
        from nait.training.adapters.adapted_models import load_adapted, release

        if self._server is not None:
            with self._server.serving(model, adapter, seed=self.seed) as lm:
                if self.apply_chat_template:
                    self._prepare(lm.tokenizer, model.name)
                for counter in counters:
                    if isinstance(counter, CutPrompts):
                        counter.attach_server(lm)
                yield lm
            return
        network, tokenizer = load_adapted(model, adapter, merge=self.merge_adapter)
        if self.apply_chat_template:
            self._prepare(tokenizer, model.name)
        lm = open_lm(
            network, tokenizer, shared=self.backend == "shared_prefix", batch_tokens=self.batch_tokens,
            batch_size=self.batch_size, seed=self.seed,
        )  # fmt: skip
        for counter in counters:
            counter.attach(lm)
        if splits:
            split_requests(lm, counters)
        with nullcontext() if getattr(lm, "network", None) else checked_logits(network):
            yield lm
        release(network)

    def _chosen(self, tasks: Mapping[str, Any]) -> dict[str, list[int]]:
        """Task -> the numbers of its items that are evaluated. `tasks`: the harness's, by name."""
        counts = {name: len(task.eval_docs) for name, task in tasks.items()}
        return chosen_by_task(self.suite, counts, self.spread, self.limit)

    def _tasks(self, code: CodeEval | None = None) -> AbstractContextManager[dict[str, Any]]:
        """Context with name -> the harness's task object. Generated code is run by `code`."""
        return built_tasks(
            self.suite, mirror=self._mirror, online=self.online, num_fewshot=self.num_fewshot, seed=self.seed,
            code=code or CodeEval(),
        )  # fmt: skip

    @staticmethod
    def _prepare(tokenizer: Any, name: str) -> None:
        """Freeze the date in the tokenizer's chat template. Raises: ModelError without a template."""
        if not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                f"'{name}' has no chat template",
                where="eval.apply_chat_template",
                fix="Set it to false, or take a model with one.",
            )
        freeze_tokenizer_clock(tokenizer)


def _check_tokens(tokenizer: Any, vocabulary: int | None, text: str) -> None:
    """Raises: ModelError for a prompt with a token that the model's embedding lacks."""
    if vocabulary is not None:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        check_highest(tokenizer, max(ids, default=0), vocabulary)
