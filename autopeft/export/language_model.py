"""What the trainers of causal language models have in common: a recipe of LoRA and hyper-parameters, and the task as texts to continue.

They have no task head. A trial's LoRA is written as a recipe to train anew, and its task as prompts that end where the label is to be
written; so what a trial learnt is always lost, and its metrics say nothing of the result.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from autopeft.budget import Budget
from autopeft.configuration import Configuration, Scalar, written
from autopeft.errors import UnsupportedError
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.low_rank import COMMON_OPTIONS, LowRank, low_ranks, split_off, whole
from autopeft.export.plan import ExportPlan, Written
from autopeft.export.trained import TrainedModel, load_trained
from autopeft.tasks import family_of
from autopeft.training_parameters import TRAINING_PARAMETERS, TrainingValue, number

_KEPT = ("learning_rate", "weight_decay", "warmup_fraction")
LABEL_TOKENS = 64
"""Room for the names of the columns and the label, where a trial had a head instead."""


@dataclass(frozen=True)
class Recipe:
    """What to train, and how."""

    model: str
    """Hub id or folder."""
    linears: Mapping[str, LowRank]
    """By the end of the linear's name that tells it from all others, such as "layers.4.self_attn.q_proj"."""
    common: LowRank
    """The update that most linears have."""
    options: Mapping[str, Scalar]
    """The value of each of `COMMON_OPTIONS`."""
    transposed: bool
    """Whether a linear keeps its weight transposed (Conv1D)."""
    training: Mapping[str, float]
    """What of the training is said: learning rate, weight decay and warm-up."""
    budget: Budget
    seed: int
    n_train: int
    label_tokens: int
    """Room in a sequence for the names of the columns and the label, besides the texts."""
    trust_remote_code: bool
    """Whether Python code that the model brings along may run."""
    quantize: str
    """How the model's frozen linears are quantised, one of `QUANTISATIONS`; torchao's are counted as lost."""

    @property
    def special(self) -> dict[str, LowRank]:
        """The linears whose update is not the common one."""
        return {name: linear for name, linear in self.linears.items() if linear != self.common}

    @property
    def alpha(self) -> float:
        """The common alpha, as an int where it is one."""
        return whole(self.common.alpha)

    @property
    def sequence_length(self) -> int:
        """Tokens of a prompt with its label."""
        return self.budget.max_length + self.label_tokens

    @property
    def warmup_steps(self) -> int:
        """Optimiser steps over which the learning rate rises."""
        return round(self.training["warmup_fraction"] * self.budget.epochs * math.ceil(self.n_train / self.budget.batch_size))


@dataclass(frozen=True)
class Trainer:
    """A trainer of causal language models, and what it can say of LoRA."""

    name: str
    version: str
    """The version that its files were checked against."""
    command: str
    """What trains, in the folder of the export."""
    files: Callable[[Recipe], Mapping[str, str]]
    """Returns the trainer's own files, name to content."""
    options: Sequence[str] = COMMON_OPTIONS
    per_linear: bool = False
    """Whether linears may differ in rank and alpha."""
    whole_alpha: bool = False
    """Whether alpha must be a whole number."""


def plan(trial: FinishedTrial, trainer: Trainer) -> ExportPlan:
    """Plan a recipe for a trainer.

    Raises:
        UnsupportedError: The trial has no LoRA that the trainer can express, or its backbone is no causal language model.
        UnavailableError: The backbone can't be loaded.
    """
    kept, lost = split_off(trial.configuration, trainer.options)
    trained = load_trained(trial)
    _require_causal(trained, trial, trainer)
    family = family_of(trial.task)
    family.prompts(trained.processor, family.example, trial.budget.max_length)  # a family that has none says so
    return ExportPlan(
        lambda folder: _write(trial, trainer, kept, trained, folder),
        (
            *_learnt(trial, trainer),
            *lost,
            *_scales(kept, trainer),
            *_rates(kept, trainer),
            *_recipes(trial.configuration.training, trainer),
        ),
    )


def _require_causal(trained: TrainedModel, trial: FinishedTrial, trainer: Trainer) -> None:
    attentions = [attention for block in trained.applied.topology.blocks for attention in block.attentions]
    modules = [trained.model.get_submodule(attention.name) for attention in attentions]
    if not modules or not all(getattr(module, "is_causal", False) for module in modules):
        raise UnsupportedError(
            f"{trainer.name} trains causal language models, and {trial.model_reference} is none: its tokens see those after them",
            remedy="Export it with --to peft or --to script.",
        )


def _learnt(trial: FinishedTrial, trainer: Trainer) -> list[str]:
    family, budget = family_of(trial.task), trial.budget
    batches = f"batches of {budget.batch_tokens} tokens: they have {budget.batch_size} examples instead"
    head = f"the task head, which {family.head_in_words}: {trainer.name} trains the language model to write the label"
    return [
        *([head] if family.has_fresh_head else []),
        *([batches] if budget.batch_tokens is not None else []),
        *(["what torchao quantised in the backbone"] if trial.backbone.quantize == "torchao-int8" else []),
        f"what the trial learnt: {trainer.name} trains anew, and the trial's metrics don't carry over",
    ]


def _scales(kept: Configuration, trainer: Trainer) -> list[str]:
    """Return what a trainer can't say of ranks and alphas."""
    scales = sorted({(module.size, float(module.options.get("alpha", 2 * module.size))) for module in kept.modules})
    lost = []
    if len(scales) > 1 and not trainer.per_linear:
        words = ", ".join(f"rank {rank} with alpha {alpha:g}" for rank, alpha in scales)
        lost.append(f"ranks and alphas that differ between linears ({words}): all get what most linears have")
    if trainer.whole_alpha and (fractions := [alpha for _, alpha in scales if alpha != int(alpha)]):
        lost.append(
            f"the fraction of alpha ({', '.join(f'{alpha:g}' for alpha in fractions)}), which {trainer.name} takes as a whole number"
        )
    return lost


def _rates(kept: Configuration, trainer: Trainer) -> list[str]:
    """Return that a trainer has one learning rate where a trial had two."""
    rates = sorted({float(module.options.get("b_rate", 1.0)) for module in kept.modules} - {1.0})
    times = " and ".join(f"{rate:g} times" for rate in rates)
    return [f"the learning rate of LoRA's factor B, {times} that of A: {trainer.name} gets one rate for both"] if rates else []


def _recipes(training: Mapping[str, TrainingValue], trainer: Trainer) -> list[str]:
    """Return the recipes of a trial, which a trainer does without."""
    return [
        f"the training with {TRAINING_PARAMETERS[name].in_words} {written(value)}: {trainer.name} trains without"
        for name, value in training.items()
        if name not in _KEPT
    ]


def _write(trial: FinishedTrial, trainer: Trainer, kept: Configuration, trained: TrainedModel, folder: Path) -> Written:
    data = trial.load_data()
    (folder / "data").mkdir()
    row: dict[str, Any] = {}
    for name, split in (("train", data.train), ("validation", data.validation)):
        with (folder / "data" / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for row in family_of(trial.task).prompts(trained.processor, split, trial.budget.max_length):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    recipe = _recipe(trial, trainer, kept, trained, len(data.train))
    for name, content in trainer.files(recipe).items():
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "README.md").write_text(_readme(trial, trainer, recipe, row), encoding="utf-8")
    return Written(trial.task)


def _recipe(trial: FinishedTrial, trainer: Trainer, kept: Configuration, trained: TrainedModel, n_train: int) -> Recipe:
    updates = low_ranks(kept, trained.applied.topology)
    # A language model has the same backbone under another name in some families, so the prefix stays away.
    prefix = f"{trained.model.base_model_prefix}."
    linears = {name.removeprefix(prefix): _rounded(linear, trainer) for name, linear in updates.linears.items()}
    common = _rounded(updates.common, trainer)
    return Recipe(
        model=trial.model_reference,
        linears=linears if trainer.per_linear else dict.fromkeys(linears, common),
        common=common,
        options=updates.options,
        transposed=updates.transposed,
        training={name: number(trial.configuration.training, name) for name in _KEPT},
        budget=trial.budget.full(),
        seed=trial.record.seed,
        n_train=n_train,
        label_tokens=LABEL_TOKENS if family_of(trial.task).has_fresh_head else 0,
        trust_remote_code=trial.backbone.trust_remote_code,
        quantize=trial.backbone.quantize,
    )


def _rounded(linear: LowRank, trainer: Trainer) -> LowRank:
    return LowRank(linear.rank, max(1, round(linear.alpha))) if trainer.whole_alpha else linear


def _inputs(row: Mapping[str, Any]) -> str:
    """Return the Python expression that encodes what a row of the data asks, as rows of its form are trained on."""
    if "prompt" not in row:
        return 'tokenizer(row["text"][:40], return_tensors="pt")'
    if isinstance(row["prompt"], str):
        return 'tokenizer(row["prompt"], return_tensors="pt")'
    return 'tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True, return_tensors="pt")'


def _readme(trial: FinishedTrial, trainer: Trainer, recipe: Recipe, row: Mapping[str, Any]) -> str:
    template = Template((Path(__file__).parent / "template" / "recipe.md").read_text(encoding="utf-8"))
    return template.substitute(
        trainer=trainer.name,
        version=trainer.version,
        command=trainer.command,
        files=", ".join(f"`{name}`" for name in trainer.files(recipe)),
        trial=trial.record.number,
        run=trial.run,
        task=trial.task.name,
        configuration=trial.configuration.describe(),
        model=trial.model_title,
        trust=", trust_remote_code=True" if recipe.trust_remote_code else "",
        inputs=_inputs(row),
        linears="\n".join(f"| {name} | {one.rank} | {whole(one.alpha)} |" for name, one in recipe.linears.items()),
    )
