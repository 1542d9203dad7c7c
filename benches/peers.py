"""Other people's tools: each one's own documented way from a CSV to one Snappy Parquet file.

Types are found by the tool itself; it streams where it can. Arguments of each program: source,
target, threads, and what it is told as JSON. Plainly, it is told nothing. Where that fails or
tears cells, it also runs as `NAME (told)`, with what a patient user would find in its manual.
"""

import json
import sys

PROGRAMS = {
    # https://duckdb.org/docs/stable/guides/file_formats/csv_export, .../data/parquet/overview
    "duckdb": """
import sys, duckdb
source, target, threads, told = sys.argv[1:]
duckdb.execute(f"SET threads={threads}")
duckdb.execute(f"COPY (FROM read_csv('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")
""",
    # https://docs.pola.rs/user-guide/concepts/streaming/
    "polars": """
import json, os, sys
source, target, threads, told = sys.argv[1:]
os.environ["POLARS_MAX_THREADS"] = threads
import polars
polars.scan_csv(source, try_parse_dates=True, **json.loads(told)).sink_parquet(target, compression="snappy")
""",
    # https://arrow.apache.org/docs/python/csv.html: the reader that streams takes types from its
    # first block and one core; this one holds the file in memory.
    "pyarrow": """
import json, sys, pyarrow, pyarrow.csv, pyarrow.parquet
source, target, threads, told = sys.argv[1:]
pyarrow.set_cpu_count(int(threads))
parsing = pyarrow.csv.ParseOptions(**json.loads(told))
table = pyarrow.csv.read_csv(source, parse_options=parsing)
pyarrow.parquet.write_table(table, target, compression="snappy")
""",
    # https://datafusion.apache.org/user-guide/sql/dml.html, .../sql/format_options.html
    "datafusion": """
import json, sys, datafusion
source, target, threads, told = sys.argv[1:]
config = datafusion.SessionConfig().with_target_partitions(int(threads))
context = datafusion.SessionContext(config)
options = ", ".join(f"'{k}' '{v}'" for k, v in {"format.has_header": "true", **json.loads(told)}.items())
context.sql(f"CREATE EXTERNAL TABLE source STORED AS CSV LOCATION '{source}' OPTIONS ({options})")
copy = f"COPY source TO '{target}' STORED AS PARQUET OPTIONS ('format.compression' 'snappy')"
context.sql(copy).collect()
""",
    # https://clickhouse.com/docs/sql-reference/table-functions/file
    "chdb": """
import json, sys, chdb
source, target, threads, told = sys.argv[1:]
settings = {"max_threads": threads, "output_format_parquet_compression_method": "'snappy'", **json.loads(told)}
settings = ", ".join(f"{k}={v}" for k, v in settings.items())
insert = f"INSERT INTO FUNCTION file('{target}', Parquet) SELECT * FROM file('{source}', CSVWithNames)"
chdb.query(f"{insert} SETTINGS {settings}")
""",
}

# What a peer is told of an input, beside the run in which it is told nothing.
TOLD = {
    "flights": {
        # To infer from all rows (infer_schema_length=None) works as well, and takes 17 s in place of 0.4.
        "polars": {"null_values": dict.fromkeys(["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"], "NA")},
    },
    "messy": {
        "pyarrow": {"newlines_in_values": True},
        # Its inference tears cells all the same, unless it looks at a few rows only.
        "datafusion": {"format.newlines_in_values": "true", "format.schema_infer_max_rec": "10"},
        "chdb": {"input_format_csv_trim_whitespaces": 0},
    },
}


def tools_for(name, peers):
    """The tools that run on an input, gristmill first: their names with what each is told."""
    tools = {"gristmill": {}}
    for peer in peers:
        tools[peer] = {}
        if peer in TOLD.get(name, {}):
            tools[f"{peer} (told)"] = TOLD[name][peer]
    return tools


def command(tool, told, source, target, threads):
    program = PROGRAMS[tool.removesuffix(" (told)")]
    return [sys.executable, "-c", program, str(source), str(target), str(threads), json.dumps(told)]
