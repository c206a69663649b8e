"""autopeft search: finds the Pareto front, or goes on finding it."""

import shlex
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperOption

from autopeft.cli import completion
from autopeft.cli.opening import say_first
from autopeft.cli.stopping import heed_termination
from autopeft.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from autopeft.report.progress import ConsoleProgress
    from autopeft.request import SearchRequest
    from autopeft.study.directory import RunDirectory

_DATA, _GOAL, _SPENT, _WHERE, _RUN = "What to learn", "What to trade off", "What a trial may spend", "Where it runs", "The run"


def _option(*names: str, panel: str, text: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=text, **more)


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Make a YAML file's values the defaults of all flags; flags given on the command line go before."""
    if path is None:
        return None
    import yaml

    from autopeft.space.reader import NO_YAML

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, *NO_YAML) as error:
        raise InvalidInputError(f"the file of settings can't be read: {' '.join(str(error).split())}", value=str(path)) from None
    if not isinstance(values, dict):
        raise InvalidInputError("a file of settings must map flags to values, such as trials: 64", value=str(path))
    repeated = {str(parameter.name): parameter.multiple for parameter in context.command.params if isinstance(parameter, TyperOption)}
    defaults: dict[str, Any] = {}
    for name, value in values.items():
        flag = str(name).replace("-", "_")
        if flag not in repeated:
            raise UnknownNameError(f"setting in {path}", str(name), {one.replace("_", "-") for one in repeated.keys() - {"config"}})
        defaults[flag] = _as_typed(value, repeated=repeated[flag])
    context.default_map = defaults
    return path


def _as_typed(value: Any, *, repeated: bool) -> Any:
    """Return a value of the file as its flag takes it: one that may be repeated takes a list, every other takes commas."""
    if value is None:
        return None
    if repeated:
        return [str(one) for one in (value if isinstance(value, list) else [value])]
    return ",".join(map(str, value)) if isinstance(value, list) else value


def search(
    context: typer.Context,
    task: Annotated[
        str | None, _option("--task", panel=_DATA, text="A task by name; see: autopeft list tasks.", autocompletion=completion.tasks)
    ] = None,
    train: Annotated[
        str | None, _option("--train", panel=_DATA, text="Own training examples: CSV, TSV, JSONL, JSON, Parquet or CoNLL.")
    ] = None,
    validation: Annotated[str | None, _option("--validation", panel=_DATA, text="Own validation examples; else cut from --train.")] = None,
    test: Annotated[str | None, _option("--test", panel=_DATA, text="Own test examples, kept for the end; else cut from --train.")] = None,
    dataset: Annotated[str | None, _option("--dataset", panel=_DATA, text="Any data set of the hub: owner/name[:configuration].")] = None,
    splits: Annotated[
        str | None,
        _option(
            "--splits",
            panel=_DATA,
            text="Which of its splits serve as what: validation=dev,train=train[:20000].",
            show_default="splits of usual names",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        _option(
            "--kind",
            panel=_DATA,
            autocompletion=completion.kinds,
            text="What kind of task own data are; see: autopeft list kinds.",
            show_default="inferred from columns and labels",
        ),
    ] = None,
    language: Annotated[
        str | None, _option("--language", panel=_DATA, text="What is spoken, such as de: for Whisper's models of several languages.")
    ] = None,
    text: Annotated[
        str | None,
        _option("--text", panel=_DATA, text="Own data's column to read, or more: a,b.", show_default="columns of usual names"),
    ] = None,
    label: Annotated[
        str | None, _option("--label", panel=_DATA, text="Own data's column to predict.", show_default="a column of a usual name")
    ] = None,
    data_dir: Annotated[
        str | None, _option("--data-dir", panel=_DATA, envvar="AUTOPEFT_DATA", text="A folder with one sub-folder of files a task.")
    ] = None,
    model: Annotated[str | None, _option("--model", panel=_DATA, text="A hub id or a folder.", show_default="all-MiniLM-L6-v2")] = None,
    trust_remote_code: Annotated[
        bool, _option("--trust-remote-code", panel=_DATA, text="Run Python code that the model brings along, with all your rights.")
    ] = False,
    quantize: Annotated[
        str,
        _option(
            "--quantize",
            autocompletion=completion.names_in("autopeft.training.backbone", "QUANTISATIONS"),
            panel=_DATA,
            text="Keep the model's frozen linears in few bits: nf4, int8, torchao-int8, or none.",
        ),
    ] = "none",
    dtype: Annotated[
        str,
        _option(
            "--dtype",
            autocompletion=completion.names_in("autopeft.request", "DTYPES"),
            panel=_WHERE,
            text="Precision of frozen weights: auto, float32, bfloat16 or float16.",
        ),
    ] = "auto",
    attention: Annotated[
        str,
        _option(
            "--attention",
            autocompletion=completion.names_in("autopeft.request", "ATTENTION"),
            panel=_WHERE,
            text="Attention function: auto, eager, sdpa or flash_attention_2.",
        ),
    ] = "auto",
    gradient_checkpointing: Annotated[
        str,
        _option(
            "--gradient-checkpointing",
            autocompletion=completion.names_in("autopeft.request", "CHECKPOINTING"),
            panel=_WHERE,
            text="Compute layers twice to save memory: on, off, or auto: if it runs out.",
        ),
    ] = "auto",
    space: Annotated[
        str, _option("--space", panel=_DATA, text="A search space by name, or a YAML file.", autocompletion=completion.spaces)
    ] = "default",
    plugins: Annotated[
        list[str] | None, _option("--plugin", panel=_DATA, text="An own Python file that registers methods or tasks; may be repeated.")
    ] = None,
    objectives: Annotated[
        str | None,
        _option(
            "--objectives",
            panel=_GOAL,
            text="2 to 4 of the task's metrics, trainable_parameters, adapter_bytes, train_seconds, peak_bytes, latency_seconds: a,b,c.",
            show_default="the task's metric, trainable_parameters",
        ),
    ] = None,
    max_params: Annotated[
        str | None, _option("--max-params", panel=_GOAL, text="Most trainable parameters: 200k, or 0.5% of the model's.")
    ] = None,
    max_adapter_bytes: Annotated[
        str | None, _option("--max-adapter-bytes", panel=_GOAL, text="Most bytes of a saved adapter with its head, such as 2M.")
    ] = None,
    max_train_seconds: Annotated[
        float | None, _option("--max-train-seconds", panel=_GOAL, text="Most seconds of training; slower trials are infeasible.")
    ] = None,
    max_memory: Annotated[
        str | None, _option("--max-memory", panel=_GOAL, text="Most bytes in use, such as 8G; trials that take more are infeasible.")
    ] = None,
    cache_bytes: Annotated[
        str, _option("--cache-bytes", panel=_WHERE, text="Memory a worker keeps hidden states below the modules in; 0: none.")
    ] = "1G",
    start: Annotated[
        str,
        _option(
            "--start",
            autocompletion=completion.names_in("autopeft.methods.presets", "PRESETS"),
            panel=_GOAL,
            text="What to try first: portfolio, presets (see: autopeft list presets), or none. Several: a,b.",
        ),
    ] = "portfolio",
    warm_start: Annotated[
        list[str] | None, _option("--warm-start", panel=_GOAL, text="An earlier run whose front is tried first; may be repeated.")
    ] = None,
    train_examples: Annotated[
        int | None, _option("--train-examples", panel=_SPENT, text="Training examples.", show_default="the task's")
    ] = None,
    evaluation_examples: Annotated[
        int | None, _option("--evaluation-examples", panel=_SPENT, text="Validation examples.", show_default="the task's")
    ] = None,
    epochs: Annotated[int | None, _option("--epochs", panel=_SPENT, text="Passes over them.", show_default="the task's")] = None,
    batch_size: Annotated[int | None, _option("--batch-size", panel=_SPENT, text="Examples a step.", show_default="the task's")] = None,
    batch_tokens: Annotated[
        int | None,
        _option("--batch-tokens", panel=_SPENT, text="Most tokens a step, padding counted.", show_default="so many examples instead"),
    ] = None,
    max_length: Annotated[int | None, _option("--max-length", panel=_SPENT, text="Tokens an example.", show_default="the task's")] = None,
    max_new_tokens: Annotated[
        int | None, _option("--max-new-tokens", panel=_SPENT, text="Tokens of a text that a model writes.", show_default="64")
    ] = None,
    rungs: Annotated[
        str,
        _option("--rungs", panel=_SPENT, text="Shares of a trial's budget at which only the best go on, such as 0.17,0.5; none: all do."),
    ] = "none",
    reduction: Annotated[float, _option("--reduction", panel=_SPENT, text="One trial in so many goes on from each rung.")] = 3.0,
    confirm: Annotated[
        int | None,
        _option("--confirm", panel=_SPENT, text="Trials to train at the full budget in the end.", show_default="about a third of the cost"),
    ] = None,
    trials: Annotated[int, _option("--trials", panel=_RUN, text="Trials in total, those of a resumed run counted.")] = 64,
    time_limit: Annotated[float | None, _option("--time-limit", panel=_RUN, text="Minutes after which no new trial starts.")] = None,
    trial_timeout: Annotated[
        float | None, _option("--trial-timeout", panel=_RUN, text="Seconds after which a worker gives a trial up.")
    ] = None,
    max_failed: Annotated[float, _option("--max-failed", panel=_RUN, text="Share of the trials that may fail.")] = 0.5,
    sampler: Annotated[
        str,
        _option(
            "--sampler", panel=_RUN, text="What proposes configurations; see: autopeft list samplers.", autocompletion=completion.samplers
        ),
    ] = "autopeft",
    seed: Annotated[int, _option("--seed", panel=_RUN, text="Seeds proposals and trials.")] = 0,
    out: Annotated[str | None, _option("--out", panel=_RUN, text="The run's folder.", show_default="runs/<task>")] = None,
    resume: Annotated[
        Path | None, _option("--resume", panel=_RUN, text="Go on with the run in this folder; how long and where it runs may change.")
    ] = None,
    dry_run: Annotated[bool, _option("--dry-run", panel=_RUN, text="Show the space and some of its configurations, and stop.")] = False,
    workers: Annotated[
        int | None,
        _option("--workers", panel=_WHERE, text="Worker processes; 0: this process.", show_default="one a GPU, else one a usable core"),
    ] = None,
    address: Annotated[
        str | None, _option("--address", panel=_WHERE, text="A running Ray cluster: auto, or ray://host:port; local: this machine.")
    ] = None,
    device: Annotated[
        str, _option("--device", panel=_WHERE, text="auto, cpu, cuda, cuda:1 (of this machine, that one alone), or mps.")
    ] = "auto",
    gpus_per_trial: Annotated[
        float | None,
        _option("--gpus-per-trial", panel=_WHERE, text="How much of a GPU a trial takes, such as 0.25.", show_default="a whole one"),
    ] = None,
    trials_per_gpu: Annotated[
        str | None,
        _option("--trials-per-gpu", panel=_WHERE, text="How many trials share a GPU; auto: as its memory allows.", show_default="1"),
    ] = None,
    pack: Annotated[
        str,
        _option("--pack", panel=_WHERE, text="Trials at once in a worker, over one copy of the model; auto: 1 on a CPU."),
    ] = "auto",
    track: Annotated[
        str | None,
        _option(
            "--track",
            autocompletion=completion.names_in("autopeft.trackers.registry", "TRACKERS"),
            panel=_RUN,
            text="Trackers that get every trial as a run: tensorboard, wandb, mlflow, trackio. Several: a,b.",
        ),
    ] = None,
    offline: Annotated[bool, _option("--offline", panel=_WHERE, text="Never ask the hub.")] = False,
    config: Annotated[
        Path | None, _option("--config", panel=_RUN, is_eager=True, callback=_read_config, text="A YAML file of these settings.")
    ] = None,
) -> None:
    """Search for configurations that trade a task's metric against what they cost, and print their Pareto front.

    Examples:
      autopeft search --task demo --trials 12

      autopeft search --task mrpc --data-dir data --trials 64 --workers 2

      autopeft search --train train.csv --text question --label topic

      autopeft search --dataset openai/gsm8k:main --text question --label answer --kind causal_lm --model HuggingFaceTB/SmolLM2-135M

      autopeft search --task mrpc --objectives accuracy,trainable_parameters,latency_seconds --max-params 0.5% --start lora,mam

      autopeft search --resume runs/mrpc
    """
    say_first("finding task and model" if resume is None else f"going on with {resume}")
    from autopeft.loops import search as engine
    from autopeft.loops.planning import plan
    from autopeft.report.progress import ConsoleProgress

    progress = ConsoleProgress()
    command = shlex.join(["autopeft", *sys.argv[1:]])
    if resume is not None:
        _until_stopped(lambda: engine.resume(resume, progress, _changes(context), command), progress)
    elif dry_run:
        progress.planned(plan(_request(context)))
    else:
        _until_stopped(lambda: engine.search(_request(context), progress, _sources(context), command), progress)


def _request(context: typer.Context) -> "SearchRequest":
    from autopeft.request import SearchRequest

    given = dict(context.params)
    for name in ("text", "splits", "objectives", "start", "track"):
        given[name] = _listed(given[name])
    for name in ("plugins", "warm_start"):
        given[name] = tuple(given[name] or ())
    given["rungs"] = _shares(given["rungs"])
    return SearchRequest(**{entry.name: given[entry.name] for entry in fields(SearchRequest)})


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()


def _shares(text: str) -> tuple[float, ...]:
    try:
        return () if text == "none" else tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInputError("--rungs must be shares such as 0.17,0.5, or none", value=text) from None


def _sources(context: typer.Context) -> dict[str, str]:
    """Return where each setting came from."""
    names = {"COMMANDLINE": "flag", "ENVIRONMENT": "environment", "DEFAULT_MAP": "file", "DEFAULT": "default"}
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: names[source.name] for name, source in sources.items() if source is not None}


def _changes(context: typer.Context) -> dict[str, Any]:
    """Return what is asked anew of a resumed run: every flag that is given."""
    given = {name: context.params[name] for name, source in _sources(context).items() if source == "flag" and name != "resume"}
    return given | ({"track": _listed(given["track"])} if "track" in given else {})


def _as_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """Return a warning as people read it; the line of code that it came from helps nobody here."""
    return f"warning: {message}\n"


def _until_stopped(run: Callable[[], "RunDirectory"], progress: "ConsoleProgress") -> None:
    heed_termination()
    warnings.formatwarning = _as_line
    try:
        folder = run()
    except KeyboardInterrupt:
        progress.stopped()
        raise typer.Exit(130) from None
    progress.finished(folder)
