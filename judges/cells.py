"""What the judges share: source text as values, and Parquet as rows by two independent readers.

A value is comparable across readers: int, float, bool, str, None, `datetime.date`, and for
timestamps whole microseconds since 1970 as int.
"""

import datetime
import glob
import math
import os
import sys

import duckdb
import pyarrow
import pyarrow.parquet

NULL_TOKENS = {"NA", "N/A", "NULL", "null", "NaN", "nan", "\\N"}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TYPES = {
    "int64": pyarrow.int64(),
    "float64": pyarrow.float64(),
    "boolean": pyarrow.bool_(),
    "date": pyarrow.date32(),
    "timestamp": pyarrow.timestamp("us"),
    "timestamp_utc": pyarrow.timestamp("us", "UTC"),
    "string": pyarrow.string(),
}


def refuse(message):
    """Ends the judge: what it looked at is wrong."""
    print(f"WRONG: {message}", file=sys.stderr)
    sys.exit(1)


def read_csv(data, delimiter=b","):
    """Yields the records of CSV bytes: cells of (text, quoted). RFC 4180, strict, LF or CRLF.

    Not Python's csv module: that cannot tell an empty cell from an empty quoted one. Empty lines
    are no records.
    """
    place, end = 0, len(data)
    while place < end:
        stop = data.find(b"\n", place)
        stop = end if stop < 0 else stop
        line = data[place:stop]
        if b'"' not in line:
            place = stop + 1
            line = line.removesuffix(b"\r")
            if line:
                yield [(cell.decode(), False) for cell in line.split(delimiter)]
        else:
            record, place = _quoted_record(data, place, delimiter)
            yield record


def _quoted_record(data, place, delimiter):
    record = []
    while True:
        if data[place:place + 1] == b'"':
            text, place = _quoted_cell(data, place + 1)
            record.append((text, True))
        else:
            start = place
            while place < len(data) and data[place:place + 1] not in (delimiter, b"\n"):
                place += 1
            cell = data[start:place]
            record.append((cell.removesuffix(b"\r").decode(), False))
        if data[place:place + 1] == delimiter:
            place += 1
            continue
        if data[place:place + 2] == b"\r\n":
            place += 1
        if data[place:place + 1] not in (b"\n", b""):
            refuse(f"byte {place}: expected a delimiter or a newline after a quoted cell")
        return record, place + 1


def _quoted_cell(data, place):
    text = b""
    while True:
        stop = data.find(b'"', place)
        if stop < 0:
            refuse(f"byte {place}: a quote is never closed")
        text += data[place:stop]
        if data[stop + 1:stop + 2] != b'"':
            return text.decode(), stop + 1
        text, place = text + b'"', stop + 2


def value_of(text, quoted, kind):
    """The value that source text stands for in a column of a type."""
    if not quoted and text == "":
        return None
    if kind == "string":
        return text
    if not quoted and text in NULL_TOKENS:
        return None
    if kind == "int64":
        return int(text)
    if kind == "float64":
        return float(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text.lower()]
    if kind == "date":
        return datetime.date.fromisoformat(text)
    return microseconds(datetime.datetime.fromisoformat(text))


def microseconds(moment):
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return (moment - EPOCH) // datetime.timedelta(microseconds=1)


def same(a, b):
    """Equal to the last bit, and of the same sort: 1 is not True, 0.0 is not -0.0."""
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


def parquet_files(path):
    """A file, or the data files of a folder in the order of their names."""
    if os.path.isfile(path):
        return [path]
    files = sorted(f for f in glob.glob(os.path.join(glob.escape(path), "*.parquet"))
                   if not os.path.basename(f).startswith(("_", ".")))
    if not files:
        refuse(f"{path}: no Parquet file")
    return files


def kinds(path):
    """Column names with our names of their types, the same in every file."""
    found = None
    for file in parquet_files(path):
        schema = pyarrow.parquet.read_schema(file)
        here = [(field.name, next((k for k, t in TYPES.items() if t == field.type), None)) for field in schema]
        for field, (name, kind) in zip(schema, here):
            if kind is None:
                refuse(f"{file}: column {name} is of type {field.type}, which gristmill never writes")
        if found not in (None, here):
            refuse(f"{file}: columns {here}, expected {found} as in the files before it")
        found = here
    return found


def rows_by_pyarrow(path):
    for file in parquet_files(path):
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=10_000):
            columns = []
            for column in batch.columns:
                if pyarrow.types.is_timestamp(column.type):
                    column = column.cast(pyarrow.timestamp("us", column.type.tz)).cast(pyarrow.int64())
                columns.append(column.to_pylist())
            yield from zip(*columns)


def rows_by_duckdb(path):
    connection = duckdb.connect(config={"threads": 1})
    for file in parquet_files(path):
        source = connection.read_parquet(file)
        select = []
        for name, kind in zip(source.columns, source.types):
            quoted = '"' + name.replace('"', '""') + '"'
            select.append(f"epoch_us({quoted})" if "TIMESTAMP" in str(kind) else quoted)
        cursor = connection.execute(f"SELECT {', '.join(select)} FROM read_parquet(?)", [file])
        while chunk := cursor.fetchmany(10_000):
            yield from chunk


READERS = {"pyarrow": rows_by_pyarrow, "DuckDB": rows_by_duckdb}
