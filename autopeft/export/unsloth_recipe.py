"""Export as a training script on Unsloth."""

from pathlib import Path
from string import Template

from autopeft.export import language_model
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.language_model import Recipe, Trainer
from autopeft.export.low_rank import whole
from autopeft.export.plan import ExportPlan


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `train.py`; errors as in `language_model.plan`."""
    return language_model.plan(trial, TRAINER)


def _files(recipe: Recipe) -> dict[str, str]:
    template = Template((Path(__file__).parent / "template" / "unsloth.py.txt").read_text(encoding="utf-8"))
    script = template.substitute(
        model=repr(recipe.model),
        trust=", trust_remote_code=True" if recipe.trust_remote_code else "",
        quantised=f"load_in_4bit={recipe.quantize == 'nf4'}" + (", load_in_8bit=True" if recipe.quantize == "int8" else ""),
        sequence_length=recipe.sequence_length,
        rank=recipe.common.rank,
        alpha=recipe.alpha,
        rank_pattern=_lines({name: linear.rank for name, linear in recipe.special.items()}),
        alpha_pattern=_lines({name: whole(linear.alpha) for name, linear in recipe.special.items()}),
        targets="".join(f"        {name!r},\n" for name in recipe.linears).rstrip(),
        dropout=recipe.options["dropout"],
        dora=recipe.options["dora"],
        rslora=recipe.options["rslora"],
        initial=repr("pissa") if recipe.options["pissa"] else "True",
        learning_rate=recipe.training["learning_rate"],
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.training["weight_decay"],
        epochs=recipe.budget.epochs,
        batch_size=recipe.budget.batch_size,
        seed=recipe.seed,
    )
    return {"train.py": script}


def _lines(values: dict[str, float]) -> str:
    return "{" + "".join(f"\n        {name!r}: {value!r}," for name, value in values.items()) + ("\n    }" if values else "}")


TRAINER = Trainer("Unsloth", "2026.10.9", "python train.py", _files, per_linear=True)
