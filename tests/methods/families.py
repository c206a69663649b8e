"""Tiny random models of many families, each with a batch. A new family is one more entry of `FAMILIES`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
import transformers as tf
from torch import nn

from autopeft.methods.discovery import discover
from autopeft.methods.topology import Topology

VOCABULARY = {"vocab_size": 120}
WIDTHS = {"hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
SMALL = {**WIDTHS, "num_hidden_layers": 3, **VOCABULARY}
GROUPED = {**SMALL, "num_key_value_heads": 2, "pad_token_id": 0}
TWO_STACKS = {
    "d_model": 32,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    **VOCABULARY,
}
LABELS = {"num_labels": 2}
HYBRID = ["linear_attention", "full_attention", "linear_attention"]
DELTA_NET = {
    "head_dim": 8,
    "layer_types": HYBRID,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
}


@dataclass(frozen=True)
class Family:
    """How to build a tiny model and what to feed it."""

    model_class: type[nn.Module]
    config_class: type[Any]
    settings: dict[str, Any]
    batch: Callable[[], dict[str, torch.Tensor]] = field(default=lambda: text())

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        model = self.model_class(self.config_class(**self.settings)).eval()
        for parameter in model.parameters():
            if parameter.dim() == 1:  # biases start at zero and norms at one, which would hide errors
                parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
        return model


def text(pad: int = 0, end: int | None = None) -> dict[str, torch.Tensor]:
    """Three rows of nine tokens; the first is padded on the right."""
    ids = torch.randint(6, 99, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    ids[0, 6:] = pad
    if end is not None:
        ids[:, -1] = end
    return {"input_ids": ids, "attention_mask": mask}


def noise(name: str, *shape: int) -> dict[str, torch.Tensor]:
    return {name: torch.randn(*shape, generator=torch.Generator().manual_seed(0))}


def targets() -> dict[str, torch.Tensor]:
    return {"labels": torch.randint(6, 99, (3, 5), generator=torch.Generator().manual_seed(1))}


FAMILIES: dict[str, Family] = {
    "bert": Family(tf.BertForSequenceClassification, tf.BertConfig, {**SMALL, **LABELS}),
    "roberta": Family(tf.RobertaForSequenceClassification, tf.RobertaConfig, {**SMALL, **LABELS, "pad_token_id": 1}, lambda: text(pad=1)),
    "electra": Family(tf.ElectraForSequenceClassification, tf.ElectraConfig, {**SMALL, **LABELS, "embedding_size": 16}),
    "modernbert": Family(
        tf.ModernBertForSequenceClassification,
        tf.ModernBertConfig,
        {
            **SMALL,
            **LABELS,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "cls_token_id": 1,
            "sep_token_id": 2,
            "local_attention": 4,
        },
    ),
    "distilbert": Family(
        tf.DistilBertForSequenceClassification,
        tf.DistilBertConfig,
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 48, **VOCABULARY, **LABELS},
    ),
    "albert": Family(tf.AlbertForSequenceClassification, tf.AlbertConfig, {**SMALL, **LABELS, "embedding_size": 16}),
    "deberta-v2": Family(
        tf.DebertaV2ForSequenceClassification,
        tf.DebertaV2Config,
        {**SMALL, **LABELS, "type_vocab_size": 0, "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]},
    ),
    "mpnet": Family(tf.MPNetForSequenceClassification, tf.MPNetConfig, {**SMALL, **LABELS}, lambda: text(pad=1)),
    "gpt2": Family(
        tf.GPT2ForSequenceClassification,
        tf.GPT2Config,
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "pad_token_id": 0, **VOCABULARY, **LABELS},
    ),
    "llama": Family(tf.LlamaForSequenceClassification, tf.LlamaConfig, {**GROUPED, **LABELS}),
    "qwen2": Family(tf.Qwen2ForCausalLM, tf.Qwen2Config, GROUPED),
    "qwen3": Family(tf.Qwen3ForCausalLM, tf.Qwen3Config, {**GROUPED, "head_dim": 16}),
    "qwen3_moe": Family(
        tf.Qwen3MoeForCausalLM,
        tf.Qwen3MoeConfig,
        {**GROUPED, "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
    ),
    "gemma3": Family(tf.Gemma3ForCausalLM, tf.Gemma3TextConfig, {**GROUPED, "head_dim": 8, "sliding_window": 4}),
    "gpt_neox": Family(tf.GPTNeoXForCausalLM, tf.GPTNeoXConfig, {**SMALL, "pad_token_id": 0}),
    "mistral": Family(tf.MistralForSequenceClassification, tf.MistralConfig, {**GROUPED, **LABELS, "sliding_window": 4}),
    "opt": Family(
        tf.OPTForSequenceClassification,
        tf.OPTConfig,
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "ffn_dim": 48,
            "word_embed_proj_dim": 32,
            "pad_token_id": 0,
            **VOCABULARY,
            **LABELS,
        },
    ),
    "bloom": Family(
        tf.BloomForSequenceClassification,
        tf.BloomConfig,
        {"hidden_size": 32, "n_layer": 3, "n_head": 4, "pad_token_id": 0, **VOCABULARY, **LABELS},
    ),
    "xlnet": Family(
        tf.XLNetForSequenceClassification,
        tf.XLNetConfig,
        {"d_model": 32, "n_layer": 3, "n_head": 4, "d_inner": 48, "pad_token_id": 0, **VOCABULARY, **LABELS},
    ),
    "qwen3_next": Family(
        tf.Qwen3NextForCausalLM,
        tf.Qwen3NextConfig,
        {
            **GROUPED,
            **DELTA_NET,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "shared_expert_intermediate_size": 24,
        },
    ),
    "qwen3_5": Family(tf.Qwen3_5TextForSequenceClassification, tf.Qwen3_5TextConfig, {**GROUPED, **DELTA_NET, **LABELS}),
    "granite_hybrid": Family(
        tf.GraniteMoeHybridForCausalLM,
        tf.GraniteMoeHybridConfig,
        {
            **GROUPED,
            "layer_types": HYBRID,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "shared_intermediate_size": 24,
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_chunk_size": 4,
        },
    ),
    "mamba2": Family(
        tf.Mamba2ForCausalLM,
        tf.Mamba2Config,
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_heads": 8,
            "head_dim": 8,
            "state_size": 8,
            "n_groups": 2,
            "chunk_size": 4,
            "pad_token_id": 0,
            **VOCABULARY,
        },
    ),
    "phi3": Family(tf.Phi3ForCausalLM, tf.Phi3Config, GROUPED),
    "t5": Family(
        tf.T5ForConditionalGeneration,
        tf.T5Config,
        {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4, "decoder_start_token_id": 0, **VOCABULARY},
        lambda: {**text(), **targets()},
    ),
    "bart": Family(tf.BartForSequenceClassification, tf.BartConfig, {**TWO_STACKS, **LABELS}, lambda: text(pad=1, end=2)),
    "vit": Family(
        tf.ViTForImageClassification,
        tf.ViTConfig,
        {**WIDTHS, "num_hidden_layers": 3, "image_size": 16, "patch_size": 4, **LABELS},
        lambda: noise("pixel_values", 3, 3, 16, 16),
    ),
    "swin": Family(
        tf.SwinForImageClassification,
        tf.SwinConfig,
        {
            "drop_path_rate": 0.0,
            "embed_dim": 16,
            "depths": (1, 2),
            "num_heads": (2, 4),
            "window_size": 2,
            "image_size": 16,
            "patch_size": 2,
            **LABELS,
        },
        lambda: noise("pixel_values", 3, 3, 16, 16),
    ),
    "whisper": Family(
        tf.WhisperForConditionalGeneration,
        tf.WhisperConfig,
        {
            **TWO_STACKS,
            "num_mel_bins": 16,
            "max_source_positions": 20,
            "max_target_positions": 30,
            "decoder_start_token_id": 1,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        lambda: {**noise("input_features", 3, 16, 40), **targets()},
    ),
    "ast": Family(
        tf.ASTForAudioClassification,
        tf.ASTConfig,
        {
            **WIDTHS,
            "num_hidden_layers": 3,
            "max_length": 24,
            "num_mel_bins": 16,
            "patch_size": 8,
            "frequency_stride": 8,
            "time_stride": 8,
            **LABELS,
        },
        lambda: noise("input_values", 3, 24, 16),
    ),
    "wav2vec2": Family(
        tf.Wav2Vec2ForSequenceClassification,
        tf.Wav2Vec2Config,
        {
            **WIDTHS,
            "num_hidden_layers": 3,
            "conv_dim": (16, 16),
            "conv_stride": (5, 2),
            "conv_kernel": (10, 3),
            "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2,
            "classifier_proj_size": 8,
            "num_feat_extract_layers": 2,
            "apply_spec_augment": False,
            "layerdrop": 0.0,
            **LABELS,
        },
        lambda: noise("input_values", 3, 400),
    ),
}


@dataclass(frozen=True)
class Subject:
    """A model that many tests share, because ejecting leaves it as it was."""

    family: str
    model: nn.Module
    batch: dict[str, torch.Tensor]
    topology: Topology
    logits: torch.Tensor
    """What the model returns for the batch without any module."""
    unused: frozenset[str]
    """Parameters that get no gradient even where all are trained."""


@cache
def subject(family: str) -> Subject:
    """Return a family's shared model."""
    model, batch = FAMILIES[family].build(), FAMILIES[family].batch()
    trained = FAMILIES[family].build()
    trained(**batch).logits.sum().backward()
    unused = frozenset(name for name, parameter in trained.named_parameters() if parameter.grad is None)
    return Subject(family, model, batch, discover(model, batch), logits_of(model, batch), unused)


@torch.no_grad()
def logits_of(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**batch).logits
