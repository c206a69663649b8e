import pickle
from typing import Any

import pytest

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import AutopeftError, InvalidInputError

FULL: dict[str, Any] = {
    "modules": [
        {"method": "lora", "size": 8, "layers": [4, 0, 2], "targets": ["value", "query"], "options": {"dora": True}},
        {"method": "prefix", "size": 4, "layers": [1]},
        {"method": "prompt", "size": 10},
    ],
    "training": {"learning_rate": 0.001},
}


def test_json_round_trip() -> None:
    configuration = Configuration.from_dict(FULL)
    assert Configuration.from_json(configuration.to_json()) == configuration
    assert pickle.loads(pickle.dumps(configuration)) == configuration
    assert configuration.to_dict()["modules"][0]["layers"] == [0, 2, 4]


@pytest.mark.parametrize(
    "same",
    [
        {**FULL, "modules": FULL["modules"][::-1]},
        {**FULL, "modules": [*FULL["modules"], {"method": "serial_adapter", "size": 0, "layers": [1]}]},
        {**FULL, "modules": [*FULL["modules"], {"method": "serial_adapter", "size": 8, "layers": []}]},
        {
            **FULL,
            "modules": [
                *FULL["modules"][1:],
                {**FULL["modules"][0], "layers": [2]},
                {**FULL["modules"][0], "layers": [0, 4], "targets": ["query", "value"]},
            ],
        },
    ],
    ids=["order", "size 0", "no layer", "split over layers"],
)
def test_equal_meaning_equal_id(same: dict[str, Any]) -> None:
    assert Configuration.from_dict(same) == Configuration.from_dict(FULL)
    assert Configuration.from_dict(same).id == Configuration.from_dict(FULL).id


@pytest.mark.parametrize("change", [{"size": 9}, {"layers": [0, 2]}, {"targets": ["query"]}, {"options": {}}], ids=str)
def test_other_meaning_other_id(change: dict[str, Any]) -> None:
    other = {**FULL, "modules": [{**FULL["modules"][0], **change}, *FULL["modules"][1:]]}
    assert Configuration.from_dict(other).id != Configuration.from_dict(FULL).id
    assert Configuration.from_dict({**FULL, "training": {"learning_rate": 0.002}}).id != Configuration.from_dict(FULL).id


def test_per_layer_sizes_are_several_modules() -> None:
    configuration = Configuration((PeftModule("lora", 4, (0,)), PeftModule("lora", 8, (1,))))
    assert [module.size for module in configuration.modules] == [4, 8]


def test_describe() -> None:
    assert Configuration.from_dict(FULL).describe() == "lora 8 [query value] dora in 0 2 4, prefix 4 in 1, prompt 10, learning rate 0.001"
    assert Configuration().describe() == "head only"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "must be a JSON object"),
        ({"modules": 3}, "must be a list"),
        ({"modules": [], "trainig": {}}, "no key 'trainig'"),
        ({"modules": [{"method": "lora"}]}, "needs the key 'size'"),
        ({"modules": [{"method": "lora", "size": -1}]}, "size of lora must be a whole number"),
        ({"modules": [{"method": "lora", "size": True}]}, "size of lora must be a whole number"),
        ({"modules": [{"method": "lora", "size": 1, "layers": ["a"]}]}, "layer of lora must be a whole number"),
        ({"modules": [{"method": "lora", "size": 1, "targets": [1]}]}, "targets must be names"),
        ({"modules": [{"method": "lora", "size": 1, "options": {"a": []}}]}, "options must map names to scalars"),
        ({"modules": [], "training": {"learning_rate": "fast"}}, "names to numbers"),
        ({"modules": [], "training": {"learning_rat": 1.0}}, "Did you mean 'learning_rate'"),
        (
            {"modules": [{"method": "lora", "size": 1, "layers": [0]}, {"method": "lora", "size": 2, "layers": [0]}]},
            "stands twice in layer 0",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(AutopeftError, match=message):
        Configuration.from_dict(data)


def test_bad_json_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="must be JSON"):
        Configuration.from_json("{")
