from autopeft.configuration import Configuration, PeftModule
from autopeft.report.features import features


def test_what_is_off_is_zero_and_what_is_moot_or_never_differs_is_left_out() -> None:
    found = features(
        [
            Configuration((PeftModule("lora", 8, (0, 1), ("query",), {"dora": True}),), {"learning_rate": 0.001, "weight_decay": 0.1}),
            Configuration((PeftModule("lora", 4, (3,), ("query",), {"dora": False}),), {"learning_rate": 0.002, "weight_decay": 0.1}),
            Configuration((PeftModule("bitfit", 1, (0, 1)),), {"learning_rate": 0.003, "weight_decay": 0.1}),
        ]
    )
    assert found == {
        "bitfit": [0.0, 0.0, 1.0],
        "lora size": [8.0, 4.0, 0.0],
        "lora dora": ["True", "False", "off"],
        "number of layers": [2.0, 1.0, 2.0],
        "mean layer": [0.5, 3.0, 0.5],
        "learning rate": [0.001, 0.002, 0.003],
    }


def test_modules_in_layers_of_their_own_are_distinguished() -> None:
    found = features(
        [
            Configuration((PeftModule("lora", 8, (0, 1)), PeftModule("prefix", 2, (4,)))),
            Configuration((PeftModule("lora", 8, (0,)), PeftModule("prefix", 2, (2, 4)))),
            Configuration((PeftModule("lora", 8, (0,)),)),
        ]
    )
    assert found == {
        "prefix size": [2.0, 2.0, 0.0],
        "lora number of layers": [2.0, 1.0, 1.0],
        "lora mean layer": [0.5, 0.0, 0.0],
        "prefix number of layers": [1.0, 2.0, 0.0],
        "prefix mean layer": [4.0, 3.0, 4.0],
    }
