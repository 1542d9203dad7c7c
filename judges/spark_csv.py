#!/usr/bin/env python3
"""Asks Spark, and by it Hadoop's codecs, about every format that gristmill converts to and from.

    spark_csv.py GRISTMILL SOURCE.csv

GRISTMILL is the program. SOURCE.csv has a header; its cells hold no line ends. Each format is written by
gristmill and read by Spark, then written by Spark and read by gristmill; the cells are compared with
what Python's csv module reads from SOURCE.csv, as text, an empty cell as null.

Needs Java 17 and `pip install pyspark` (400 MB): so it is run by hand, not by the tests.
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from cells import refuse

# Extension and what Spark calls the codec.
TEXT = {"csv": "none", "csv.gz": "gzip", "csv.snappy": "snappy", "csv.zst": "zstd"}
PARQUET = {"snappy": "snappy", "zstd": "zstd", "gzip": "gzip", "none": "uncompressed"}
# Hadoop's zstd needs its native library, which pip does not bring.
MISSING = ("native zStandard library not available", "libhadoop was built without zstd", "CODEC_NOT_AVAILABLE")


def rows_of(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return [tuple(cell or None for cell in row) for row in csv.reader(file) if row]


def gristmill(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode == 2 and "invalid value" in done.stderr:
        return None
    if done.returncode != 0:
        refuse(f"gristmill {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def in_order(rows):
    """Spark may read a file in several pieces; a null sorts first."""
    return sorted(rows, key=lambda row: [(cell is not None, cell or "") for cell in row])


def compare(what, expected, found):
    if in_order(expected) != in_order(found):
        pairs = zip(in_order(expected), in_order(found))
        first = next((f"{a} and {b}" for a, b in pairs if a != b), "one has more")
        refuse(f"{what}: {len(found)} rows, the source has {len(expected)}; the first that differ: {first}")
    print(f"{what}: {len(found)} rows, the same")


def as_tuples(frame):
    return [tuple(row) for row in frame.collect()]


def read_text(spark, path):
    options = {"header": "true", "escape": '"', "mode": "FAILFAST", "inferSchema": "false"}
    return spark.read.options(**options).csv(str(path))


def unless_missing(what, work):
    """Does the work, or says that this Spark has no such codec."""
    try:
        return work()
    except (PySparkException, Py4JJavaError) as error:
        if not any(words in str(error) for words in MISSING):
            raise
        print(f"{what}: this Spark cannot: not asked")
        return None


def text_formats(spark, program, source, folder, expected):
    for extension, codec in TEXT.items():
        ours = folder / f"ours.{extension}"
        gristmill(program, "convert", source, ours)
        found = unless_missing(f"{extension}, read by Spark", lambda: as_tuples(read_text(spark, ours)))
        if found is not None:
            compare(f"{extension}, read by Spark", expected[1:], found)
        written_by_spark(spark, program, source, folder / f"theirs.{extension}", codec, expected)


def written_by_spark(spark, program, source, folder, codec, expected):
    frame = read_text(spark, source).coalesce(1)
    options = {"header": "true", "escape": '"', "compression": codec}
    write = lambda: frame.write.options(**options).csv(str(folder)) or True
    if not unless_missing(f"{folder.name}, written by Spark", write):
        return
    many = folder.with_name(f"many.{folder.name}")
    frame.repartition(4).write.options(**options).csv(str(many))
    read_back(program, f"{folder.name}, 4 files by Spark", many / f"part-*{folder.name.removeprefix('theirs')}", expected)
    (part,) = folder.glob("part-*")
    back = folder / "back.csv"
    gristmill(program, "convert", part, back, "--columns", "text")
    header, *rows = rows_of(back)
    if header != expected[0]:
        refuse(f"{part.name}: the header is {header}")
    compare(f"{folder.name}, written by Spark as {part.name}", expected[1:], rows)
    answer = json.loads(gristmill(program, "inspect", part, "--output", "json"))
    if answer["rows"] != len(rows) or answer.get("name_says"):
        refuse(f"{part.name}: inspect says {answer['rows']} rows, and that the name says {answer['name_says']}")


def read_back(program, what, pattern, expected):
    """Files of Spark, by a pattern, read by gristmill."""
    back = pattern.parent / "back.csv"
    gristmill(program, "convert", pattern, back, "--columns", "text")
    header, *rows = rows_of(back)
    if header != expected[0]:
        refuse(f"{what}: the header is {header}")
    compare(what, expected[1:], rows)


def parquet_codecs(spark, program, source, folder, expected):
    for ours, theirs in PARQUET.items():
        path = folder / f"ours.{ours}.parquet"
        if gristmill(program, "convert", source, path, "--columns", "text", "--compression", ours) is None:
            print(f"parquet, {ours}: gristmill does not offer to write it")
        else:
            compare(f"parquet in {ours}, read by Spark", expected[1:], as_tuples(spark.read.parquet(str(path))))
        inspected(spark, program, folder / f"theirs.{ours}", theirs, read_text(spark, source), len(expected) - 1)


def inspected(spark, program, folder, codec, frame, rows):
    frame.coalesce(1).write.option("compression", codec).parquet(str(folder))
    (part,) = folder.glob("part-*.parquet")
    answer = json.loads(gristmill(program, "inspect", part, "--output", "json"))
    codecs = {name.lower().split("(")[0] for column in answer["columns"] for name in column["codecs"]}
    if answer["rows"] != rows or codecs != {codec}:
        refuse(f"{part.name}: inspect says {answer['rows']} rows in {codecs}, Spark wrote {rows} in {codec}")
    print(f"parquet in {codec}, written by Spark: inspect says the same")


def tables(spark, program, source, folder, expected):
    """Typed Parquet of Spark's, several files of it, as the source's text again; and ours by Spark."""
    typed = spark.read.options(header="true", inferSchema="true").csv(str(source))
    for ours, theirs in PARQUET.items():
        many = folder / f"typed.{theirs}"
        typed.repartition(3).write.option("compression", theirs).parquet(str(many))
        read_back(program, f"typed parquet in {theirs}, 3 files by Spark", many / "part-*.parquet", expected)
        path = folder / f"typed.{ours}.parquet"
        gristmill(program, "convert", source, path, "--compression", ours)
        back = spark.read.parquet(str(path)).createOrReplaceTempView("ours")
        # Where Spark infers text (NA is no null to it), ours is a number: compared as Spark's type.
        casts = ", ".join(f"cast(`{field.name}` as {field.dataType.simpleString()})" for field in typed.schema)
        back = spark.sql(f"select {casts} from ours")
        compare(f"typed parquet in {ours}, read by Spark", as_texts(typed), as_texts(back))


def as_texts(frame):
    return [tuple(None if cell in (None, "NA") else str(cell) for cell in row) for row in frame.collect()]


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    program, source = sys.argv[1], Path(sys.argv[2]).resolve()
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    # By default Spark writes times as INT96, which does not say that they are UTC.
    spark = spark.config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    spark = spark.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    with tempfile.TemporaryDirectory() as folder:
        expected = rows_of(source)
        text_formats(spark, program, source, Path(folder), expected)
        parquet_codecs(spark, program, source, Path(folder), expected)
        tables(spark, program, source, Path(folder), expected)
    spark.stop()


if __name__ == "__main__":
    main()
