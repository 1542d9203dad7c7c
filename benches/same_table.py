"""Whether a Parquet file holds the table that a CSV file says, cell by cell, as DuckDB reads both.

The source's text means what it says under the types that gristmill found: a tool that gives a column
another type has the same table if its values, cast to those types, are the same. Rows are compared in
order first, and without order if that fails. DuckDB runs in a process of its own: what it holds would
count as memory of the next process that is measured.
"""

import json
import subprocess
import sys

# Answers a line of JSON, {"table", "values"}, by another: the row of those values in SQL, as text, or
# without values the table's columns and their types.
ANSWER = """
import json, sys, duckdb
duckdb.execute("SET TimeZone='UTC'")
duckdb.execute("SET enable_progress_bar=false")
duckdb.execute("SET memory_limit='4GB'")
for line in sys.stdin:
    question = json.loads(line)
    try:
        if question["values"]:
            select = f"SELECT {', '.join(question['values'])} FROM {question['table']}"
            answer = [str(value) for value in duckdb.execute(select).fetchone()]
        else:
            described = duckdb.execute(f"DESCRIBE FROM {question['table']}").fetchall()
            answer = [[name, kind] for name, kind, *_ in described]
    except duckdb.Error as error:
        answer = {"error": str(error).splitlines()[0]}
    print(json.dumps(answer), flush=True)
"""


class DuckDB:
    """DuckDB in a process, for as long as the `with` block takes."""

    def __enter__(self):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.child = subprocess.Popen([sys.executable, "-c", ANSWER], **pipes)
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait()

    def ask(self, table, values):
        self.child.stdin.write(json.dumps({"table": table, "values": values}) + "\n")
        self.child.stdin.flush()
        answer = json.loads(self.child.stdout.readline())
        if isinstance(answer, dict):
            raise ValueError(answer["error"])
        return answer

    def columns(self, path):
        """The columns of a Parquet file, each with its type."""
        return self.ask(f"read_parquet('{path}', binary_as_string=true)", [])


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def value(name, kind, found):
    """A cell as the value that it means under `kind`, where the file has the type `found`."""
    cell = quoted(name)
    if kind.startswith("TIMESTAMP") and found == "BIGINT":
        # Parquet has no seconds: Arrow's writers leave them as integers, the unit in a note.
        cell = f"to_timestamp({cell})"
    return f"TRY_CAST({cell} AS {kind})"


def ordered(cell):
    # The outer hash ties the cell to its row: the inner one only joins the two by exclusive or.
    return f"bit_xor(hash(hash(row_at, {cell})))"


class Source:
    """The CSV file, as text under gristmill's types. Its digests are made once each."""

    def __init__(self, duckdb, path, columns):
        self.duckdb = duckdb
        self.columns = columns
        # Empty and in quotes is an empty text, empty and bare is null.
        read = f"read_csv('{path}', all_varchar=true, header=true, delim=',', quote='\"', allow_quoted_nulls=false)"
        self.table = f"(SELECT *, row_number() OVER () - 1 AS row_at FROM {read})"
        self.known = {}

    def digests(self, way):
        if way not in self.known:
            text = ["VARCHAR"] * len(self.columns)
            self.known[way] = self.duckdb.ask(self.table, expressions_of(way, self.columns, text))
        return self.known[way]

    @property
    def rows(self):
        return int(self.digests("exact")[0])


def expressions_of(way, columns, found):
    """What is compared: the number of rows, then digests.

    `exact`: a digest a column over cells in order. `blank`: the same with empty text as null.
    `unordered`: as `blank`, without order, with a last digest over whole rows.
    """
    cells = [value(name, kind, f) for (name, kind), f in zip(columns, found)]
    if way != "exact":
        cells = [f"NULLIF({c}, '')" if kind == "VARCHAR" else c for c, (_, kind) in zip(cells, columns)]
    if way == "unordered":
        return ["count(*)", *[f"sum(hash({c}))" for c in cells], f"sum(hash({', '.join(cells)}))"]
    return ["count(*)", *[ordered(c) for c in cells]]


def verdict(source, path):
    """Of a tool's output: whether its table is right, and in words what there is to say of it."""
    try:
        found = dict(source.duckdb.columns(path))
        missing = [name for name, _ in source.columns if name not in found]
        if missing:
            return {"right": False, "note": f"columns not there: {', '.join(missing)}"}
        return compare(source, path, [found[name] for name, _ in source.columns])
    except ValueError as error:
        return {"right": False, "note": f"cannot be read: {error}"}


def compare(source, path, found):
    table = (f"(SELECT *, file_row_number AS row_at "
             f"FROM read_parquet('{path}', file_row_number=true, binary_as_string=true))")
    names = [name for name, _ in source.columns]
    notes = kinds_in_words(source.columns, found)

    def differing(way):
        digests = source.duckdb.ask(table, expressions_of(way, source.columns, found))
        expected = source.digests(way)
        rows = [] if digests[0] == expected[0] else [f"{int(digests[0]):,} rows for {int(expected[0]):,}"]
        columns = [n for n, a, b in zip(names, digests[1:], expected[1:]) if a != b]
        return rows, columns, digests[-1] == expected[-1]

    rows, exact, _ = differing("exact")
    if not rows and not exact:
        return {"right": True, "note": "; ".join(["same", *notes])}
    if not rows:
        _, blank, _ = differing("blank")
        if not blank:
            return {"right": True, "note": "; ".join([f"same, but empty text for null in {listed(exact)}", *notes])}
    rows, columns, whole = differing("unordered")
    if whole and not rows:
        return {"right": True, "note": "; ".join(["same rows in another order", *notes])}
    # All columns right and whole rows not: cells have changed rows.
    said = [f"in {listed(columns)}" if columns else "cells are in other rows"]
    return {"right": False, "note": "; ".join([f"differs: {', '.join(rows + said)}", *notes])}


def kinds_in_words(columns, found):
    """Which columns have a type that says less than the value is."""
    text = [n for (n, kind), f in zip(columns, found) if f == "VARCHAR" and kind != "VARCHAR"]
    seconds = [n for (n, kind), f in zip(columns, found) if f == "BIGINT" and kind.startswith("TIMESTAMP")]
    notes = [f"as text: {listed(text)}"] if text else []
    return notes + ([f"as integers: {listed(seconds)}"] if seconds else [])


def listed(names, most=8):
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
