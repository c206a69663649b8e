"""From a search to something to ship: search, retrain the knee over several seeds, look at the test metrics, export.

python examples/search_retrain_export.py [--task demo] [--model FOLDER] [--trials 12] [--seeds 3] [--epochs N] [--workers N] [--out FOLDER]
"""

import argparse

import autopeft


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="demo")
    parser.add_argument("--model")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    given = vars(parser.parse_args())
    seeds, epochs = given.pop("seeds"), given.pop("epochs")

    result = autopeft.search(**given)
    knee = result.knee()
    print(f"{len(result.trials)} trials; the knee is trial {knee.number}: {knee.configuration.describe()}")

    table = result.retrain([knee.number], seeds=seeds, epochs=epochs)
    for row in table.rows():
        for name, found in row["test"].items():
            print(f"{row['name']}, test {name}: {found['mean']:.4f} over {len(found['values'])} seeds, deviation {found['deviation']}")
    print(f"exported to {result.export(knee.number, to='script', retrained=True)}")


if __name__ == "__main__":
    main()
