#!/usr/bin/env python3
"""Has the emulator's built-in model score Parquet and JSON Lines, through boto3.

    drive_formats_boto3.py ENDPOINT.json [CHECK …]

Parquet is written by pyarrow, one object a request; the scores are compared with onnxruntime's of the
same rows, and byte by byte with those of the same rows as CSV. Exits 1 if a check is wrong.
"""

import decimal
import gzip
import io
import json
import sys

import numpy
import onnxruntime
import pyarrow
import pyarrow.parquet

from drive_sagemaker_boto3 import LOG_GROUP, Stage
from endpoint import Endpoint, expect, run_checks, unique
from transform_input import MODEL, check_scores, csv_of, sample

TIMES = 40
PARQUET = "application/x-parquet"
JSON_LINES = "application/jsonlines"


class Rows:
    """The sample many times over: as float64, as CSV, and what onnxruntime says of it."""

    def __init__(self):
        lines, golden = sample()
        self.lines = lines * TIMES
        cells = [[float(cell) if cell else None for cell in line.split(",")] for line in self.lines]
        self.columns = [list(column) for column in zip(*cells)]
        matrix = numpy.array([[numpy.nan if c is None else c for c in row] for row in cells])
        session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
        scores = session.run(None, {session.get_inputs()[0].name: matrix.astype(numpy.float32)})[-1]
        self.scores = scores[:, -1].astype(float).tolist()
        expect("onnxruntime and the golden sample agree",
               all(abs(a - b) <= 1e-6 for a, b in zip(self.scores, golden)), True)

    def table(self, convert=lambda index, column: pyarrow.array(column, pyarrow.float64())):
        names = [f"feature {index}" for index in range(len(self.columns))]
        return pyarrow.table([convert(i, c) for i, c in enumerate(self.columns)], names=names)


def parquet(table, **how):
    data = io.BytesIO()
    pyarrow.parquet.write_table(table, data, **how)
    return data.getvalue()


def whole(stage, name, content_type=PARQUET, **changes):
    """A request of whole objects: no strategy, nothing added to the answers."""
    request = stage.request(name, TransformInput={"ContentType": content_type, "SplitType": "None"},
                            TransformOutput={"AssembleWith": "None"}, **changes)
    del request["BatchStrategy"]
    return request


def run_whole(stage, files, wanted="Completed", **changes):
    name = unique("whole")
    stage.put(f"in/{name}", files)
    stage.sm.create_transform_job(**whole(stage, name, **changes))
    stage.wait(name, wanted)
    return name, stage.outputs(name)


def by_csv(stage, rows):
    name = unique("csv")
    stage.run(name, {"x.csv": csv_of(rows.lines)})
    return stage.outputs(name)["x.csv.out"]


def tables(stage, rows):
    """However pyarrow writes the table, the answer is that to the CSV, byte by byte."""
    table = rows.table()
    small = {f"codec-{codec}.parquet": parquet(table, compression=codec) for codec in ("none", "snappy", "gzip", "zstd")}
    files = {
        **small,
        "defaults.parquet": parquet(table),
        "groups.parquet": parquet(table, row_group_size=777),
        "plain.parquet": parquet(table, use_dictionary=False, row_group_size=1000),
        "pages.parquet": parquet(table, data_page_size=1024, data_page_version="2.0", write_page_index=True),
        "split.parquet": parquet(table, use_dictionary=False, column_encoding="BYTE_STREAM_SPLIT"),
        "bare.parquet": parquet(table, store_schema=False, version="1.0", write_statistics=False),
    }
    _, outputs = run_whole(stage, files, MaxPayloadInMB=50, MaxConcurrentTransforms=2)
    expect("outputs", sorted(outputs), sorted(f"{name}.out" for name in files))
    answer = by_csv(stage, rows)
    check_scores("csv", answer, rows.scores)
    for name, output in outputs.items():
        check_scores(name, output, rows.scores)
        expect(f"{name}: the bytes of the CSV's answer", output == answer, True)


def types(stage, rows):
    """Integers, decimals, float32, booleans, dictionaries and columns without a value."""
    whole_numbers = [all(c is None or c == int(c) for c in column) for column in rows.columns]
    expect("some features are whole numbers", any(whole_numbers), True)

    def integers(kind):
        return lambda i, column: (pyarrow.array([None if c is None else int(c) for c in column], kind)
                                  if whole_numbers[i] else pyarrow.array(column, pyarrow.float64()))

    def decimals(i, column):
        text = [line.split(",")[i] for line in rows.lines]
        return pyarrow.array([decimal.Decimal(t) if t else None for t in text], pyarrow.decimal128(30, 12))

    files = {
        "int32.parquet": parquet(rows.table(integers(pyarrow.int32()))),
        "int64.parquet": parquet(rows.table(integers(pyarrow.int64()))),
        "decimal.parquet": parquet(rows.table(decimals)),
        "wide.parquet": parquet(rows.table(lambda i, c: decimals(i, c).cast(pyarrow.decimal256(60, 12)))),
        "short.parquet": parquet(rows.table(lambda i, c: decimals(i, c).cast(pyarrow.decimal128(18, 12))),
                                 store_decimal_as_integer=True),
        "float32.parquet": parquet(rows.table(lambda i, c: pyarrow.array(c, pyarrow.float32()))),
        "categories.parquet": parquet(rows.table(integers(pyarrow.int64())).set_column(
            0, "feature 0", integers(pyarrow.int64())(0, rows.columns[0]).dictionary_encode())),
    }
    _, outputs = run_whole(stage, files)
    answer = by_csv(stage, rows)
    for name in files:
        expect(f"{name}: the bytes of the CSV's answer", outputs[f"{name}.out"] == answer, True)
    nothing = rows.table(lambda i, column: pyarrow.nulls(len(column)))
    flags = rows.table(lambda i, column: pyarrow.array([n % 2 == 0 for n in range(len(column))], pyarrow.bool_()))
    _, outputs = run_whole(stage, {"flags.parquet": parquet(flags), "nothing.parquet": parquet(nothing)})
    name = unique("flags")
    wide = len(rows.columns)
    stage.run(name, {
        "flags.csv": csv_of([",".join(["1" if n % 2 == 0 else "0"] * wide) for n in range(len(rows.lines))]),
        "nothing.csv": csv_of(["," * (wide - 1)] * len(rows.lines))})
    expected = stage.outputs(name)
    for kind in ("flags", "nothing"):
        expect(kind, outputs[f"{kind}.parquet.out"] == expected[f"{kind}.csv.out"], True)


def json_lines(stage, rows):
    """Arrays, objects and AWS's own form, by lines and gzipped; answers as a JSON number a line."""
    cells = list(zip(*rows.columns))
    forms = {
        "arrays.jsonl.gz": [list(row) for row in cells],
        "objects.jsonl.gz": [{f"f{i}": c for i, c in enumerate(row)} for row in cells],
        "features.jsonl.gz": [{"features": list(row)} for row in cells],
    }
    files = {name: gzip.compress("".join(json.dumps(v) + "\n" for v in values).encode())
             for name, values in forms.items()}
    name = unique("jsonl")
    stage.run(name, files, MaxPayloadInMB=1, MaxConcurrentTransforms=2,
              TransformInput={"ContentType": JSON_LINES, "CompressionType": "Gzip"},
              TransformOutput={"Accept": JSON_LINES})
    outputs, answer = stage.outputs(name), by_csv(stage, rows)
    expect("outputs", sorted(outputs), sorted(f"{name}.out" for name in files))
    for name, output in outputs.items():
        expect(f"{name}: numbers", {type(json.loads(line)) for line in output.splitlines()}, {float})
        expect(f"{name}: the bytes of the CSV's answer", output == answer, True)


def refusals(stage, rows):
    """A table that does not fit fails its file, and the log says why."""
    table = rows.table().slice(0, 10)
    text = table.append_column("tail number", pyarrow.array(["N1"] * 10))
    files = {
        "damaged.parquet": parquet(table)[:-20],
        "good.parquet": parquet(table),
        "narrow.parquet": parquet(table.remove_column(0)),
        "text.parquet": parquet(text),
    }
    name, outputs = run_whole(stage, files, "Failed")
    expect("outputs of the others", list(outputs), ["good.parquet.out"])
    streams = stage.logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    log = "\n".join(event["message"] for stream in streams for event in stage.logs.get_log_events(
        logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True)["events"])
    for part in ("damaged.parquet: this Parquet cannot be read", "narrow.parquet: the Parquet table does not fit",
                 "expected 6 columns, one for each feature of the model, found 5", "column 7 'tail number' holds text"):
        expect(f"the log says {part!r}: {log}", part in log, True)


def payload(stage, rows):
    """An object larger than the payload is refused; without a limit it is one request."""
    big = rows.table(lambda i, c: pyarrow.array(numpy.random.default_rng(i).random(200_000)))
    data = parquet(big, use_dictionary=False)
    expect("larger than a payload", len(data) > 6 << 20, True)
    _, outputs = run_whole(stage, {"x.parquet": data}, "Failed", MaxPayloadInMB=6)
    expect("no output", outputs, {})
    _, limited = run_whole(stage, {"x.parquet": data}, MaxPayloadInMB=50)
    _, chunked = run_whole(stage, {"x.parquet": data}, MaxPayloadInMB=0)
    expect("rows", limited["x.parquet.out"].count(b"\n"), 200_000)
    expect("the same in chunks", limited == chunked, True)


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    stage, rows = Stage(Endpoint(sys.argv[1])), Rows()
    checks = [tables, types, json_lines, refusals, payload]
    run_checks([(check, stage, rows) for check in checks], sys.argv[2:])


if __name__ == "__main__":
    main()
