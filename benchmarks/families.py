"""A search, a retraining and an export in each kind of task, from own files, on a pretrained model.

    python benchmarks/families.py token_classification --data DATA [--model FOLDER] [--out FOLDER] [--trials 8] [--json FILE]

DATA holds data sets as folders: trec/ and stsb/ and mrpc/ in Parquet (GLUE's columns; TREC's text and coarse_label), tweets-ner/ in CoNLL
columns, spoken/ with a folder of WAV files a class. Images are scikit-learn's digits. Texts are read by all-MiniLM-L6-v2 unless `--model`
names a folder; causal_lm needs one, and takes its first `--layers` layers. What has no pretrained model on disk, images and sounds, is
pretrained here on other classes than those that are searched: digits 0 to 4, spoken letters. Encoder-decoders are missing: none can be had.

The search is compared with what needs no PEFT: the untouched model where its output layer is pretrained, else the head alone, the best of
four trials. The standard error is that of the difference on the same validation examples, over 200 draws of them (bootstrap).
Then the best trial is retrained with two seeds, exported, and loaded in a fresh process, which must answer as the run does. An
interrupted search goes on.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import pstdev
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers as hf

import autopeft
from autopeft.export.finished_trial import FinishedTrial, read_trial
from autopeft.export.trained import load_trained
from autopeft.study.directory import RunDirectory
from autopeft.tasks import family_of
from autopeft.training.batches import draw
from autopeft.training.evaluate import predict, resampled_scores

HEAD_TRIALS = 4
"""Learning rates of the head alone that are tried."""
N_ANSWERED, N_ROWS = 60, 1200
"""Rows that an export answers, and of files whose examples take long."""
N_KNOWN = 5
"""Digits that the model of images has learnt."""
MIN_WORDS = 8
KINDS = ("abbreviation", "entity", "description", "person", "place", "number")
"""TREC's coarse labels in words."""
WORDS = {
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo", "lima", "mike", "november",
    "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu",
}  # fmt: skip
"""The phonetic alphabet."""
Own = dict[str, Any]
"""Arguments of a search: files, and a model where it isn't the default one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=PREPARED)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("runs/families"))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2, help="passes over all data of the retraining")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = (arguments.out / arguments.family).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    own = PREPARED[arguments.family](arguments, folder)
    figures = measure(own, folder, arguments.family, arguments.trials, arguments.epochs)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(own: Own, folder: Path, kind: str, n_trials: int, epochs: int) -> dict[str, Any]:
    path = folder / "run"
    result = searched(path, own, kind, n_trials)
    best = result.best()
    trial = read_trial(RunDirectory.open(path), best.number)
    has_fresh_head = family_of(trial.task).has_fresh_head
    plain = trial
    if has_fresh_head:
        heads = searched(folder / "head", own, kind, HEAD_TRIALS, space="baselines/head_only", start="none")
        plain = read_trial(RunDirectory.open(heads.path), heads.best().number)
    ours, theirs = measured(trial), measured(plain, untouched=not has_fresh_head)
    metric, data = trial.task.metric, trial.load_data()
    gains = [one - other for one, other in zip(ours[1][metric], theirs[1][metric], strict=True)]
    table = result.retrain([best.number], seeds=2, epochs=epochs, workers=0)
    exported = folder / "exported"
    if not exported.exists():
        result.export(best.number, "script", out=exported, retrained=True)
    return {
        "family": kind,
        "model": Path(trial.backbone.name).name,
        "trials": len(result.trials),
        "failed": sum(record.state == "failed" for record in result.trials),
        "metric": metric,
        "best": ours[0][metric],
        "configuration": trial.configuration.describe(),
        "parameters": best.trainable_parameters,
        "compared_with": "the head alone" if has_fresh_head else "the untouched model",
        "reached": theirs[0][metric],
        "one_answer_for_all": data.trivial_scores().get(metric),
        "validation_examples": min(len(data.validation), trial.budget.evaluation_examples or len(data.validation)),
        "twice_the_standard_error": 2 * pstdev(gains),
        "seconds_a_trial": float(np.mean([record.seconds for record in result.trials if record.seconds])),
        "test": [dict(one.test) for entry in table.entries for one in entry.results if entry.candidate.trial == best.number],
        "same_answers_in_a_fresh_process": answers_are_the_same(exported, path, best.number, Path(own["train"]), folder),
    }


def measured(trial: FinishedTrial, *, untouched: bool = False) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return a trial's validation metrics, or those of its model without it, and the same on draws of the examples."""
    trained = load_trained(trial)
    if untouched:
        trained.applied.eject()
    validation = draw(trial.load_data().validation, trial.budget.evaluation_examples)
    encoded = family_of(trial.task).encode(trained.processor, validation, trial.budget.max_length)
    found = predict(trained.model, encoded)
    return encoded.family.score(found, encoded), resampled_scores(found, encoded)


def searched(path: Path, own: Own, kind: str, n_trials: int, **more: Any) -> autopeft.SearchResult:
    """Return a search, which goes on if it was interrupted."""
    if (path / "study.db").exists():
        return autopeft.resume(path, trials=n_trials)
    return autopeft.search(**own, kind=kind, trials=n_trials, workers=0, out=path, max_failed=1.0, confirm=0, **more)


def answers_are_the_same(exported: Path, run: Path, trial: int, train: Path, folder: Path) -> bool:
    """Return whether an export, in a process of its own, answers as the run does here, to the last digit that is written."""
    examples = folder / f"some{train.suffix}"
    if train.is_dir():
        examples = train
    elif train.suffix == ".conll":
        examples.write_text("\n\n".join(train.read_text().split("\n\n")[:N_ANSWERED]) + "\n")
    else:
        examples.write_text("\n".join(train.read_text().splitlines()[:N_ANSWERED]) + "\n")
    command = [sys.executable, "-m", "autopeft", "predict", str(exported), "--input", str(examples)]
    fresh = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    here = autopeft.SearchResult(run).predictor(trial, retrained=True).predict_file(examples)[1]
    return [json.loads(line) for line in fresh.splitlines()] == here


# One function a kind: writes files into its folder, and returns what a search is told of them.


def rows_of(path: Path, seed: int = 0) -> list[dict[str, Any]]:
    """Return a Parquet file's rows, shuffled."""
    found: list[dict[str, Any]] = pd.read_parquet(path).sample(frac=1, random_state=seed).to_dict("records")
    return found


def write(folder: Path, rows: Sequence[dict[str, Any]], **more: Any) -> Own:
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"train": str(path), **more}


def classification(asked: argparse.Namespace, folder: Path) -> Own:
    return write(folder, [{"text": row["text"], "label": KINDS[row["coarse_label"]]} for row in rows_of(asked.data / "trec/train.parquet")])


def regression(asked: argparse.Namespace, folder: Path) -> Own:
    columns = ("sentence1", "sentence2", "label")
    return write(folder, [{name: row[name] for name in columns} for row in rows_of(asked.data / "stsb/train.parquet")])


def multi_label(asked: argparse.Namespace, folder: Path) -> Own:
    """What is asked for, and two things that are seen in the question."""
    rows = [
        {
            "text": row["text"],
            "labels": [
                KINDS[row["coarse_label"]],
                *(["name"] if any(word[0].isupper() for word in row["text"].split()[1:]) else []),
                *(["past"] if {"was", "were", "did", "had"} & set(row["text"].split()) else []),
            ],
        }
        for row in rows_of(asked.data / "trec/train.parquet")
    ]
    return write(folder, rows)


def token_classification(asked: argparse.Namespace, folder: Path) -> Own:
    files = {role: str(asked.data / "tweets-ner" / f"{role}.conll") for role in ("train", "validation", "test")}
    return {**files, "train_examples": 1000, "max_length": 64}


def question_answering(asked: argparse.Namespace, folder: Path) -> Own:
    """Which words follow others in a sentence."""
    rows = []
    for row in rows_of(asked.data / "mrpc/train.parquet"):
        words = row["sentence1"].split()
        if len(words) > MIN_WORDS:
            place = len(rows) % (len(words) - 4)
            context, answer = " ".join(words), " ".join(words[place + 2 : place + 4])
            start = len(" ".join(words[: place + 2])) + 1
            answers = {"text": [answer], "answer_start": [start]}
            rows.append({"question": f"What follows {words[place]} {words[place + 1]} ?", "context": context, "answers": answers})
    return write(folder, rows)


def multiple_choice(asked: argparse.Namespace, folder: Path) -> Own:
    """Which of four kinds of answer a question asks for."""
    rng, rows = np.random.default_rng(0), []
    for row in rows_of(asked.data / "trec/train.parquet")[:N_ROWS]:
        right = KINDS[row["coarse_label"]]
        others = rng.choice([kind for kind in KINDS if kind != right], 3, replace=False)
        choices = [str(one) for one in rng.permutation([right, *others])]
        rows.append({"question": row["text"], "choices": choices, "answer": choices.index(right)})
    return write(folder, rows, train_examples=600, max_length=48)


def embedding(asked: argparse.Namespace, folder: Path) -> Own:
    """Sentences that say the same."""
    rows = rows_of(asked.data / "mrpc/train.parquet")
    return write(folder, [{"query": row["sentence1"], "positive": row["sentence2"]} for row in rows if row["label"] == 1])


def causal_lm(asked: argparse.Namespace, folder: Path) -> Own:
    """What kind of answer a question asks for, in words; by the first layers of a language model."""
    if asked.model is None:
        raise SystemExit("causal_lm needs --model FOLDER")
    model = folder / "model"
    if not (model / "config.json").exists():
        whole = hf.AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32)
        whole.model.layers = whole.model.layers[: asked.layers]
        whole.config.num_hidden_layers = asked.layers
        if getattr(whole.config, "layer_types", None):
            whole.config.layer_types = whole.config.layer_types[: asked.layers]
        whole.save_pretrained(model)
        hf.AutoTokenizer.from_pretrained(asked.model).save_pretrained(model)
    rows = rows_of(asked.data / "trec/train.parquet")[:N_ROWS]
    pairs = [{"prompt": f"{row['text']}\nWhat kind of answer is asked for?", "completion": KINDS[row["coarse_label"]]} for row in rows]
    return write(folder, pairs, model=str(model), train_examples=240, max_length=96)


def image_classification(asked: argparse.Namespace, folder: Path) -> Own:
    """Digits 5 to 9, by a vision transformer that has learnt 0 to 4."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        if label >= N_KNOWN:
            path = folder / "digits" / str(label) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    model = folder / "model"
    if not (model / "config.json").exists():
        torch.manual_seed(0)
        sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128}
        learner = hf.ViTForImageClassification(hf.ViTConfig(**sizes, image_size=8, patch_size=2, num_labels=N_KNOWN))
        processor = hf.ViTImageProcessorPil(size={"height": 8, "width": 8})
        known = labels < N_KNOWN
        pixels = processor([Image.fromarray(one).convert("RGB") for one in images[known]], return_tensors="pt")["pixel_values"]
        pretrain(learner, {"pixel_values": pixels}, torch.tensor(labels[known]), steps=300, rate=2e-3)
        learner.vit.save_pretrained(model)
        processor.save_pretrained(model)
    return {"train": str(folder / "digits"), "model": str(model)}


def audio_classification(asked: argparse.Namespace, folder: Path) -> Own:
    """Whether a digit or a word of the phonetic alphabet is spoken, by a wav2vec2 that has learnt to tell letters apart."""
    for name in ("digits", "phonetic"):
        (folder / "spoken").mkdir(exist_ok=True)
        if not (folder / "spoken" / name).exists():
            (folder / "spoken" / name).symlink_to((asked.data / "spoken" / name).absolute())
    return {"train": str(folder / "spoken"), "model": str(speech_model(asked, folder / "model")), "epochs": 8}


def speech_to_text(asked: argparse.Namespace, folder: Path) -> Own:
    """Words of the phonetic alphabet and digits, by the same model. They are few: this shows that it runs, and little else."""
    rows = []
    for name in ("phonetic", "digits"):
        for path in sorted((asked.data / "spoken" / name).glob("*.wav")):
            said = next((word for word in WORDS if path.stem == f"{word[0]}_p"), path.stem.removesuffix("_p"))
            rows.append({"audio": str(path.absolute()), "text": said})
    return write(folder, rows, model=str(speech_model(asked, folder / "model")), epochs=20)


def speech_model(asked: argparse.Namespace, model: Path) -> Path:
    """Write a small wav2vec2 that has learnt to tell spoken letters apart, and return its folder."""
    if not (model / "config.json").exists():
        from autopeft.tasks.media import READING_RATE, sound

        torch.manual_seed(0)
        files = sorted((asked.data / "spoken" / "letters").glob("*.wav"))
        extractor = hf.Wav2Vec2FeatureExtractor(return_attention_mask=True)
        inputs = extractor([sound(path.read_bytes()) for path in files], sampling_rate=READING_RATE, padding=True, return_tensors="pt")
        sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128, "conv_dim": [48] * 5}
        convolutions = {
            "conv_kernel": [10, 3, 3, 3, 2],
            "conv_stride": [8, 4, 2, 2, 2],
            "feat_extract_norm": "layer",
            "num_conv_pos_embeddings": 16,
        }
        switched_off = {"apply_spec_augment": False, "layerdrop": 0.0, "do_stable_layer_norm": True}
        config = hf.Wav2Vec2Config(**sizes, **convolutions, **switched_off, num_conv_pos_embedding_groups=4, num_labels=len(files))
        learner = hf.Wav2Vec2ForSequenceClassification(config)
        pretrain(learner, dict(inputs), torch.arange(len(files)), steps=200, rate=2e-3)
        learner.wav2vec2.save_pretrained(model)
        extractor.save_pretrained(model)
    return model


def pretrain(learner: Any, inputs: dict[str, torch.Tensor], labels: torch.Tensor, *, steps: int, rate: float) -> None:
    """Teach a model classes, all of it."""
    learner.train()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=rate)
    for _ in range(steps):
        chosen = torch.randint(len(labels), (min(64, len(labels)),))
        outputs = learner(**{name: tensor[chosen] for name, tensor in inputs.items()}, labels=labels[chosen])
        outputs.loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    print(f"pretrained: loss {outputs.loss.item():.3f}", file=sys.stderr)


PREPARED: dict[str, Callable[[argparse.Namespace, Path], Own]] = {
    one.__name__: one
    for one in (
        classification,
        regression,
        multi_label,
        token_classification,
        question_answering,
        multiple_choice,
        embedding,
        causal_lm,
        image_classification,
        audio_classification,
        speech_to_text,
    )
}

if __name__ == "__main__":
    main()
