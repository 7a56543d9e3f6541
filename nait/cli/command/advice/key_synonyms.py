"""Words of other tools for our keys: `lr`, `output_dir`, `num_train_epochs`."""

from __future__ import annotations

import re

_WORDS = {
    "train.learning_rate": "lr learningrate",
    "train.epochs": "epoch num_epochs num_train_epochs n_epochs max_epochs",
    "train.batch_size": "bs batch batchsize train_batch_size",
    "train.max_steps": "steps num_steps iterations iters max_iters",
    "train.warmup": "warmup_ratio warmup_steps",
    "train.scheduler": "lr_scheduler lr_scheduler_type schedule lr_schedule",
    "train.optimizer": "optim",
    "train.weight_decay": "wd decay",
    "train.max_grad_norm": "grad_clip clip gradient_clipping clip_grad_norm",
    "train.precision": "bf16 fp16 mixed_precision",
    "train.checkpoints": "save_strategy save_steps save_epochs",
    "train.lora.r": "rank lora_r lora_rank",
    "train.lora.alpha": "alpha lora_alpha",
    "train.lora.dropout": "dropout lora_dropout",
    "train.lora.target_modules": "target_modules lora_target modules lora_target_modules",
    "model.path": "model_path model_name model_name_or_path base_model pretrained checkpoint id model_id",
    "model.max_length": "max_len max_seq_len max_seq_length seq_len sequence_length cutoff_len max_tokens "
    "model_max_length context_length",
    "model.device": "cuda gpu",
    "model.dtype": "torch_dtype",
    "model.attn_implementation": "attention attn flash_attention use_flash_attention",
    "data.path": "file dataset dataset_path data_path data_file data_files train_file dataset_name train_data url "
    "pool pool_path",
    "data.limit": "max_samples num_samples n_samples max_rows num_rows max_train_samples size",
    "data.on_bad": "strict ignore_errors skip_errors skip_bad skip_invalid on_error errors on_bad_lines bad_lines "
    "error_bad_lines drop_invalid",
    "data.columns": "column fields mapping column_mapping prompt_column",
    "data.separator": "sep delimiter",
    "target.path": "reference references reference_path target_path target_file reference_file",
    "target.rows": "shots n_shots num_shots num_references",
    "budget.ratio": "percent percentage fraction share p top_p proportion rate",
    "budget.count": "n k top top_k topk num number amount rows",
    "selector.layers": "layer",
    "selector.site": "sites hook module",
    "eval.num_fewshot": "fewshot few_shot n_shot nshot num_shot fewshots",
    "eval.tasks": "task benchmark benchmarks evals eval_tasks",
    "eval.limit": "max_items num_items eval_limit",
    "eval.online": "download",
    "eval.mirror": "cache offline_folder",
    "eval.trust_task_code": "trust_tasks trust_task trust_include allow_task_code",
    "eval.allow_code_execution": "allow_code unsafe_code confirm_run_unsafe_code code_execution hf_allow_code_eval",
    "tracking.mode": "wandb wandb_mode use_wandb report_to offline online logger logging",
    "tracking.project": "wandb_project project_name",
    "tracking.entity": "wandb_entity team",
    "tracking.group": "wandb_group",
    "paths.runs": "output out output_dir outdir out_dir output_path save_dir save_path save results_dir result_dir "
    "run_dir log_dir logdir runs work_dir workdir exp_dir dir folder",
    "paths.store": "cache_dir cachedir artifacts artifact_dir",
    "seed": "seeds random_seed random_state rng",
    "stages": "stage steps_to_run pipeline mode",
    "label": "name run_name exp_name experiment_name title tag",
    "plan": "dry_run dryrun dry estimate preview",
    "selector": "method methods strategy algorithm selectors scorer",
    "eval": "evaluation evaluator",
    "train": "training trainer finetune finetuning sft",
    "template": "prompt_template chat_template prompt_format prompt",
    "hydra/launcher=joblib hydra.launcher.n_jobs": "n_jobs num_workers workers jobs num_proc parallel threads",
}
_KEYS = {word: key for key, words in _WORDS.items() for word in words.split()}
_BY_GROUP = {
    ("budget", "size"): "budget.count",
    ("target", "num_samples"): "target.rows",
    ("target", "n"): "target.rows",
    ("target", "count"): "target.rows",
    ("target", "size"): "target.rows",
    ("target", "file"): "target.path",
    ("target", "dataset"): "target.path",
    ("target", "limit"): "target.rows",
    ("model", "name_or_path"): "model.path",
    ("model", "file"): "model.path",
    ("model", "folder"): "model.path",
    ("model", "dir"): "model.path",
    ("data", "folder"): "data.path",
    ("data", "dir"): "data.path",
    ("data", "name_or_path"): "data.path",
    ("data", "config"): "data.subset",
    ("eval", "shots"): "eval.num_fewshot",
    ("eval", "n"): "eval.limit",
    ("eval", "samples"): "eval.limit",
    ("eval", "subset"): "eval.spread",
    ("eval", "max_new_tokens"): "eval.max_gen_toks",
    ("eval", "max_tokens"): "eval.max_gen_toks",
    ("selector", "n"): "budget.count",
    ("selector", "k"): "budget.count",
    ("selector", "top_k"): "budget.count",
    ("selector", "ratio"): "budget.ratio",
    ("selector", "budget"): "budget.ratio",
    **{(group, "seed"): "seed" for group in ("train", "data", "model", "budget", "order", "engine")},
    **{(group, "device"): "model.device" for group in ("train", "selector", "engine", "data")},
    **{(group, "max_length"): "model.max_length" for group in ("train", "selector", "data", "template")},
    ("wandb", "mode"): "tracking.mode",
    ("wandb", "group"): "tracking.group",
    ("wandb", "project"): "tracking.project",
    ("wandb", "entity"): "tracking.entity",
    ("wandb", "name"): "label",
    ("tracking", "name"): "label",
    ("tracking", "run_name"): "label",
}
"""Group and last part of a key -> our key, where the last part alone would mean another."""


_ANSWERS = {
    "resume continue restart resume_from_checkpoint": "Nothing is needed: the same command continues from the store.",
    "overwrite force overwrite_output_dir no_cache recompute": "Results are kept by content: another "
    "paths.store=FOLDER computes them again.",
    "gpus devices num_gpus n_gpus n_gpu ngpus nproc world_size num_processes nproc_per_node": "Type torchrun "
    "--nproc-per-node N -m nait and the words of the run.",
    "config config_file cfg yaml": "A YAML file FOLDER/experiment/NAME.yaml is read with --config-dir FOLDER "
    "experiment=NAME.",
    "verbose debug log_level loglevel verbosity": "Add hydra.verbose=true for all log messages.",
    "data.header data.has_header data.no_header data.names data.column_names": "The first non-blank line of a CSV "
    "file holds the column names: add a line of names above the rows.",
    "data.shuffle data.shuffled data.random shuffle_data": "The order of a pool has no effect on what is selected. "
    "For random rows, type selector=random and another seed=N; the first rows of a file are data.limit=N.",
    "data.streaming streaming": "Nothing is needed: a pool is read once, row by row.",
    "batch_size micro_batch_size per_device_batch_size": "engine.batch_tokens=N is the number of padded tokens per "
    "batch of a selection; train.batch_size=N is the number of rows per update.",
    "data.num_workers data.num_proc data.workers train.num_workers train.dataloader_num_workers "
    "dataloader_num_workers selector.num_workers": "Nothing is needed: rows are read and encoded once, and no loader "
    "waits. For several jobs of a sweep at a time, type -m hydra/launcher=joblib hydra.launcher.n_jobs=N.",
    "selector.target selector.like selector.capability selector.capabilities selector.reference": "The target is a "
    "group of its own: target=file target.path=REFERENCE_FILE, or target=nano 'target.capabilities=[math]'.",
    "tracking.key tracking.api_key wandb_api_key api_key": "Type wandb login once, or WANDB_API_KEY=KEY before the "
    "command.",
    "train.full train.full_finetune train.full_finetuning": "Full fine-tuning is an option: train=full.",
    "packing train.pack sample_packing": "Rows are never packed: a micro-batch holds rows of similar lengths, up to "
    "train.device_tokens padded tokens.",
    "eval_steps eval_strategy evaluation_strategy evaluate_every": "A run evaluates once, after training: "
    "'stages=[select,train,evaluate]'.",
    "model.tokenizer model.tokenizer_path model.tokenizer_name tokenizer": "The tokenizer is the one in the "
    "folder of the model.",
    "fsdp deepspeed ddp zero zero3 accelerate": "train.sharding=fsdp shares the weights of a training among the "
    "processes of torchrun --nproc-per-node N -m nait; without it, each process holds the whole model.",
    "load_in_4bit load_in_8bit quantization quantize quantized bits": "train=qlora trains over a base in "
    "4 bits; model.dtype=bfloat16 halves the memory of float32.",
}
_ANSWER_OF = {word: answer for words, answer in _ANSWERS.items() for word in words.split()}


def answer_to(key: str) -> str:
    """A sentence for another tool's word that has no key here; "" for any other word."""
    if re.fullmatch(r"[A-Z]+_[A-Z0-9_]+", key):
        return f"An environment variable is typed before the command: {key}=VALUE nait ..."
    plain = key.casefold().replace("-", "_")
    return _ANSWER_OF.get(plain) or _ANSWER_OF.get(plain.rpartition(".")[2], "")


def synonym(key: str) -> str:
    """Our key for another tool's word; "" if the word is unknown, or belongs to another group than the typed one."""
    group, _, rest = key.casefold().replace("-", "_").partition(".")
    last = re.sub(r"^lora\.", "lora_", rest).rpartition(".")[2] if rest else group
    if rest and (group, last) in _BY_GROUP:
        return _BY_GROUP[group, last]
    found = _KEYS.get(last, "")
    own = (
        not rest
        or re.split(r"[./]", found)[0] == group
        or group in ("lora", "training", "trainer", "wandb", "sft")
        or (group in ("train", "eval", "report") and found.startswith(("paths.", "tracking.")))
    )
    return found if own else ""
