"""What servers say of an adapter was read in their sources; these are the rules, one case each."""

import pytest

from autopeft.export.low_rank import LowRank, LowRanks
from autopeft.export.serving import servings

PLAIN = {"dropout": 0.0, "dora": False, "rslora": False, "pissa": False}


def updates(ranks, alpha=lambda rank: 2 * rank, **options):
    """LoRA of these ranks by layer, on the query of each."""
    linears = {f"model.layers.{layer}.self_attn.q_proj": LowRank(rank, alpha(rank)) for layer, rank in ranks.items()}
    return LowRanks(linears, PLAIN | options, transposed=False, n_layers=3)


@pytest.mark.parametrize(
    ("found", "saved", "vllm", "tgi"),
    [
        (updates({0: 8, 1: 8, 2: 8}), (), "", ""),
        (updates({0: 8, 2: 8}), (), "", "not adapted in all 3 layers (model.layers.*.self_attn.q_proj)"),
        (updates({0: 8, 1: 4, 2: 8}), (), "", "may not differ between layers"),
        (updates({0: 8, 1: 4, 2: 8}, alpha=lambda rank: 16), (), "scaled differently (2, 4)", "scaled differently (2, 4)"),
        (updates({0: 8, 1: 4, 2: 8}, rslora=True), (), "scaled differently (4, 5.65685)", "scaled differently"),
        (updates({0: 8, 1: 8, 2: 8}), ("score",), "whole modules (score)", "whole modules (score)"),
        (updates({0: 8, 1: 8, 2: 8}, dora=True), (), "DoRA", "DoRA"),
        (updates({0: 8, 1: 8, 2: 8}, pissa=True), (), "PiSSA", "PiSSA"),
        (updates({0: 600, 1: 600, 2: 600}), (), "rank 600 is above 512", ""),
    ],
    ids=["served", "a layer left out", "mixed ranks", "mixed scales", "rank-stabilised", "head", "dora", "pissa", "rank"],
)
def test_what_stands_in_the_way_of_serving_is_said(found, saved, vllm, tgi):
    for serving, words in zip(servings(found, saved, "owner/model"), (vllm, tgi), strict=True):
        assert bool(serving.objections) == bool(words)
        assert words in serving.describe()


@pytest.mark.parametrize(("rank", "room"), [(1, 1), (2, 8), (8, 8), (33, 64), (200, 256)])
def test_the_command_makes_room_for_the_highest_rank(rank, room):
    vllm, _ = servings(updates({0: 1, 1: rank, 2: 1}), (), "owner/model")
    assert f"vllm serve owner/model --enable-lora --max-lora-rank {room} " in vllm.describe()
