#!/usr/bin/env python3
"""Does a training set hold exactly the rows that it should, each in the part that its key's hash says?

    split_parts.py SOURCE.csv FOLDER --key NAMES --seed N --parts train=0.8,test=0.2
                   --label NAME --above X [--select NAMES]

FOLDER has a folder of CSV files without header for each part. The hash is computed here from its
documentation in README.md, with nothing but the standard library. Rows must come in the source's order,
the label (1 or 0) first. Exits 1 at the first difference.
"""

import argparse
import csv
import hashlib
import pathlib
import sys


def fraction(seed, key):
    message = str(seed).encode() + b"".join(b"\0" if c is None else b"\1" + c.encode() for c in key)
    return (int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 11) / 2**53


def part_of(at, shares):
    total = 0.0
    for name, share in shares[:-1]:
        total += share
        if at < total:
            return name
    return shares[-1][0]


def expected(args, shares):
    rows = {name: [] for name, _ in shares}
    unlabelled = 0
    with open(args.source, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = row.pop(args.label)
            # A bare empty cell; no fixture has a quoted one in its key.
            key = [(label if k == args.label else row[k]) or None for k in args.key]
            if label in ("", "NA"):
                unlabelled += 1
                continue
            cells = [row[name] for name in args.select] if args.select else list(row.values())
            part = part_of(fraction(args.seed, key), shares)
            rows[part].append(["1" if float(label) > args.above else "0", *cells])
    return rows, unlabelled


def found(folder):
    rows = []
    for path in sorted(pathlib.Path(folder).glob("part-*.csv")):
        with open(path, encoding="utf-8", newline="") as file:
            rows.extend(csv.reader(file))
    return rows


def names(text):
    return text.split(",")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("folder")
    parser.add_argument("--key", type=names, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", type=names, required=True)
    parser.add_argument("--label", required=True)
    parser.add_argument("--above", type=float, required=True)
    parser.add_argument("--select", type=names)
    args = parser.parse_args()
    shares = [(name, float(share)) for name, share in (part.split("=") for part in args.parts)]
    rows, unlabelled = expected(args, shares)
    for name, wanted in rows.items():
        there = found(pathlib.Path(args.folder) / name)
        for number, (a, b) in enumerate(zip(wanted, there), 1):
            if a != b:
                sys.exit(f"{name}, row {number}: expected {a}, found {b}")
        if len(wanted) != len(there):
            sys.exit(f"{name}: expected {len(wanted)} rows, found {len(there)}")
    total = sum(map(len, rows.values()))
    shown = ", ".join(f"{name} {len(wanted)}" for name, wanted in rows.items())
    print(f"{total} rows as they should be ({shown}), {unlabelled} without a label")


if __name__ == "__main__":
    main()
