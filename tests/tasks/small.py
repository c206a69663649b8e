"""A tiny data set and a tiny random backbone for every kind of task."""

from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoTokenizer, PreTrainedModel

from tests.conftest import WORDS
from tests.tasks.helpers import write
from tests.tasks.media import png, wav

N = 24
SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
HALF = {"layers": 2, "attention_heads": 4, "ffn_dim": 48}


LISTENING = ("audio_classification", "speech_to_text", "speech_seq2seq")
NAMED = {"speech_seq2seq": "speech_seq2seq"}
"""Kinds that `--kind` must name, for others have the same columns."""


def word(index: int) -> str:
    return WORDS[index % len(WORDS)]


COLUMNS: dict[str, dict[str, list[Any]]] = {
    "classification": {"text": [f"the {word(i)} sees" for i in range(N)], "label": ["yes", "no"] * (N // 2)},
    "regression": {"text": [f"the {word(i)} sees" for i in range(N)], "score": [0.5 + i % len(WORDS) for i in range(N)]},
    "multi_label": {"text": [f"{word(i)} {word(3 * i)}" for i in range(N)], "labels": [["red"], ["red", "blue"]] * (N // 2)},
    "token_classification": {"tokens": [[word(i), "sees", word(i + 1)] for i in range(N)], "tags": [["B-x", "O", "I-x"]] * N},
    "question_answering": {
        "question": ["the old cat"] * N,
        "context": [f"{word(i)} and {word(i + 1)} not" for i in range(N)],
        "answer": [word(i + 1) for i in range(N)],
    },
    "multiple_choice": {
        "question": [word(i) for i in range(N)],
        "choices": [["red cat", "blue"], ["blue", "red cat"]] * (N // 2),
        "label": [0, 1] * (N // 2),
    },
    "embedding": {"query": [f"the {word(i)}" for i in range(N)], "positive": [f"{word(i)} {word(i + 5)} old" for i in range(N)]},
    "image_classification": {"image": [f"{i}.png" for i in range(N)], "label": ["dark", "light"] * (N // 2)},
    "audio_classification": {"audio": [f"{i}.wav" for i in range(N)], "label": ["low", "high"] * (N // 2)},
    "speech_to_text": {"audio": [f"{i}.wav" for i in range(N)], "text": ["a b", "c"] * (N // 2)},
    "speech_seq2seq": {"audio": [f"{i}.wav" for i in range(N)], "text": ["a b", "c"] * (N // 2)},
    "seq2seq": {"document": [f"the {word(i)} sees" for i in range(N)], "summary": [f"{word(i)} red" for i in range(N)]},
    "causal_lm": {"prompt": [f"the {word(i)}" for i in range(N)], "completion": [f" sees {word(i + 1)} red" for i in range(N)]},
}


def model_of(kind: str) -> PreTrainedModel:
    """Return a tiny random backbone."""
    tokens = {"vocab_size": 24, "pad_token_id": 0}
    match kind:
        case "causal_lm":
            return hf.LlamaForCausalLM(hf.LlamaConfig(**SIZE, **tokens, num_key_value_heads=2))
        case "seq2seq":
            halves = {f"{half}_{name}": value for half in ("encoder", "decoder") for name, value in HALF.items()}
            ids = {"bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3, "forced_eos_token_id": None}
            config = hf.BartConfig(**tokens, **halves, **ids, d_model=32, max_position_embeddings=64)
            return hf.BartForConditionalGeneration(config)
        case "image_classification":
            return hf.ViTModel(hf.ViTConfig(**SIZE, image_size=16, patch_size=4))
        case "audio_classification" | "speech_to_text":
            config = hf.Wav2Vec2Config(
                **SIZE, vocab_size=20, conv_dim=(16, 16), conv_stride=(10, 8), conv_kernel=(10, 8), num_feat_extract_layers=2,
                num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, classifier_proj_size=16,
            )  # fmt: skip
            return hf.Wav2Vec2Model(config)
        case "speech_seq2seq":
            halves = {f"{half}_{name}": value for half in ("encoder", "decoder") for name, value in HALF.items()}
            ids = {"bos_token_id": 256, "eos_token_id": 256, "pad_token_id": 256, "decoder_start_token_id": 257}
            frames = {"num_mel_bins": 16, "max_source_positions": 50, "max_target_positions": 64}
            return hf.WhisperForConditionalGeneration(hf.WhisperConfig(vocab_size=262, **halves, **ids, **frames, d_model=32))
    return hf.BertModel(hf.BertConfig(**SIZE, **tokens, max_position_embeddings=64))


def listening() -> hf.WhisperProcessor:
    """Return what makes a second readable to a model of Whisper's kind, and its tokens: bytes, and what tells it what to do."""
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>", "<|0.00|>"]
    vocabulary = {token: index for index, token in enumerate([*sorted(ByteLevel.alphabet()), *special])}
    tokenizer = hf.WhisperTokenizer(vocab=vocabulary, merges=[], bos_token=special[0], pad_token=special[0])
    tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
    return hf.WhisperProcessor(hf.WhisperFeatureExtractor(feature_size=16, chunk_length=1), tokenizer)


def write_task(kind: str, folder: Path, tokenizer: Path) -> tuple[Path, Path]:
    """Write examples and a backbone, and return the file of the one and the folder of the other.

    Args:
        kind: The kind of task.
        folder: Where to write.
        tokenizer: A folder with a tokenizer of whole words, for the kinds that read texts.
    """
    model = folder / "model"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model_of(kind).save_pretrained(model)
    if kind == "image_classification":
        hf.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(model)
    elif kind in ("audio_classification", "speech_to_text"):
        hf.Wav2Vec2FeatureExtractor().save_pretrained(model)
    elif kind == "speech_seq2seq":
        listening().save_pretrained(model)
    else:
        AutoTokenizer.from_pretrained(tokenizer, eos_token="[SEP]").save_pretrained(model)
    for index in range(N):
        if kind == "image_classification":
            (folder / f"{index}.png").write_bytes(png(index, 200 * (index % 2)))
        elif kind in LISTENING:
            (folder / f"{index}.wav").write_bytes(wav(16_000, 200 + 400 * (index % 2), 0.05 + 0.01 * (index % 3)))
    return write(folder / "own.jsonl", COLUMNS[kind]), model
