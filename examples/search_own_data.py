"""Search on your own files from Python, look at the front, and export its knee.

python examples/search_own_data.py train.csv --text a,b --label label [--validation FILE] [--model FOLDER] [--trials 16] [--out FOLDER]
"""

import argparse

import autopeft


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("--validation")
    parser.add_argument("--text", required=True, type=lambda names: tuple(names.split(",")))
    parser.add_argument("--label", required=True)
    parser.add_argument("--model")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--out")
    result = autopeft.search(**vars(parser.parse_args()))

    print(f"{len(result.trials)} trials, of which on the front:")
    for trial in result.front:
        print(f"  {trial.trainable_parameters:>9,} parameters  {trial.values}  {trial.configuration.describe()}")
    knee = result.knee()
    print(f"trial {knee.number} gives up least of both: exported to {result.export(knee.number, to='script')}")


if __name__ == "__main__":
    main()
