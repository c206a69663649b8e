"""Tiny random models on disk, and trials that were really trained on them."""

import json
import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from autopeft.budget import Budget
from autopeft.configuration import Configuration
from autopeft.export.finished_trial import FinishedTrial
from autopeft.study.record import TrialRecord
from autopeft.tasks import load_files
from autopeft.training.backbone import BackboneSource, find_backbone
from autopeft.training.measurement import Assignment, RunnerSettings
from autopeft.training.runner import TrialRunner

WORDS = ["good", "bad", "the", "film", "was", "very", "not", "long", "and", "dull", "bright"]
SMALL = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
BUDGET = Budget(train_examples=32, epochs=2, evaluation_examples=20, batch_size=8, max_length=8)


def make_model(family):
    if family == "bert":  # 12 layers: layer 1 must not be taken for layer 11; no pooler: it is part of what is trained
        return BertModel(BertConfig(**SMALL | {"num_hidden_layers": 12}), add_pooling_layer=False)
    if family == "roberta":
        return RobertaModel(RobertaConfig(**SMALL, max_position_embeddings=40, pad_token_id=0))
    if family == "xlm-roberta":
        return XLMRobertaModel(XLMRobertaConfig(**SMALL, max_position_embeddings=40, pad_token_id=0))
    if family == "electra":
        return ElectraModel(ElectraConfig(**SMALL, embedding_size=16))
    if family == "llama":
        return LlamaForCausalLM(LlamaConfig(**SMALL | {"num_hidden_layers": 12}, pad_token_id=0, bos_token_id=1, eos_token_id=2))
    if family == "distilbert":
        return DistilBertModel(DistilBertConfig(vocab_size=20, dim=16, n_layers=3, n_heads=2, hidden_dim=24))
    return GPT2Model(GPT2Config(vocab_size=20, n_embd=16, n_layer=3, n_head=2, n_positions=40, bos_token_id=1, eos_token_id=2))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """Return a function from a family's name to a folder with a tiny model and a tokenizer."""
    root = tmp_path_factory.mktemp("models")

    def make(family):
        folder = root / family
        if not folder.exists():
            vocabulary = {token: index for index, token in enumerate(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS])}
            words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
            words.pre_tokenizer = pre_tokenizers.Whitespace()
            special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "eos_token": "[SEP]"}
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, model_input_names=["input_ids", "attention_mask"], **special)
            with torch.random.fork_rng():  # the same weights whatever ran before
                torch.manual_seed(0)
                make_model(family).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            description = json.loads((folder / "tokenizer_config.json").read_text())
            # The name that transformers 4 knows too.
            (folder / "tokenizer_config.json").write_text(json.dumps(description | {"tokenizer_class": "PreTrainedTokenizerFast"}))
        return folder

    return make


@pytest.fixture(scope="session")
def data_file(tmp_path_factory):
    rng = random.Random(0)
    rows = [rng.choices(WORDS[1:], k=rng.randint(2, 9)) + ["good"] * (index % 2) for index in range(120)]
    path = tmp_path_factory.mktemp("data") / "films.csv"
    path.write_text("text,label\n" + "".join(f"{' '.join(words)},{'yes' if 'good' in words else 'no'}\n" for words in rows))
    return path


@pytest.fixture(scope="session")
def score_file(data_file):
    """The same texts, to be given a number: a regression task."""
    path = data_file.with_name("scores.csv")
    rows = data_file.read_text().splitlines()[1:]
    path.write_text("text,label\n" + "".join(f"{row.split(',')[0]},{row.count('good') - 0.25 * len(row.split())}\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def train_trial(model_folder, data_file, tmp_path_factory):
    """Return a function that trains a configuration on a family's tiny model as a search would, and saves its adapter."""

    def train(configuration, family="bert", file=data_file, folder=None, quantize="none"):
        data = load_files(file, text="text", label="label")
        backbone = find_backbone(str(folder or model_folder(family)), quantize=quantize)
        outcome = TrialRunner(RunnerSettings(backbone, data.task, data.train, data.validation, threads=1)).run(
            Assignment(5, configuration, BUDGET, seed=3, measure_at=BUDGET.epoch_ends)
        )
        assert outcome.measurement is not None, outcome.traceback
        folder = tmp_path_factory.mktemp("adapter")
        for name, content in outcome.adapter.items():
            (folder / name).write_bytes(content)
        found = outcome.measurement
        values = {data.task.metric: found.metrics[data.task.metric], "trainable_parameters": float(found.trainable_parameters)}
        record = TrialRecord(
            5, "complete", configuration, 3, values, found.metrics, trainable_parameters=found.trainable_parameters, seconds=found.seconds
        )
        source = {"train": str(file), "validation": None, "text": ["text"], "label": "label"}
        return FinishedTrial("my run", record, folder, data.task, backbone, BUDGET, source, threads=1, versions={}), found

    return train


@pytest.fixture
def untrained(data_file):
    """Return a function from modules to a trial of them that was never run: enough to say what an export would lose."""

    def make(*modules):
        configuration = Configuration(modules)
        record = TrialRecord(5, "complete", configuration, 3)
        task = load_files(data_file, text="text", label="label").task
        return FinishedTrial("my run", record, Path("nowhere"), task, BackboneSource("x", "x", ""), BUDGET, {}, threads=1, versions={})

    return make
