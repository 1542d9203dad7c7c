#!/usr/bin/env python3
"""A model container for tests: answers /ping and /invocations as its environment tells it.

ANSWER is one of
    sum            a line a row: the sum of the row's numbers, empty cells as 0 (the default); of CSV,
                   JSON Lines (objects) and Parquet, by the request's Content-Type; said to be of the type that
                   its Accept asks for
    csv-only       the same of CSV, status 415 to everything else, as many containers answer
    short          the same, but one row too few
    first          the same, but of the first row of each request only
    media:TYPE     the same, said to be of that content type
    short-at:SUM   the same, but without the row of that sum
    long           the same, but one row too many
    cut-at:SUM     the same, but with an answer that ends by that sum cut off within its last digits
    header         the same, with a line of names first
    as:FORM        the sums in another form, see FORMS; with a final `-`, without the last newline
    text:TEXT      that text, a line a row
    status:CODE    that HTTP status, always
    flaky:N        status 500 to the first N requests, then `sum`
    flaky-once:N   the same, counted over all containers, in the file `flaky-count`
    refuse:SUM,…   status 400 to requests with a row of one of these sums, else `sum`
    slow:SECONDS   `sum` after that time
    env            the environment and the request's headers as JSON lines, one a row

Listens on 127.0.0.1:SAGEMAKER_BIND_TO_PORT. Standard library only, but for Parquet: pyarrow.
"""

import csv
import http.server
import io
import json
import os
import threading
import time

KIND, _, VALUE = os.environ.get("ANSWER", "sum").partition(":")
LOCK = threading.Lock()
seen = 0


BOOLEANS = {"true": 1.0, "false": 0.0}


def csv_rows(body):
    lines = csv.reader(io.StringIO(body.decode(), newline=""))
    return [[BOOLEANS.get(cell, cell) for cell in row if cell.strip()] for row in lines]


def json_rows(body):
    return [list(json.loads(line).values()) for line in body.decode().splitlines()]


def parquet_rows(body):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(io.BytesIO(body))
    return [list(row.values()) for row in table.to_pylist()]


def sums(body, media):
    rows = parquet_rows if "parquet" in media else json_rows if "json" in media else csv_rows
    return [repr(sum(float(cell) for cell in row if cell is not None)) for row in rows(body)]


# How `as:FORM` writes the answers to a request.
FORMS = {
    "pairs": lambda sums: "".join(f'{s},"a, b"\n' for s in sums),
    "python": lambda sums: "".join(f"[{s}, 'a, b']\n" for s in sums),
    "numpy": lambda sums: "".join(f"[ {s} 1. ]\n" for s in sums),
    "list": lambda sums: "".join(f'[{s}, "a"]\n' for s in sums),
    "object": lambda sums: "".join(f'{{"label": "a", "of": [{{"score": {s}}}]}}\n' for s in sums),
    "glued": lambda sums: "".join(f'{{"label": "a", "of": [{{"score": {s}}}]}}' for s in sums),
    "predictions": lambda sums: json.dumps({"predictions": [float(s) for s in sums]}, indent=1) + "\n",
    "named": lambda sums: json.dumps({"predictions": [{"score": float(s), "label": "a"} for s in sums]}) + "\n",
    "batch": lambda sums: json.dumps([[float(s), "a"] for s in sums]) + "\n",
}


def turn_of_all():
    """How many requests all containers of this folder have had, this one included."""
    with LOCK, open("flaky-count", "a+") as count:
        count.write("x")
        count.flush()
        return count.tell()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/ping":
            return self.reply(200, "")
        self.reply(404, "")

    def do_POST(self):
        global seen
        with LOCK:
            seen += 1
            turn = seen
        body = self.body()
        if KIND == "status":
            return self.reply(int(VALUE), "told to\n")
        if KIND == "flaky" and turn <= int(VALUE):
            return self.reply(500, "not yet\n")
        if KIND == "flaky-once" and turn_of_all() <= int(VALUE):
            return self.reply(500, "not yet\n")
        if KIND == "slow":
            time.sleep(float(VALUE))
        media = self.headers.get("Content-Type", "")
        if KIND == "csv-only" and "csv" not in media:
            return self.reply(415, f"This predictor only supports CSV data, not {media}\n")
        lines = sums(body, media)
        if KIND == "refuse":
            refused = {float(text) for text in VALUE.split(",")}
            found = [line for line in lines if float(line) in refused]
            if found:
                return self.reply(400, f"cannot score {found[0]}\n")
        if KIND == "first":
            lines = lines[:1]
        if KIND == "short":
            lines = lines[:-1]
        if KIND == "short-at":
            lines = [line for line in lines if float(line) != float(VALUE)]
        if KIND == "long":
            lines.append("0.0")
        if KIND == "cut-at" and float(lines[-1]) == float(VALUE):
            return self.reply(200, "\n".join(lines)[:-2])
        if KIND == "header":
            lines = ["score"] + lines
        if KIND == "as":
            text = FORMS[VALUE.rstrip("-")](lines)
            return self.reply(200, text[:-1] if VALUE.endswith("-") else text)
        if KIND == "text":
            lines = [VALUE for _ in lines]
        if KIND == "env":
            told = json.dumps({"environment": dict(os.environ), "headers": dict(self.headers)})
            lines = [told for _ in lines]
        self.reply(200, "".join(line + "\n" for line in lines))

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def reply(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", VALUE if KIND == "media" else self.headers.get("Accept") or "text/csv")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    print(f"listening on {port}, answering {KIND} {VALUE}", flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
