"""Searching, and going on with a search."""

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Never

from autopeft.api.arguments import make_request, refuse_unknown
from autopeft.api.in_memory import Saved, in_memory
from autopeft.api.progress import search_progress
from autopeft.api.result import SearchResult
from autopeft.loops import search as engine
from autopeft.paths import StrPath
from autopeft.request import CHANGEABLE, PORTFOLIO, SearchRequest
from autopeft.tasks.in_memory import Examples
from autopeft.tasks.sources import DATA_VARIABLE
from autopeft.trackers.callback import Callback


def search(
    *,
    task: str | None = None,
    train: Examples | None = None,
    validation: Examples | None = None,
    test: Examples | None = None,
    dataset: str | None = None,
    splits: str | Sequence[str] = (),
    kind: str | None = None,
    language: str | None = None,
    text: str | Sequence[str] = (),
    label: str | None = None,
    model: StrPath | Saved | None = None,
    tokenizer: Saved | None = None,
    trust_remote_code: bool = False,
    quantize: str = "none",
    dtype: str = "auto",
    attention: str = "auto",
    gradient_checkpointing: str = "auto",
    data_dir: StrPath | None = None,
    space: StrPath = "default",
    plugins: StrPath | Sequence[StrPath] = (),
    trials: int = 64,
    workers: int | None = None,
    address: str | None = None,
    device: str = "auto",
    gpus_per_trial: float | None = None,
    trials_per_gpu: str | int | None = None,
    objectives: str | Sequence[str] = (),
    max_params: str | int | None = None,
    max_adapter_bytes: str | int | None = None,
    max_train_seconds: float | None = None,
    max_memory: str | int | None = None,
    start: str | Sequence[str] = (PORTFOLIO,),
    warm_start: StrPath | Sequence[StrPath] = (),
    cache_bytes: str | int = "1G",
    pack: str | int = "auto",
    sampler: str = "autopeft",
    seed: int = 0,
    out: StrPath | None = None,
    time_limit: float | None = None,
    trial_timeout: float | None = None,
    max_failed: float = 0.5,
    rungs: Sequence[float] = (),
    reduction: float = 3.0,
    confirm: int | None = None,
    train_examples: int | None = None,
    evaluation_examples: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    batch_tokens: int | None = None,
    max_length: int | None = None,
    max_new_tokens: int | None = None,
    track: str | Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    offline: bool = False,
    progress: bool | engine.Progress = True,
    **unknown: Never,
) -> SearchResult:
    """Search for configurations that trade a task's metric against what they cost; as `autopeft search`.

    Args:
        task: A task by name, such as "mrpc"; or own data, or a data set of the hub:
        train: Training examples: a CSV, TSV, JSON, JSON Lines, Parquet or CoNLL file, or a folder with a folder a class; or in memory,
            a pandas DataFrame, a `datasets.Dataset` or a list of dictionaries, which is written into the run's folder.
        validation: Validation examples, likewise; cut from the training examples if not given.
        test: Test examples, kept for the end; cut from the training examples if not given. A search selects nothing by them.
        dataset: A data set of the hub: "owner/name", or "owner/name:configuration".
        splits: Which of its splits serve as what where names aren't the usual ones, such as "validation=dev".
        kind: What kind of task own data are, such as "causal_lm"; inferred from columns and labels if not given.
        language: Code of the language that is spoken, such as "de", for Whisper's models of several languages.
        text: Column of own data to read, or several; those of usual names if not given.
        label: Column of own data to predict; one of a usual name if not given.
        model: A hub id or a folder; or a loaded model of transformers, which is saved into the run's folder; None: all-MiniLM-L6-v2.
        tokenizer: What a loaded model comes with: its tokenizer, image processor or feature extractor.
        trust_remote_code: Let Python code run that the model brings along, with all your rights.
        quantize: Keep the model's frozen linears in few bits: "nf4" or "int8" by bitsandbytes, "torchao-int8" by torchao; or "none".
        dtype: Precision of frozen weights: "float32", "bfloat16", "float16", or "auto": bfloat16 on a GPU that has it, else float32.
        attention: Attention function: "eager", "sdpa", "flash_attention_2", or "auto": sdpa where the model takes it.
        gradient_checkpointing: Compute layers twice to save memory: "on", "off", or "auto": where memory runs out.
        data_dir: A folder with one sub-folder of files a task; None: the one that AUTOPEFT_DATA names.
        space: A search space by name, or a YAML file.
        plugins: Own Python files that register methods or tasks.
        trials: Number of trials.
        workers: Worker processes; 0 runs trials in this process; None: as many as cores that may be used.
        address: Address of a Ray cluster.
        device: "cpu", "cuda" (also ROCm), "cuda:1" (of this machine, that one alone), "mps", or "auto": "cuda" where there is one.
        gpus_per_trial: How much of a GPU a trial takes, such as 0.25; a whole one if not given.
        trials_per_gpu: The same the other way round: how many trials share a GPU, or "auto": as its memory allows.
        objectives: Two to four of the task's metrics and of trainable_parameters, adapter_bytes, train_seconds, peak_bytes and
            latency_seconds; none: the task's metric and trainable_parameters.
        max_params: Most trainable parameters: a number, or a percentage of the model's such as "0.5%".
        max_adapter_bytes: Most bytes of a saved adapter's tensors, such as "2M".
        max_train_seconds: Most seconds of training steps; a trial that takes more is infeasible.
        max_memory: Most bytes in use at once, such as "8G"; a trial that takes more is infeasible.
        start: What to try first: "portfolio", "none", or presets.
        warm_start: Earlier runs whose fronts are tried first.
        cache_bytes: Memory in which each worker may keep hidden states below the modules; 0: none.
        pack: Trials at once in a worker, over one copy of the model: a number, or "auto": on a GPU as many as fit, else one.
        sampler: What proposes configurations; see `autopeft list samplers`.
        seed: Seeds proposals and trials.
        out: The run's folder; None: runs/<task>, where that is taken runs/<task>-2, and so on.
        time_limit: Minutes after which no new trial starts.
        trial_timeout: Seconds after which a worker gives a trial up.
        max_failed: Share of the trials that may fail.
        rungs: Shares of a trial's budget at which only the best go on, such as (0.17, 0.5); none: all do.
        reduction: One trial in so many goes on from each rung.
        confirm: Trials to train at the full budget in the end; None: about a third of the search's cost.
        train_examples: Training examples of a trial; None: the task's, as in those that follow.
        evaluation_examples: Validation examples.
        epochs: Passes over the training examples.
        batch_size: Examples a step.
        batch_tokens: Most tokens a step, padding counted, in place of `batch_size`.
        max_length: Tokens an example.
        max_new_tokens: Tokens of a text that a model writes; None: 64.
        track: Trackers that get every trial as a run: "tensorboard", "wandb", "mlflow", "trackio".
        callbacks: Hear of every trial that ends; what they raise is a warning, never the search's end.
        offline: Never ask the hub.
        progress: Whether to print how it goes, on standard error; or what hears of every trial.
        unknown: There are no other settings; a misspelled one is an error that names the nearest.

    Raises:
        UnknownNameError: There is no such setting.
        AutopeftError: The input is wrong, something it names is unavailable, or every trial failed.
    """
    arguments = locals()
    given = in_memory(arguments)
    request = make_request(SearchRequest, arguments | {setting: one.name for setting, one in given.items()})
    sources = {entry.name: "argument" for entry in fields(request) if getattr(request, entry.name) != entry.default}
    if request.task is not None and request.data_dir is None and (folder := os.environ.get(DATA_VARIABLE)):
        request = replace(request, data_dir=folder)  # recorded, since the run may be resumed where the variable isn't set
        sources["data_dir"] = "environment"
    with search_progress(progress) as listener:
        return SearchResult(engine.search(request, listener, sources, callbacks=callbacks, given=given).path)


def resume(
    path: StrPath,
    *,
    trials: int | None = None,
    confirm: int | None = None,
    time_limit: float | None = None,
    trial_timeout: float | None = None,
    max_failed: float | None = None,
    workers: int | None = None,
    address: str | None = None,
    device: str | None = None,
    gpus_per_trial: float | None = None,
    trials_per_gpu: str | int | None = None,
    cache_bytes: str | int | None = None,
    pack: str | int | None = None,
    track: str | Sequence[str] | None = None,
    callbacks: Sequence[Callback] = (),
    offline: bool | None = None,
    progress: bool | engine.Progress = True,
    **unknown: Never,
) -> SearchResult:
    """Go on with a search that was stopped, as if it never had been; as `autopeft search --resume`.

    What is not given stays as the search was asked for.

    Args:
        path: The run's directory.
        trials: A new total.
        confirm: A new number of trials to train at the full budget.
        time_limit: Minutes from now after which no new trial starts.
        trial_timeout: Seconds after which a worker gives a trial up.
        max_failed: Share of the trials that may fail.
        workers: Worker processes; 0 runs trials in this process.
        address: Address of a Ray cluster; "local": this machine.
        device: What trials run on.
        gpus_per_trial: How much of a GPU a trial takes.
        trials_per_gpu: How many trials share a GPU, or "auto".
        cache_bytes: Memory in which each worker may keep hidden states below the modules.
        pack: Trials at once in a worker; as in `search`.
        track: Trackers; one that is named for the first time gets the trials that are over, too.
        callbacks: As in `search`.
        offline: Never ask the hub.
        progress: As in `search`.
        unknown: As in `search`; no other setting can change.

    Raises:
        UnknownNameError: There is no such setting, or it can't change.
        AutopeftError: There is no run, another process drives it, or what it names is gone.
    """
    given = locals()
    refuse_unknown(given)
    changes = {name: given[name] for name in CHANGEABLE if given[name] is not None}
    with search_progress(progress) as listener:
        return SearchResult(engine.resume(Path(path), listener, changes, source="argument", callbacks=callbacks).path)
