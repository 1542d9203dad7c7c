#!/usr/bin/env python3
"""Compares a Parquet table with the CSV that it was made from, cell by cell.

    compare_table.py SOURCE.csv PARQUET [--schema COLUMNS] [--skip RECORDS]
    compare_table.py EXPECTED.json#messy.csv PARQUET

PARQUET is a file or a folder of part files. COLUMNS declares the types: `name:type,…`, or a JSON
file with a list of {"name", "type"}; without it the Parquet's own types are taken. With
EXPECTED.json#NAME (as fixtures/messy has it), columns and accepted cells come from there.
`--skip 3,10` leaves out these data records of the source (1-based): the bad ones.
Read once by pyarrow and once by DuckDB; exits 1 at the first difference.
"""

import argparse
import itertools
import json

from cells import READERS, kinds, read_csv, refuse, same, value_of


def declared(text):
    if text.endswith(".json"):
        with open(text, encoding="utf-8") as file:
            return [(column["name"], column["type"]) for column in json.load(file)]
    return [tuple(column.rsplit(":", 1)) for column in text.split(",")]


def from_expected(reference):
    """Columns and rows of cells as (text, quoted); quoted unless null, as its text is meant."""
    path, name = reference.split("#")
    with open(path, encoding="utf-8") as file:
        table = json.load(file)[name]
    columns = [(column["name"], column["type"]) for column in table["columns"]]
    rows = [[("", False) if cell is None else (cell, True) for cell in row] for row in table["cells"]]
    return columns, rows


def from_csv(path, skip):
    with open(path, "rb") as file:
        data = file.read().removeprefix(b"\xef\xbb\xbf")
    header, *rows = read_csv(data)
    rows = (row for number, row in enumerate(rows, 1) if number not in skip)
    return [text for text, _ in header], rows


def compare(reader, rows, columns, path):
    count = 0
    for number, (source, found) in enumerate(itertools.zip_longest(rows, READERS[reader](path)), 1):
        if source is None or found is None:
            where = "Parquet has more rows" if source is None else "Parquet has fewer rows"
            refuse(f"{reader}: {where}: row {number} has no counterpart")
        if len(source) != len(found):
            refuse(f"{reader}: row {number}: {len(source)} cells in the source, {len(found)} in Parquet")
        for (name, kind), (text, quoted), value in zip(columns, source, found):
            expected = value_of(text, quoted, kind)
            if not same(expected, value):
                refuse(f"{reader}: row {number}, column {name} ({kind}): source text {text!r} "
                       f"means {expected!r}, Parquet has {value!r}")
        count = number
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("parquet")
    parser.add_argument("--schema", type=declared)
    parser.add_argument("--skip", default="", help="bad records of the source, 1-based, by commas")
    options = parser.parse_args()
    found = kinds(options.parquet)
    counts = []
    for reader in READERS:
        if "#" in options.source:
            columns, rows = from_expected(options.source)
        else:
            names, rows = from_csv(options.source, {int(n) for n in options.skip.split(",") if n})
            columns = options.schema or found
            if names != [name for name, _ in columns]:
                refuse(f"the source's columns are {names}, expected {[name for name, _ in columns]}")
        if columns != found:
            refuse(f"Parquet has the columns {found}, expected {columns}")
        counts.append(compare(reader, rows, columns, options.parquet))
    print(f"{counts[0]} rows, {len(found)} columns: the same by {' and '.join(READERS)}")


if __name__ == "__main__":
    main()
