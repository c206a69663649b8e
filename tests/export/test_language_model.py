import json

import numpy as np
import pytest
import yaml
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError
from autopeft.export import axolotl_recipe, llamafactory_recipe, trl_recipe, unsloth_recipe
from autopeft.export.language_model import LABEL_TOKENS, _inputs
from autopeft.tasks import Split, family_of, get_task

RECIPES = {"trl": trl_recipe, "axolotl": axolotl_recipe, "llamafactory": llamafactory_recipe, "unsloth": unsloth_recipe}
TRAINING = {"learning_rate": 1e-5, "warmup_fraction": 0.1}


def lora(rank, layers, targets=("query", "value"), **options):
    return PeftModule("lora", rank, layers, targets, options)


@pytest.fixture(scope="module")
def several(train_trial):
    """A language model's trial of LoRA at several ranks and alphas, with a prefix."""
    modules = (lora(2, (1, 11)), lora(4, (3,), alpha=2.5), lora(2, (3,), ("ffn_in",)), PeftModule("prefix", 2, (0,)))
    return train_trial(Configuration(modules, TRAINING), "llama")[0]


@pytest.mark.parametrize(
    ("target", "lost"),
    [
        ("trl", ["prefix", "ranks and alphas that differ", "the fraction of alpha (2.5)"]),
        ("axolotl", ["prefix", "the fraction of alpha (2.5)"]),
        ("llamafactory", ["prefix", "ranks and alphas that differ", "the fraction of alpha (2.5)"]),
        ("unsloth", ["prefix"]),
    ],
)
def test_what_each_trainer_would_lose(several, target, lost):
    head, learnt, *rest = RECIPES[target].plan(several).lost
    assert head.startswith("the task head, which chooses among 2 labels")
    assert learnt.startswith("what the trial learnt")
    assert len(rest) == len(lost)
    assert all(line.startswith(start) for line, start in zip(rest, lost, strict=True))


@pytest.mark.parametrize("target", RECIPES)
def test_an_encoder_is_refused_whatever_may_be_lost(train_trial, target):
    trial, _ = train_trial(Configuration((lora(2, (0,)),), TRAINING))
    with pytest.raises(UnsupportedError, match=r"trains causal language models, and .* is none"):
        RECIPES[target].plan(trial)


def test_trl_cannot_start_from_principal_vectors(untrained):
    with pytest.raises(UnsupportedError, match=r"no LoRA that could be expressed: .*its option pissa"):
        trl_recipe.plan(untrained(lora(2, (0,), pissa=True)))


@pytest.mark.parametrize("target", RECIPES)
def test_the_rate_of_a_factor_and_recipes_are_named_and_nothing_else_is_lost_with_them(train_trial, target, tmp_path):
    trial, _ = train_trial(Configuration((lora(2, (0,), b_rate=16.0),), {**TRAINING, "schedule": "cosine", "l2_start": 0.01}), "llama")
    plan = RECIPES[target].plan(trial)
    name = RECIPES[target].TRAINER.name
    assert plan.lost[2:] == (
        f"the learning rate of LoRA's factor B, 16 times that of A: {name} gets one rate for both",
        f"the training with l2 start 0.01: {name} trains without",
        f"the training with schedule cosine: {name} trains without",
    )
    plan.write(tmp_path)
    assert (tmp_path / "data" / "train.jsonl").is_file()


def test_small_numbers_stay_numbers(several, tmp_path):
    trl_recipe.plan(several).write(tmp_path)
    config = yaml.safe_load((tmp_path / "sft.yaml").read_text())
    assert (config["learning_rate"], config["warmup_steps"]) == (1e-5, 0.1)


def test_the_task_becomes_prompts_without_test_examples(several, tmp_path):
    trl_recipe.plan(several).write(tmp_path)
    rows = {name: (tmp_path / "data" / f"{name}.jsonl").read_text().splitlines() for name in ("train", "validation")}
    assert {name: len(lines) for name, lines in rows.items()} == {"train": 96, "validation": 12}  # 12 more are the test data
    first = json.loads(rows["train"][0])
    assert first["prompt"].startswith("text: ")
    assert first["prompt"].endswith("\nlabel:")
    assert first["completion"] in (" yes", " no")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_the_readme_loads_and_asks_what_was_trained(several, tmp_path, monkeypatch, capsys):
    trl_recipe.plan(several).write(tmp_path)
    base = AutoModelForCausalLM.from_pretrained(several.backbone.path)
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path / "trained")  # in place of hours of TRL
    AutoTokenizer.from_pretrained(several.backbone.path).save_pretrained(tmp_path / "trained")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec((tmp_path / "README.md").read_text().split("```python\n")[1].split("```")[0], names)
    assert {type(module).__name__ for module in names["model"].modules()} >= {"Linear", "LlamaForCausalLM"}
    assert names["row"]["prompt"].endswith("\nlabel:")
    assert capsys.readouterr().out.endswith("\n")
    assert names["answer"].shape[1] > names["inputs"]["input_ids"].shape[1]


@pytest.mark.parametrize(
    ("row", "inputs"),
    [
        ({"text": "A film."}, 'tokenizer(row["text"][:40]'),
        ({"prompt": "A film:", "completion": " good"}, 'tokenizer(row["prompt"]'),
        ({"prompt": [{"role": "user", "content": "A film?"}], "completion": []}, 'tokenizer.apply_chat_template(row["prompt"]'),
    ],
    ids=["text", "prompt", "turns"],
)
def test_the_readme_encodes_rows_of_their_form(row, inputs):
    assert _inputs(row).startswith(inputs)


def test_texts_are_cut_where_the_trial_cut_them(model_folder):
    tokenizer = AutoTokenizer.from_pretrained(model_folder("llama"))
    split = Split((["good film good film", "bad"], ["very long and dull", "bad film"]), np.array([1, 0]))
    rows = list(family_of(get_task("mrpc")).prompts(tokenizer, split, max_length=5))
    assert [row["completion"] for row in rows] == [" equivalent", " not_equivalent"]
    assert rows[0]["prompt"] == "sentence1: good film\nsentence2: very long and\nlabel:"
    assert rows[1]["prompt"] == "sentence1: bad\nsentence2: bad film\nlabel:"


def test_the_label_has_room_behind_the_longest_text(several, tmp_path):
    llamafactory_recipe.plan(several).write(tmp_path)
    config = yaml.safe_load((tmp_path / "train.yaml").read_text())
    assert config["cutoff_len"] == several.budget.max_length + LABEL_TOKENS
    assert config["warmup_steps"] == round(0.1 * 12 * several.budget.full().epochs)  # 96 examples in batches of 8
