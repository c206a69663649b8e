"""Texts as token ids: pairs of long texts."""

import time

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from autopeft.errors import InvalidInputError
from autopeft.tasks.text import tokenise

WORDS = ["good", "bad", "film", "dull", "long", "un", "##happy"]


@pytest.fixture(params=["right", "left"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    ids = {token: index for index, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    words = Tokenizer(models.WordPiece(ids, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", [("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", truncation_side=request.param)


@pytest.mark.parametrize("max_length", [4, 5, 8])
def test_pairs_are_cut_as_the_library_cuts_them(tokenizer: PreTrainedTokenizerFast, max_length: int) -> None:
    texts = ["good bad film", " unhappy dull " * 30, "", "long " * 84 + "good", "bad " * 85, "x" * 400]
    columns = [[one for one in texts for _ in texts], [other for _ in texts for other in texts]]
    rows, whole = tokenise(tokenizer, columns, max_length)
    wanted = tokenizer(*columns, truncation=True, max_length=max_length)["input_ids"]
    assert [row["input_ids"] for row in rows] == wanted
    assert whole.tolist() == [len(ids) for ids in tokenizer(*columns)["input_ids"]]


@pytest.mark.parametrize(("n_texts", "n_special"), [(1, 2), (2, 3)])
def test_special_tokens_leave_room(tokenizer: PreTrainedTokenizerFast, n_texts: int, n_special: int) -> None:
    """The library cuts nothing where they don't fit."""
    columns = [["good bad film"]] * n_texts
    for max_length in range(1, n_special + 1):
        with pytest.raises(
            InvalidInputError, match=rf"a token beside the special ones .got '{max_length} tok.*--max-length {n_special + 1}"
        ):
            tokenise(tokenizer, columns, max_length)
    assert len(tokenise(tokenizer, columns, n_special + 1)[0][0]["input_ids"]) == n_special + 1


def test_a_pair_of_long_texts_takes_no_longer_than_its_words(tokenizer: PreTrainedTokenizerFast) -> None:
    """The library alone makes as many pieces as the product of their lengths: here 16 million."""
    began = time.process_time()
    (row,), whole = tokenise(tokenizer, [["good " * 8000], ["bad " * 8000]], 7)
    assert time.process_time() - began < 5
    assert (len(row["input_ids"]), whole.tolist()) == (7, [16_003])
