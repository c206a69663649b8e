"""Which parameters count as the task head, above all where the backbone isn't held under the name that its class announces."""

import pytest
import torch
import transformers as tf
from torch import nn

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply
from autopeft.methods.head import head_parameter_names

from .families import FAMILIES, LABELS, SMALL, TWO_STACKS, WIDTHS, noise

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
