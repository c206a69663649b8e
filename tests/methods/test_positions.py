import pytest
import torch
import transformers as tf

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.positions import filler, n_positions
from autopeft.methods.registry import positions_taken

from .families import FAMILIES, GROUPED, SMALL, TWO_STACKS, VOCABULARY

GPT2 = {"n_embd": 32, "n_layer": 1, "n_head": 4, **VOCABULARY}


@pytest.mark.parametrize(
    ("model_class", "config", "expected"),
    [
        (tf.BertForSequenceClassification, tf.BertConfig(**SMALL, max_position_embeddings=40), 40),
        (tf.BertModel, tf.BertConfig(**SMALL, max_position_embeddings=40), 40),
        (tf.RobertaForSequenceClassification, tf.RobertaConfig(**SMALL, max_position_embeddings=42, pad_token_id=1), 40),
        (tf.MPNetForSequenceClassification, tf.MPNetConfig(**SMALL, max_position_embeddings=42, pad_token_id=1), 40),
        (tf.DistilBertModel, tf.DistilBertConfig(dim=32, n_layers=1, n_heads=4, hidden_dim=48, max_position_embeddings=40), 40),
        (tf.AlbertModel, tf.AlbertConfig(**SMALL, embedding_size=16, max_position_embeddings=40), 40),
        (tf.GPT2ForSequenceClassification, tf.GPT2Config(**GPT2, n_positions=40, pad_token_id=0), 40),
        (tf.OPTForSequenceClassification, tf.OPTConfig(**FAMILIES["opt"].settings, max_position_embeddings=40), 40),
        (tf.BartForSequenceClassification, tf.BartConfig(**TWO_STACKS, max_position_embeddings=40), 40),
        (tf.BloomModel, tf.BloomConfig(hidden_size=32, n_layer=1, n_head=4), None),
        (tf.LlamaForSequenceClassification, tf.LlamaConfig(**GROUPED), None),
        (tf.T5ForConditionalGeneration, tf.T5Config(**FAMILIES["t5"].settings), None),
        (tf.XLNetForSequenceClassification, tf.XLNetConfig(**FAMILIES["xlnet"].settings), None),
        (tf.DebertaV2Model, tf.DebertaV2Config(**FAMILIES["deberta-v2"].settings, position_biased_input=False), None),
        (tf.Mamba2ForCausalLM, tf.Mamba2Config(**FAMILIES["mamba2"].settings), None),
        (tf.ViTForImageClassification, tf.ViTConfig(**FAMILIES["vit"].settings), None),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_reads_so_many_positions(model_class: type[torch.nn.Module], config: tf.PretrainedConfig, expected: int | None) -> None:
    model = model_class(config).train()
    assert n_positions(model) == expected
    assert all(module.training for module in model.modules())


def test_a_tokenizer_s_other_padding_hides_no_table() -> None:
    model = tf.RobertaForSequenceClassification(tf.RobertaConfig(**SMALL, max_position_embeddings=42, pad_token_id=1, bos_token_id=0))
    model.config.pad_token_id = 0  # as a tokenizer says, and the table of positions doesn't know
    assert filler(model) not in (0, 1, 2)
    assert n_positions(model) == 40


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "opt", "bart"])
def test_one_token_more_than_that_is_too_many(name: str) -> None:
    family = FAMILIES[name]
    model = family.build()
    limit = n_positions(model)
    assert limit is not None
    ids = torch.full((1, limit + 1), 9)
    reader = model.base_model
    with torch.no_grad():
        reader(input_ids=ids[:, :limit], attention_mask=torch.ones(1, limit, dtype=torch.long))
        with pytest.raises((IndexError, RuntimeError)):
            reader(input_ids=ids, attention_mask=torch.ones(1, limit + 1, dtype=torch.long))


def test_a_prompt_takes_positions_and_a_prefix_none() -> None:
    configuration = Configuration((PeftModule("prompt_tuning", 8), PeftModule("prefix", 4, (0,)), PeftModule("lora", 4, (0,))))
    assert positions_taken(configuration) == 8
