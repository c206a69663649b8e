"""Numbers of any offset and scale: learnt alike, measured in their own unit, and exported so that they come out in it."""

import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from autopeft.configuration import Configuration, PeftModule
from autopeft.export import merged_model, peft_adapter
from autopeft.export.predictor import predictor_of
from autopeft.tasks import family_of
from autopeft.tasks.metrics import REGRESSION

LORA = Configuration((PeftModule("lora", 2, layers=(0, 1, 2)),), {"learning_rate": 1e-2})
UNITS = {
    "scores": (0.0, 1.0),
    "small": (0.0, 2.0**-10),
    "prices": (300_000.5, 65_536.0),
    "offset": (1e7, 1.0),
    "times": (1.7e9 + 0.5, 131_072.0),
}
"""Offset and scale; the halves keep whole numbers from being taken for classes. Scales are powers of two, as the one that is found."""


@pytest.fixture(scope="module")
def in_unit(score_file):
    """Return a function that writes the scores in another unit."""

    def write(offset, scale):
        path = score_file.with_name(f"scores-{offset:g}-{scale:g}.csv")
        rows = [row.rsplit(",", 1) for row in score_file.read_text().splitlines()[1:]]
        path.write_text("text,label\n" + "".join(f"{text},{offset + scale * float(score)!r}\n" for text, score in rows))
        return path

    return write


@pytest.mark.parametrize("unit", UNITS)
def test_what_is_learnt_does_not_depend_on_the_unit(train_trial, score_file, in_unit, unit):
    _, wanted = train_trial(LORA, "gpt2", file=score_file)
    trial, found = train_trial(LORA, "gpt2", file=in_unit(*UNITS[unit]))
    assert wanted.metrics["spearman"] > 0.5  # it has learnt something
    assert found.metrics["spearman"] == pytest.approx(wanted.metrics["spearman"], abs=0.02)
    scale = UNITS[unit][1]
    assert found.metrics["loss"] == pytest.approx(wanted.metrics["loss"] * scale**2, rel=0.02)
    assert [point.train_loss for point in found.curve] == pytest.approx([point.train_loss * scale**2 for point in wanted.curve], rel=0.02)
    if unit == "small":  # by a power of two
        assert found.metrics["spearman"] == wanted.metrics["spearman"]
    # What is predicted later is what was measured, to the last bit.
    validation = trial.load_data().validation
    answers = [answer["prediction"] for answer in predictor_of(trial).predict(list(validation.inputs[0]))]
    for name, metric in REGRESSION.items():
        assert metric(np.array(answers[:20]), validation.targets[:20]) == found.metrics[name]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks transformers for it
@pytest.mark.parametrize("unit", ["scores", "prices", "times"])
@pytest.mark.parametrize("form", ["merged", "peft"])
@pytest.mark.parametrize("family", ["roberta", "gpt2"])
def test_other_libraries_predict_the_numbers_themselves(train_trial, in_unit, unit, form, family, tmp_path):
    trial, _ = train_trial(LORA, family=family, file=in_unit(*UNITS[unit]))
    texts = ["the film was good", "very long and dull", "good good good"]
    wanted = [answer["prediction"] for answer in predictor_of(trial).predict(texts)]
    task = {"merged": merged_model, "peft": peft_adapter}[form].plan(trial).write(tmp_path).task
    source = tmp_path if form == "merged" else trial.backbone.path
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1, dtype=torch.float32)
    model.config.pad_token_id = 0
    model = (PeftModel.from_pretrained(model, tmp_path) if form == "peft" else model).eval()
    tokenizer, code = AutoTokenizer.from_pretrained(tmp_path), family_of(task).answer_code
    found = []
    for text in texts:
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits
        found.append(eval(code, {"logits": logits}))
    scale = UNITS[unit][1]
    assert np.std(wanted) > 1e-3 * scale
    np.testing.assert_allclose(found, wanted, atol=1e-4 * scale)
    # A head without a bias, as language models have, can't add an offset; float32 can't hold a small difference of large numbers.
    folds = family == "roberta" and unit in ("scores", "small", "prices")
    assert (code == "logits[0, 0].item()") == folds
    card = (tmp_path / "README.md").read_text()
    assert f"print({code})" in card
    assert ("The model's own output is another one" in card) == (not folds)
    json.dumps(task.to_dict())
