import json

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import UnsupportedError, VerificationError
from autopeft.export.low_rank import split_off
from autopeft.export.peft_adapter import plan
from autopeft.methods.checkpoint import load
from autopeft.tasks import family_of
from autopeft.training.model import load_model
from tests.export.helpers import BATCH, scales, trained

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks transformers 5.23 for it

TRAINING = {"learning_rate": 0.05}


def lora(rank, layers, targets=("query", "value"), **options):
    return PeftModule("lora", rank, layers, targets, options)


CONFIGURATIONS = {
    "one rank": Configuration((lora(4, (1, 10)),), TRAINING),
    "several ranks": Configuration((lora(4, (1, 2)), lora(2, (11,)), lora(8, (3,), ("query",)), lora(1, (3,), ("ffn_in",))), TRAINING),
    "alpha": Configuration((lora(4, (1,), alpha=3.5), lora(4, (11,), alpha=16.0)), TRAINING),
    "dora": Configuration((lora(4, (0, 5), dora=True, dropout=0.1),), TRAINING),
    "rslora": Configuration((lora(4, (0,), rslora=True), lora(9, (1,), rslora=True)), TRAINING),
    "pissa": Configuration((lora(4, (0,), pissa=True), lora(2, (1,), pissa=True)), TRAINING),
    "every linear": Configuration((lora(2, tuple(range(12)), ("all",)),), TRAINING),
}


def base_model(trial):
    loaded = AutoModelForSequenceClassification.from_pretrained(
        trial.backbone.path, num_labels=len(trial.task.labels) or 1, dtype=torch.float32
    )
    loaded.config.pad_token_id = 0
    return loaded


def both(trial, folder):
    """Return our model with our adapter, and peft's with the export, ready to predict."""
    return trained(trial), PeftModel.from_pretrained(base_model(trial), folder).eval()


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_peft_loads_the_same_modules_and_predicts_the_same(train_trial, configuration, tmp_path):
    trial, _ = train_trial(configuration)
    plan(trial).write(tmp_path)
    ours, theirs = both(trial, tmp_path)
    assert scales(theirs) == scales(ours)
    with torch.no_grad():
        wanted, plain = ours(**BATCH).logits, base_model(trial).eval()(**BATCH).logits
        assert torch.equal(theirs(**BATCH).logits, wanted)
    assert not torch.allclose(wanted, plain, atol=1e-3)


@pytest.mark.parametrize(
    ("family", "head"), [("roberta", ["classifier"]), ("distilbert", ["classifier", "pre_classifier"]), ("gpt2", ["score"])]
)
def test_other_families_keep_their_heads(train_trial, family, head, tmp_path):
    targets = ("attention_output", "query") if family == "gpt2" else ("query", "ffn_out")
    trial, _ = train_trial(Configuration((lora(2, (0, 1), targets), lora(3, (2,), targets)), TRAINING), family)
    plan(trial).write(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["modules_to_save"] == head
    ours, theirs = both(trial, tmp_path)
    assert scales(theirs) == scales(ours)
    with torch.no_grad():
        assert torch.equal(theirs(**BATCH).logits, ours(**BATCH).logits)


def test_the_description_is_sorted_and_can_be_trained_further(train_trial, tmp_path):
    trial, _ = train_trial(CONFIGURATIONS["several ranks"])
    plan(trial).write(tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert config["base_model_name_or_path"] == trial.backbone.path
    assert config["modules_to_save"] == ["bert.pooler", "classifier"]
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert config["rank_pattern"].keys() == config["alpha_pattern"].keys()
    assert all(config["alpha_pattern"][name] == 2 * rank for name, rank in config["rank_pattern"].items())
    tokenizer = {"tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in tmp_path.iterdir()} == {"README.md", "adapter_config.json", "adapter_model.safetensors"} | tokenizer
    wrapped = get_peft_model(base_model(trial), PeftConfig.from_pretrained(tmp_path))
    trainable = {name for name, parameter in wrapped.named_parameters() if parameter.requires_grad}
    assert sum("lora_" in name for name in trainable) == 2 * len(config["target_modules"])


@pytest.mark.parametrize(
    ("modules", "lost"),
    [
        ((lora(2, (0,)), PeftModule("prefix", 3, (1,))), ["prefix 3 in 1"]),
        ((lora(2, (0, 1)), lora(4, (2,), dora=True)), ["lora 4 [query value] dora in 2 (its options differ from the other LoRA modules')"]),
        ((lora(2, (0,)), lora(2, (1,), gated=True)), ["lora 2 [query value] gated in 1 (its option gated)"]),
        ((lora(2, (0,), gated=False), lora(4, (1,), dropout=0.0, alpha=2.0)), []),
    ],
    ids=["composite", "mixed options", "gated", "nothing"],
)
def test_what_would_be_lost_is_listed_in_full(modules, lost):
    kept, found = split_off(Configuration(modules))
    assert found == lost
    assert len(kept.modules) == len(modules) - len(lost)


@pytest.mark.parametrize("modules", [(), (PeftModule("serial_adapter", 4, (0,)),), (lora(2, (0,), gated=True),)], ids=str)
def test_without_lora_there_is_nothing_to_export(untrained, modules):
    with pytest.raises(UnsupportedError, match="has no LoRA that could be expressed"):
        plan(untrained(*modules))


def test_what_is_left_of_a_composite_is_its_lora_and_head(train_trial, tmp_path):
    trial, _ = train_trial(
        Configuration((PeftModule("prefix", 2, (0, 1)), PeftModule("ia3", 1, (0,), ("query",)), lora(2, (0, 2))), TRAINING)
    )
    planned = plan(trial)
    assert planned.lost == ("ia3 1 [query] in 0", "prefix 2 in 0 1")
    planned.write(tmp_path)
    card = ModelCard.load(tmp_path / "README.md")
    assert "a part of the trial" in card.text
    assert card.data.eval_results is None  # the metrics are those of the whole
    ours = load_model(trial.backbone, family_of(trial.task)).model
    applied = load(ours, trial.adapter, BATCH)
    theirs = PeftModel.from_pretrained(base_model(trial), tmp_path)
    names = [f"bert.encoder.layer.{layer}.attention.self.{role}" for layer in (0, 2) for role in ("query", "value")]
    assert scales(theirs) == dict.fromkeys(names, (2, 4, 2.0))
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert len(saved) == 2 * len(names) + len(applied.head_parameters)
    assert all(torch.equal(saved[f"base_model.model.{name}"], tensor) for name, tensor in applied.head_parameters.items())


def test_an_adapter_of_another_configuration_is_refused(train_trial, tmp_path):
    trial, _ = train_trial(CONFIGURATIONS["one rank"])
    path = trial.adapter / "adapter.json"
    description = json.loads(path.read_text())
    description["configuration"]["modules"][0]["layers"] = [1, 9]
    path.write_text(json.dumps(description))
    with pytest.raises(VerificationError, match="lacks"):
        plan(trial).write(tmp_path)
