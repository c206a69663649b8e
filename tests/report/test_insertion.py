from dataclasses import replace

from autopeft.configuration import Configuration, PeftModule
from autopeft.report.insertion import InsertionLayers, LayerUse, Occupied
from autopeft.report.leaderboard import Leaderboard


def test_the_fronts_layers_are_counted_against_all_others(trial, objectives) -> None:
    def placed(record, *modules):
        return replace(record, configuration=Configuration(modules))

    records = [
        placed(trial(0, 0.6, 100), PeftModule("lora", 8, (0, 2)), PeftModule("prefix", 2, (2,))),
        placed(trial(1, 0.7, 200), PeftModule("lora", 4, (2,)), PeftModule("prompt", 5)),
        placed(trial(2, 0.5, 300), PeftModule("lora", 4, (1,))),
        replace(placed(trial(3, 0.5, 300), PeftModule("lora", 4, (1, 2))), state="stopped"),
        replace(placed(trial(4, 0.5, 300), PeftModule("lora", 4, (0,))), state="failed"),
    ]
    found = InsertionLayers.of(Leaderboard.of(records, objectives), n_layers=4)
    assert found.trials == (0, 1)
    assert found.methods == ("lora", "prefix")
    assert found.occupied == (
        Occupied(0, 0, "lora", (8,)),
        Occupied(0, 2, "lora", (8,)),
        Occupied(0, 2, "prefix", (2,)),
        Occupied(1, 2, "lora", (4,)),
    )
    assert found.use == (LayerUse(0, 1, 0), LayerUse(1, 0, 2), LayerUse(2, 2, 1), LayerUse(3, 0, 0))
    assert found.n_others == 2
