"""Which parameters count as the task head, above all where the backbone isn't held under the name that its class announces."""

import warnings
from pathlib import Path

import pytest
import torch
import transformers as tf
from torch import nn

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.checkpoint import load
from autopeft.methods.compose import apply
from autopeft.methods.head import head_parameter_names, parameters_not_loaded

from .families import FAMILIES, LABELS, SMALL, TWO_STACKS, WIDTHS, logits_of, noise, text

WHISPER = {**FAMILIES["whisper"].settings, "classifier_proj_size": 8, **LABELS}
VISION = {**WIDTHS, "num_hidden_layers": 2, "image_size": 16, "patch_size": 8}
T5 = FAMILIES["t5"].settings
CLASSIFIER = {"classifier.weight", "classifier.bias"}
PROJECTED = {*CLASSIFIER, "projector.weight", "projector.bias"}
ANSWERS = {"qa_outputs.weight", "qa_outputs.bias"}


def of_vision(config_class: type[tf.PretrainedConfig]) -> tf.PretrainedConfig:
    return config_class(text_config={**SMALL, "projection_dim": 16}, vision_config={**VISION, "projection_dim": 16}, projection_dim=16)


@pytest.mark.parametrize(
    ("model_class", "config", "head"),
    [
        (tf.WhisperForAudioClassification, tf.WhisperConfig(**WHISPER), PROJECTED),
        (
            tf.WhisperForAudioClassification,
            tf.WhisperConfig(**WHISPER, use_weighted_layer_sum=True),
            {*PROJECTED, "layer_weights"},
        ),
        (tf.CLIPForImageClassification, of_vision(tf.CLIPConfig), CLASSIFIER),
        (tf.SiglipForImageClassification, of_vision(tf.SiglipConfig), CLASSIFIER),
        (tf.T5ForQuestionAnswering, tf.T5Config(**T5), ANSWERS),
        (tf.MT5ForQuestionAnswering, tf.MT5Config(**T5), ANSWERS),
        (tf.BartForQuestionAnswering, tf.BartConfig(**TWO_STACKS), ANSWERS),
        (tf.T5ForTokenClassification, tf.T5Config(**T5), CLASSIFIER),
        (tf.BertForTokenClassification, tf.BertConfig(**SMALL), CLASSIFIER),
        (tf.ViTForImageClassification, tf.ViTConfig(**VISION), CLASSIFIER),
        (tf.WhisperModel, tf.WhisperConfig(**WHISPER), set()),
        (tf.T5Model, tf.T5Config(**T5), set()),
        (tf.BartModel, tf.BartConfig(**TWO_STACKS), set()),
        (tf.BertModel, tf.BertConfig(**SMALL), set()),
        (tf.CLIPModel, of_vision(tf.CLIPConfig), set()),
    ],
)
def test_the_head_is_what_stands_on_the_pretrained_part(model_class: type[nn.Module], config: tf.PretrainedConfig, head: set[str]) -> None:
    assert set(head_parameter_names(model_class(config))) == head


def test_the_head_of_whisper_is_trained() -> None:
    model = tf.WhisperForAudioClassification(tf.WhisperConfig(**WHISPER)).eval()
    batch = noise("input_features", 3, 16, 40)
    applied = apply(model, Configuration((PeftModule("lora", 2, (0, 2)),)), batch)
    assert set(applied.head_parameters) == PROJECTED
    before = {name: parameter.detach().clone() for name, parameter in applied.head_parameters.items()}
    model(**batch, labels=torch.tensor([0, 1, 1])).loss.backward()
    torch.optim.SGD(applied.trainable_parameters().values(), lr=1.0).step()
    assert not any(torch.equal(parameter, before[name]) for name, parameter in applied.head_parameters.items())


def test_what_the_checkpoint_lacked_is_trained_and_saved_with_a_warning(tmp_path: Path) -> None:
    """Two encoders as one encoder-decoder: the second gets attention to the first, which neither has."""
    tf.BertModel(tf.BertConfig(**SMALL)).save_pretrained(tmp_path / "bert")

    def build() -> nn.Module:
        return tf.EncoderDecoderModel.from_encoder_decoder_pretrained(str(tmp_path / "bert"), str(tmp_path / "bert")).eval()

    batch = {**text(), "decoder_input_ids": text()["input_ids"]}
    model = build()
    lacking = parameters_not_loaded(model)
    assert {name for name in lacking if "crossattention" in name} == {
        name for name, _ in model.named_parameters() if "crossattention" in name
    }
    with pytest.warns(UserWarning, match=r"lacked \d+ parameters .*decoder\.bert\.encoder\.layer\.\*\.crossattention\.self\.query\.weight"):
        applied = apply(model, Configuration((PeftModule("lora", 2, (0, 4)),)), batch)
    assert len(applied.head_parameters) == len(lacking)
    for parameter in applied.trainable_parameters().values():
        parameter.data.normal_(0, 0.1)
    expected = logits_of(model, batch)
    applied.save(tmp_path / "adapter")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = build()
        load(other, tmp_path / "adapter", batch)
    assert torch.equal(logits_of(other, batch), expected)


def test_what_was_loaded_or_never_was_is_no_head(tmp_path: Path) -> None:
    family = FAMILIES["bert"]
    fresh = family.build()
    assert parameters_not_loaded(fresh) == ()
    fresh.save_pretrained(tmp_path)
    assert parameters_not_loaded(family.model_class.from_pretrained(tmp_path)) == ()
    fresh.bert.save_pretrained(tmp_path / "backbone")
    assert set(parameters_not_loaded(family.model_class.from_pretrained(tmp_path / "backbone"))) == CLASSIFIER
