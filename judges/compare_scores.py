#!/usr/bin/env python3
"""Compares published predictions with the golden answers: order, ids, score.

    compare_scores.py PARQUET GOLDEN.csv [--score NAME] [--tolerance 1e-6] [--columns a,b,…]

PARQUET is a file or a folder of part files. GOLDEN.csv has the columns `row` (0-based, the place
among the accepted rows), the id columns, and `score`. Every id column must be in the Parquet, and
a score within the tolerance (absolute) in the column NAME (`score`). With --columns, these must be
exactly the Parquet's columns. Read once by pyarrow and once by DuckDB; exits 1 at a difference.
"""

import argparse
import itertools
import math

from cells import READERS, kinds, read_csv, refuse, same, value_of


def golden_rows(path):
    with open(path, "rb") as file:
        header, *rows = read_csv(file.read())
    names = [text for text, _ in header]
    if names[0] != "row" or names[-1] != "score":
        refuse(f"{path}: expected the columns row, ids …, score; found {names}")
    return names[1:-1], rows


def compare(reader, options, types):
    ids, golden = golden_rows(options.golden)
    places = {name: index for index, (name, _) in enumerate(types)}
    kind_of = dict(types)
    worst, count = 0.0, 0
    for number, (expected, found) in enumerate(itertools.zip_longest(golden, READERS[reader](options.parquet))):
        if expected is None or found is None:
            refuse(f"{reader}: {'more' if expected is None else 'fewer'} than the {len(golden)} golden rows: "
                   f"row {number} (0-based) has no counterpart")
        if int(expected[0][0]) != number:
            refuse(f"{options.golden}: row {number} (0-based) says that it is row {expected[0][0]}")
        for name, (text, quoted) in zip(ids, expected[1:-1]):
            value = found[places[name]]
            if not same(value_of(text, quoted, kind_of[name]), value):
                refuse(f"{reader}: row {number} (0-based): {name} is {value!r}, expected {text!r}")
        score, wanted = found[places[options.score]], float(expected[-1][0])
        if not isinstance(score, float) or math.isnan(score) or abs(score - wanted) > options.tolerance:
            refuse(f"{reader}: row {number} (0-based): {options.score} is {score!r}, expected {wanted!r} "
                   f"within {options.tolerance}")
        worst, count = max(worst, abs(score - wanted)), number + 1
    return count, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet")
    parser.add_argument("golden")
    parser.add_argument("--score", default="score")
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("--columns", help="exactly the Parquet's columns, by commas")
    options = parser.parse_args()
    types = kinds(options.parquet)
    names = [name for name, _ in types]
    if options.columns and names != options.columns.split(","):
        refuse(f"Parquet has the columns {names}, expected {options.columns.split(',')}")
    for name in [*golden_rows(options.golden)[0], options.score]:
        if name not in names:
            refuse(f"Parquet has no column {name}; it has {names}")
    for reader in READERS:
        count, worst = compare(reader, options, types)
    print(f"{count} rows: order and ids the same, scores off by at most {worst:.2e}, "
          f"by {' and '.join(READERS)}")


if __name__ == "__main__":
    main()
