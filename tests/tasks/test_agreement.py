"""Our numbers against those of the field's own packages (the extra `agreement`): each test is skipped where its package isn't installed."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autopeft.tasks import family_of, load_files
from autopeft.tasks.families.question_answering import f1, normalised
from autopeft.tasks.spans import precision_recall_f1, spans
from autopeft.tasks.text_scores import rouge_l, translation_scores
from autopeft.tasks.transcripts import character_error_rate, word_error_rate
from tests.conftest import WORDS
from tests.tasks.helpers import write
from tests.tasks.small import model_of


def sentences(n: int, seed: int = 0, longest: int = 12) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, longest))) for _ in range(n)]


def changed(texts: list[str], seed: int = 1) -> list[str]:
    """Return texts in which some words are left out, repeated or replaced."""
    rng = random.Random(seed)
    rows = [[rng.choice([word, word, word, f"{word} {word}", "", rng.choice(WORDS)]) for word in text.split()] for text in texts]
    return [" ".join(" ".join(row).split()) for row in rows]


def test_span_f1_is_seqeval_s() -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    rng, names = random.Random(0), ["O", "B-x", "I-x", "B-y", "I-y"]
    for _ in range(50):
        true, predicted = ([[rng.choice(names) for _ in range(9)] for _ in range(5)] for _ in range(2))
        found = precision_recall_f1(*([spans(row) for row in rows] for rows in (true, predicted)))
        wanted = (seqeval.precision_score, seqeval.recall_score, seqeval.f1_score)
        assert found == pytest.approx([score(true, predicted) for score in wanted], abs=1e-12)


def test_rouge_l_is_rouge_score_s() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    references = sentences(50)
    for text, reference in zip(changed(references), references, strict=True):
        assert rouge_l(text, reference) == pytest.approx(scorer.score(reference, text)["rougeL"].fmeasure, abs=1e-12)


def test_bleu_and_chrf_are_what_sacrebleu_s_command_line_computes() -> None:
    metrics = pytest.importorskip("sacrebleu.metrics")
    references = sentences(40)
    texts = changed(references)
    found = translation_scores(texts, references)
    bleu, chrf = metrics.BLEU(), metrics.CHRF()
    assert found == {"bleu": bleu.corpus_score(texts, [references]).score, "chrf": chrf.corpus_score(texts, [references]).score}
    assert "tok:13a" in str(bleu.get_signature())
    assert 0 < found["bleu"] < found["chrf"] < 100


def test_error_rates_are_jiwer_s() -> None:
    jiwer = pytest.importorskip("jiwer")
    references = sentences(60)
    texts = changed(references)
    assert word_error_rate(texts, references) == pytest.approx(jiwer.wer(references, texts), abs=1e-12)
    assert character_error_rate(texts, references) == pytest.approx(jiwer.cer(references, texts), abs=1e-12)


ANSWERS = ["The cat", "a cat, the dog!", "Dogs", "", "the", "cat  and dog", "An old bird", "Birds; red & blue."]


def test_answers_score_as_torchmetrics_port_of_squad_s_script_says() -> None:
    squad = pytest.importorskip("torchmetrics.functional.text").squad
    answered = [answer for answer in ANSWERS if normalised(answer)]  # of an empty answer, version 1.1 has no notion
    for found in ANSWERS:
        for answer in answered:
            prediction, target = {"prediction_text": found, "id": "0"}, {"answers": {"text": [answer], "answer_start": [0]}, "id": "0"}
            wanted = {name: float(value) / 100 for name, value in squad(prediction, target).items()}
            assert f1(found, answer) == pytest.approx(wanted["f1"], abs=1e-6)
            assert float(normalised(found) == normalised(answer)) == wanted["exact_match"]


def test_answers_score_as_squad_2_says() -> None:
    """No package has the script's second version; its rule: if either answer has no word, F1 says whether both have none."""
    for found in ANSWERS:
        for answer in ANSWERS:
            got, gold = normalised(found).split(), normalised(answer).split()
            common = sum((Counter(got) & Counter(gold)).values())
            if not got or not gold:
                wanted = float(got == gold)
            else:
                precision, recall = common / len(got), common / len(gold)
                wanted = 2 * precision * recall / (precision + recall) if common else 0.0
            assert f1(found, answer) == pytest.approx(wanted)


def test_choices_are_those_that_lm_evaluation_harness_takes(tmp_path: Path, backbone_folder: Path) -> None:
    """Its log-likelihoods to 1e-5, and with them its acc, and its acc_bytes."""
    harness = pytest.importorskip("lm_eval.models.huggingface")
    from lm_eval.api.instance import Instance
    from transformers import AutoTokenizer

    prompts, choices = [f"the {word}" for word in WORDS[:10]], ["red", "blue cat", "old"]
    rows = {"prompt": prompts * 2, "completion": [f" {choices[index % 3]}" for index in range(20)]}
    data = load_files(write(tmp_path / "own.jsonl", rows))
    family = family_of(data.task)
    assert data.task.labels == (" blue cat", " old", " red")
    tokenizer = AutoTokenizer.from_pretrained(backbone_folder, eos_token="[SEP]")
    tokenizer.backend_tokenizer.post_processor = None  # no special tokens around, as causal language models have none
    torch.manual_seed(0)
    model = model_of("causal_lm").eval()
    encoded = family.encode(tokenizer, data.train, 64)
    with torch.no_grad():
        batch = encoded.batch(range(len(encoded)))
        found = family.reduce(family.forward(model, batch), batch)
    ours = np.array(found)[:, 1].reshape(len(data.train), 3)
    judge: Any = harness.HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, add_bos_token=False, device="cpu")
    pairs = [(prompt, label) for prompt in data.train.inputs[0] for label in data.task.labels]
    answers = judge.loglikelihood([Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)])
    theirs = np.array([value for value, _ in answers]).reshape(ours.shape)
    assert ours == pytest.approx(theirs, abs=1e-5)
    true = np.array([data.task.labels.index(target) for target in data.train.targets])
    scores = family.score(found, encoded)
    assert scores["choice_accuracy"] == np.mean(theirs.argmax(axis=1) == true)
    per_byte = theirs / np.array([len(label.encode()) for label in data.task.labels])
    assert scores["choice_accuracy_per_byte"] == np.mean(per_byte.argmax(axis=1) == true)
