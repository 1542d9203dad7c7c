#!/usr/bin/env python3
"""Has gristmill convert one table between all pairs of formats, and reads what it wrote.

    read_formats.py GRISTMILL FOLDER [pairs|parquet|split]

GRISTMILL is the program, FOLDER an empty one for the files. `pairs`: the table is written here in each
format, by Python, pyarrow and Google's snappy; gristmill converts each to every format; Parquet and JSON
Lines are read by pyarrow and DuckDB, CSV by DuckDB and by the reader in cells.py. `parquet`: files of
pyarrow, DuckDB and pandas with the types that gristmill itself does not write. `split`: the parts of a
split are those of the Python in the documentation of crates/tabular/src/split.rs, whatever the format.
"""

import concurrent.futures
import datetime
import decimal
import gzip
import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pandas
import pyarrow
import pyarrow.json
import pyarrow.parquet
from awscrt.checksums import crc32c

import framed_snappy
import hadoop_snappy
from cells import READERS, kinds, microseconds, read_csv, refuse, same, value_of

WRAPPERS = ["", ".gz", ".sz", ".snappy", ".zst"]
FORMATS = [layout + wrapper for layout in ("csv", "jsonl") for wrapper in WRAPPERS] + ["parquet"]


def utc(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)


# Each column: its kind and its cells.
TABLE = {
    "id": ("int64", [1, 2, 3, 4, 5, 6]),
    "big": ("int64", [2**63 - 1, -(2**63), 0, -1, None, 10**18]),
    "x": ("float64", [-0.0, 1e300, 0.1, 2.2250738585072014e-308, None, -1.7976931348623157e308]),
    "flag": ("boolean", [True, False, None, True, False, True]),
    "zip": ("string", ["007", "010", None, "", "00", "90210"]),
    'a "name", odd\n': ("string", ["plain", "", None, 'quo"ted, ""', "two\nlines\r\nand\ttab", " spaces "]),
    "token": ("string", ["NA", "null", "NaN", "\\N", "N/A", "NULL"]),
    "é": ("string", ["日本語", "😀", "e\u0301", "\u2028", "a\\b/c\u0001", "'"]),
    "day": ("date", [datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), None, datetime.date(1, 1, 1),
                     datetime.date(9999, 12, 31), datetime.date(1970, 1, 1)]),
    "local": ("timestamp", [datetime.datetime(2024, 2, 29, 1, 2, 3), None,
                            datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(1970, 1, 1),
                            datetime.datetime(2024, 1, 1, 0, 0, 0, 120000), datetime.datetime(2262, 4, 12)]),
    "at": ("timestamp_utc", [utc("2024-02-29T01:02:03"), None, utc("1969-12-31T23:59:59.999999"),
                             utc("1970-01-01"), utc("2024-01-01T00:00:00.120000"), utc("2262-04-12")]),
}
NAMES = list(TABLE)
KINDS = [kind for kind, _ in TABLE.values()]
ROWS = list(zip(*(cells for _, cells in TABLE.values())))


def comparable(value):
    return microseconds(value) if isinstance(value, datetime.datetime) else value


EXPECTED = [[comparable(value) for value in row] for row in ROWS]


def text_of(value):
    """The text of a value in CSV, by Python."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def csv_of(names, rows):
    """Null is bare and empty; strings are quoted."""
    def cell(value):
        if value is None:
            return ""
        return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else text_of(value)
    return "".join(",".join(map(cell, row)) + "\n" for row in [names, *rows]).encode()


def json_of(names, rows):
    def value(cell):
        plain = cell is None or isinstance(cell, (bool, int, float))
        return cell if plain else text_of(cell)
    lines = (json.dumps(dict(zip(names, map(value, row))), ensure_ascii=False) for row in rows)
    return "".join(line + "\n" for line in lines).encode()


def framed(plain):
    data = framed_snappy.STREAM_ID
    for start in range(0, len(plain), framed_snappy.MAX_UNCOMPRESSED):
        piece = plain[start:start + framed_snappy.MAX_UNCOMPRESSED]
        block = pyarrow.compress(piece, codec="snappy", asbytes=True)
        body = framed_snappy.masked_crc(piece).to_bytes(4, "little") + block
        data += b"\x00" + len(body).to_bytes(3, "little") + body
    return data


WRAP = {
    "": lambda plain: plain,
    ".gz": gzip.compress,
    ".sz": framed,
    ".snappy": hadoop_snappy.write,
    ".zst": lambda plain: pyarrow.compress(plain, codec="zstd", asbytes=True),
}


def zstd_text(stored):
    with pyarrow.CompressedInputStream(pyarrow.BufferReader(stored), "zstd") as stream:
        return stream.read()


UNWRAP = {
    "": lambda stored: stored,
    ".gz": gzip.decompress,
    ".sz": lambda stored: b"".join(framed_snappy.chunks(stored)),
    ".snappy": lambda stored: b"".join(hadoop_snappy.blocks(stored)),
    ".zst": zstd_text,
}


def wrapper_of(name):
    return next((w for w in WRAPPERS if w and name.endswith(w)), "")


def write_table(path):
    if path.suffix == ".parquet":
        types = {"int64": pyarrow.int64(), "float64": pyarrow.float64(), "boolean": pyarrow.bool_(),
                 "string": pyarrow.string(), "date": pyarrow.date32(), "timestamp": pyarrow.timestamp("us"),
                 "timestamp_utc": pyarrow.timestamp("us", "UTC")}
        columns = [pyarrow.array(cells, types[kind]) for kind, cells in TABLE.values()]
        pyarrow.parquet.write_table(pyarrow.table(columns, names=NAMES), path, row_group_size=4)
        return
    plain = (csv_of if ".csv" in path.name else json_of)(NAMES, ROWS)
    path.write_bytes(WRAP[wrapper_of(path.name)](plain))


def convert(program, *arguments):
    done = subprocess.run([program, "convert", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        refuse(f"gristmill convert {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr}")


def compare(what, expected, found):
    for number, (a, b) in enumerate(itertools.zip_longest(expected, found), 1):
        if a is None or b is None:
            refuse(f"{what}: row {number} is missing in {'what was expected' if a is None else 'the output'}")
        if len(a) != len(b):
            refuse(f"{what}: row {number}: {len(b)} cells, expected {len(a)}")
        for column, (x, y) in enumerate(zip(a, b)):
            if not same(x, y):
                refuse(f"{what}: row {number}, column {column}: expected {x!r}, found {y!r}")


def json_value(value, kind):
    """JSON has neither dates nor times, and may write a whole float as it likes."""
    if value is None or kind in ("string", "boolean", "int64"):
        return value
    return float(value) if kind == "float64" else value_of(str(value), True, kind)


def check_csv(what, plain, path):
    header, *rows = read_csv(plain)
    if [name for name, _ in header] != NAMES:
        refuse(f"{what}: the header is {header}")
    cells = [[value_of(text, quoted, kind) for (text, quoted), kind in zip(row, KINDS)] for row in rows]
    compare(f"{what} by cells.py", EXPECTED, cells)
    path.write_bytes(plain)
    # DuckDB tells an empty cell from an empty quoted one where null strings are not looked for in quotes.
    found = duckdb.sql(f"SELECT * FROM read_csv('{path}', header=true, all_varchar=true, nullstr='', "
                       "allow_quoted_nulls=false, quote='\"', escape='\"', delim=',', new_line='\\n')")
    if found.columns != NAMES:
        refuse(f"{what} by DuckDB: the columns are {found.columns}")
    cells = [[None if text is None else value_of(text, True, kind) for text, kind in zip(row, KINDS)]
             for row in found.fetchall()]
    compare(f"{what} by DuckDB", EXPECTED, cells)


def check_json(what, plain, path):
    schema = pyarrow.schema([(name, {"int64": pyarrow.int64(), "float64": pyarrow.float64(),
                                     "boolean": pyarrow.bool_()}.get(kind, pyarrow.string()))
                             for name, kind in zip(NAMES, KINDS)])
    table = pyarrow.json.read_json(pyarrow.BufferReader(plain),
                                   parse_options=pyarrow.json.ParseOptions(explicit_schema=schema))
    if table.column_names != NAMES:
        refuse(f"{what}: the columns are {table.column_names}")
    path.write_bytes(plain)
    types = {"int64": "BIGINT", "float64": "DOUBLE", "boolean": "BOOLEAN"}
    columns = ", ".join("'" + name.replace("'", "''") + f"': '{types.get(kind, 'VARCHAR')}'"
                        for name, kind in zip(NAMES, KINDS))
    duck = duckdb.sql(f"SELECT * FROM read_json('{path}', format='newline_delimited', columns={{{columns}}})")
    python = [list(json.loads(line).values()) for line in plain.decode().split("\n") if line]
    for reader, rows in [("pyarrow", zip(*table.to_pydict().values())), ("DuckDB", duck.fetchall()), ("Python", python)]:
        cells = [[json_value(value, kind) for value, kind in zip(row, KINDS)] for row in rows]
        compare(f"{what} by {reader}", EXPECTED, cells)


def check_parquet(what, path):
    if kinds(path) != list(zip(NAMES, KINDS)):
        refuse(f"{what}: the columns are {kinds(path)}, expected {list(zip(NAMES, KINDS))}")
    for reader, rows in READERS.items():
        compare(f"{what} by {reader}", EXPECTED, [list(row) for row in rows(path)])


def pairs(program, folder):
    sources = [folder / f"source.{format}" for format in FORMATS]
    for source in sources:
        write_table(source)
    outputs = [(source, folder / f"{source.name}.to.{format}") for source in sources for format in FORMATS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda pair: convert(program, *pair), outputs):
            pass
    # Many outputs are the same text: each is read once.
    seen = set()
    for source, output in outputs:
        what = f"{source.name} to {output.name.split('.to.')[1]}"
        stored = output.read_bytes()
        plain = UNWRAP[wrapper_of(output.name)](stored)
        if plain in seen:
            continue
        seen.add(plain)
        if output.suffix == ".parquet":
            check_parquet(what, str(output))
        elif ".to.csv" in output.name:
            check_csv(what, plain, folder / "plain.csv")
        else:
            check_json(what, plain, folder / "plain.jsonl")
    print(f"{len(outputs)} pairs of formats, {len(seen)} different outputs: the same table")


def typed_table():
    """Types that other writers have and gristmill's own schemas have not."""
    moments = [0, -1, 1_700_000_000, None]
    text = ["x", "", 'a,"b\n', None]
    d = decimal.Decimal
    columns = {"id": pyarrow.array([1, 2, 3, 4])}
    for bits in (8, 16, 32, 64):
        ends = [2**(bits - 1) - 1, -(2**(bits - 1)), 0, None]
        columns[f"i{bits}"] = pyarrow.array(ends, getattr(pyarrow, f"int{bits}")())
        columns[f"u{bits}"] = pyarrow.array([2**bits - 1, 0, 1, None], getattr(pyarrow, f"uint{bits}")())
    columns["f32"] = pyarrow.array([0.1, -0.0, 3.4e38, None], pyarrow.float32())
    columns["f64"] = pyarrow.array([1e300, -0.0, 5e-324, None], pyarrow.float64())
    columns["nan"] = pyarrow.array([float("nan"), float("inf"), float("-inf"), None], pyarrow.float64())
    columns["d9"] = pyarrow.array([d("1.20"), d("-0.05"), d("0.00"), None], pyarrow.decimal128(4, 2))
    columns["d38"] = pyarrow.array([d("1" * 38), d("-" + "9" * 38), d(0), None], pyarrow.decimal128(38, 0))
    columns["d76"] = pyarrow.array([d("1" * 70), d("-" + "9" * 70), d(0), None], pyarrow.decimal256(76, 3))
    for unit in ("s", "ms", "us", "ns"):
        columns[f"t_{unit}"] = pyarrow.array(moments, pyarrow.timestamp(unit))
        columns[f"z_{unit}"] = pyarrow.array(moments, pyarrow.timestamp(unit, "Europe/Berlin"))
    columns["day"] = pyarrow.array([0, -1, 20_000, None], pyarrow.date32())
    columns["time_ms"] = pyarrow.array([0, 1, 86_399_999, None], pyarrow.time32("ms"))
    columns["time_ns"] = pyarrow.array([0, 1, 86_399_999_999_999, None], pyarrow.time64("ns"))
    columns["flag"] = pyarrow.array([True, False, None, True])
    columns["large"] = pyarrow.array(text, pyarrow.large_string())
    columns["view"] = pyarrow.array(text, pyarrow.string_view())
    columns["dictionary"] = pyarrow.array(text).dictionary_encode()
    columns["bytes"] = pyarrow.array([b"x", b"", "é".encode(), None], pyarrow.binary())
    columns["nothing"] = pyarrow.nulls(4)
    return pyarrow.table(columns)


def nanoseconds(value, unit):
    return value * {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]


def means(text, scalar):
    """Whether a text stands for a value of pyarrow's."""
    kind = scalar.type
    if pyarrow.types.is_dictionary(kind):
        return text == scalar.as_py()
    if pyarrow.types.is_timestamp(kind):
        zone = text.endswith("Z")
        whole, _, fraction = text.removesuffix("Z").partition(".")
        seconds = microseconds(datetime.datetime.fromisoformat(whole)) // 10**6
        found = seconds * 10**9 + int(fraction.ljust(9, "0") or 0)
        return zone == (kind.tz is not None) and found == nanoseconds(scalar.value, kind.unit)
    if pyarrow.types.is_time(kind):
        whole, _, fraction = text.partition(".")
        hours, minutes, seconds = map(int, whole.split(":"))
        found = (hours * 3600 + minutes * 60 + seconds) * 10**9 + int(fraction.ljust(9, "0") or 0)
        return found == nanoseconds(scalar.value, kind.unit)
    value = scalar.as_py()
    if pyarrow.types.is_decimal(kind):
        return decimal.Decimal(text).as_tuple() == value.as_tuple()
    if pyarrow.types.is_floating(kind):
        return same(pyarrow.scalar(float(text), pyarrow.float64()).cast(kind, safe=False).as_py(), value)
    if isinstance(value, bytes):
        return text.encode() == value
    return text == text_of(value)


def check_text(what, table, rows):
    """`rows`: cells of (text, is null)."""
    if len(rows) != table.num_rows:
        refuse(f"{what}: {len(rows)} rows, expected {table.num_rows}")
    for name, column in zip(table.column_names, table.columns):
        at = table.column_names.index(name)
        for number, scalar in enumerate(column):
            text, null = rows[number][at]
            wrong = null != (not scalar.is_valid) or not (null or means(text, scalar))
            if wrong:
                refuse(f"{what}: row {number + 1}, column {name}: {scalar!r} became {'null' if null else repr(text)}")


class Token(str):
    """The text of a number as JSON has it."""


def check_written(program, folder, path):
    """A Parquet file of someone else's to CSV, JSON Lines and Parquet."""
    table = pyarrow.parquet.read_table(path)
    text, lines, copy = (folder / f"{path.stem}.{to}" for to in ("csv", "jsonl", "copy.parquet"))
    for output in (text, lines, copy):
        convert(program, path, output)
    header, *rows = read_csv(text.read_bytes())
    if [name for name, _ in header] != table.column_names:
        refuse(f"{text.name}: the header is {header}")
    check_text(f"{path.name} to csv", table, [[(cell, not cell and not quoted) for cell, quoted in row] for row in rows])
    rows = []
    for line in lines.read_text().split("\n")[:-1]:
        values = json.loads(line, parse_int=Token, parse_float=Token)
        if list(values) != table.column_names:
            refuse(f"{lines.name}: the keys are {list(values)}")
        rows.append([(None, True) if value is None else (text_of(value), False) for value in values.values()])
    finite = table.drop_columns([name for name in table.column_names if name == "nan"])
    kept = [i for i, name in enumerate(table.column_names) if name != "nan"]
    check_text(f"{path.name} to jsonl", finite, [[row[i] for i in kept] for row in rows])
    if "nan" in table.column_names:
        place = table.column_names.index("nan")
        # JSON has no numbers for them; Protocol Buffers' mapping has these strings.
        words = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        expected = [None if value is None else words[str(value)] for value in table["nan"].to_pylist()]
        if [row[place][0] for row in rows] != expected:
            refuse(f"{lines.name}: expected {expected[:3]} …, found {[row[place] for row in rows[:3]]}")
    found = pyarrow.parquet.read_table(copy)
    if found.column_names != table.column_names:
        refuse(f"{path.name} to parquet: the columns are {found.column_names}")
    for name, a, b in zip(table.column_names, found.schema.types, table.schema.types):
        # Parquet has no seconds: pyarrow notes them and the zone beside its milliseconds, arrow-rs then
        # takes neither. The instants are the same.
        if a != b and not (name == "z_s" and (a.unit, a.tz) == (b.unit, "UTC")):
            refuse(f"{path.name} to parquet: column {name} is {a}, expected {b}")
    for name in table.column_names:
        a, b = (column.cast(pyarrow.int64()) if pyarrow.types.is_timestamp(column.type) else column
                for column in (found[name], table[name]))
        a, b = a.to_pylist(), b.to_pylist()
        # NaN is not equal to itself, and -0.0 is to 0.0.
        if repr(a) != repr(b):
            refuse(f"{path.name} to parquet: column {name}: {a}, expected {b}")


def parquet(program, folder):
    typed = typed_table()
    files = []
    for version, page, codec in [("1.0", "1.0", "none"), ("2.6", "2.0", "snappy"), ("2.6", "1.0", "gzip")]:
        path = folder / f"pyarrow-{version}-{page}-{codec}.parquet"
        here = typed
        if version == "1.0":
            # It has no nanoseconds and no 32-bit unsigned integers.
            here = typed.drop_columns(["t_ns", "z_ns", "time_ns", "u32"])
        pyarrow.parquet.write_table(here, path, version=version, data_page_version=page, compression=codec,
                                    row_group_size=3)
        files.append(path)
    files.append(folder / "duckdb.parquet")
    duckdb.sql("SELECT i AS id, 170141183460469231731687303715884105727::HUGEINT AS huge, 1.50::DECIMAL(18,3) AS d, "
               "'x' || i AS s, DATE '2024-02-29' AS day, TIMESTAMP '2024-01-01 00:00:00.5' AS t, "
               "TIMESTAMPTZ '2024-01-01 00:00:00+02' AS tz, TIME '01:02:03' AS at, NULL::INT AS n, 1::TINYINT AS tiny "
               f"FROM range(5) r(i)").write_parquet(str(files[-1]))
    files.append(folder / "pandas.parquet")
    frame = pandas.DataFrame({
        "i": pandas.array([1, None, 3], dtype="Int64"), "c": pandas.Categorical(["a", None, "b"]),
        "s": ["x", None, ""], "t": pandas.to_datetime(["2024-01-01 00:00:00", None, "2024-01-01 00:00:01"]),
        "none": [None, None, None], "b": pandas.array([True, None, False], dtype="boolean")},
        index=pandas.Index([5, 6, 7], name="row"))
    frame.to_parquet(files[-1])
    for path in files:
        check_written(program, folder, path)
    # Lists and structs have no text, but are copied; named and left out otherwise.
    nested = folder / "nested.parquet"
    pyarrow.parquet.write_table(pyarrow.table({
        "id": [1, 2], "l": [[1, None], None], "s": [{"x": 1, "y": "q"}, None],
        "m": pyarrow.array([[("k", 1)], None], pyarrow.map_(pyarrow.string(), pyarrow.int64()))}), nested)
    convert(program, nested, folder / "nested.copy.parquet")
    if not pyarrow.parquet.read_table(folder / "nested.copy.parquet").equals(pyarrow.parquet.read_table(nested)):
        refuse("nested columns are another table when copied")
    convert(program, nested, folder / "nested.csv", "--select", "id")
    if (folder / "nested.csv").read_bytes() != b"id\n1\n2\n":
        refuse("the one column without lists is another one")
    print(f"{len(files)} Parquet files of other writers: the same tables")


def part_of(key, seed, parts):
    """The Python in the documentation of split.rs."""
    message = str(seed).encode() + b"".join(b"\0" if c is None else b"\1" + c.encode() for c in key)
    fraction = (int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 11) / 2**53
    end = 0.0
    for name, share in parts[:-1]:
        end += share
        if end > fraction:
            return name
    return parts[-1][0]


def split(program, folder):
    odd = [None, "", "a", 'q"uote', "com,ma", "two\nlines", "é", " sp ", "007", "NA"]
    rows = [[number, odd[number % 10] if number % 3 == 0 else f"k{number % 97}", f"{number % 7}"]
            for number in range(600)]
    names = ["id", "key", "other"]
    parts = [("train", 0.7), ("validation", 0.1), ("test", 0.2)]
    expected = {name: [] for name, _ in parts}
    for number, key, other in rows:
        expected[part_of([key, other], 7, parts)].append(number)
    if not all(expected.values()):
        refuse("a part is empty: the table is too small to tell anything")
    (folder / "keys.csv").write_bytes(csv_of(names, rows))
    (folder / "keys.jsonl").write_bytes(json_of(names, rows))
    columns = dict(zip(names, map(list, zip(*rows))))
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "keys.parquet", row_group_size=100)
    for layout, to in itertools.product(("csv", "jsonl", "parquet"), repeat=2):
        output = folder / f"split-{layout}-{to}"
        convert(program, folder / f"keys.{layout}", output, "--to", to, "--drop", "key",
                "--split", "train=0.7,validation=0.1,test=0.2", "--split-key", "key,other", "--split-seed", 7)
        for name in expected:
            file = output / name / f"part-00000.{to}"
            reader = {"csv": "read_csv", "jsonl": "read_json", "parquet": "read_parquet"}[to]
            found = [number for number, in duckdb.sql(f"SELECT id FROM {reader}('{file}')").fetchall()]
            if found != expected[name]:
                refuse(f"{layout} to {to}: {name} has the rows {found[:20]}…, expected {expected[name][:20]}…")
    print(f"{len(rows)} rows to {len(parts)} parts, the same from and to every layout")


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    program, folder = sys.argv[1], Path(sys.argv[2])
    questions = {"pairs": pairs, "parquet": parquet, "split": split}
    asked = sys.argv[3:] or list(questions)
    for question in asked:
        questions[question](program, folder)


if __name__ == "__main__":
    main()
