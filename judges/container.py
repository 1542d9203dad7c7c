#!/usr/bin/env python3
"""A model container for tests: answers /ping and /invocations as its environment tells it.

ANSWER is one of
    sum            a line a row: the sum of the row's numbers, empty cells as 0 (the default)
    short          the same, but one row too few
    long           the same, but one row too many
    text:TEXT      that text, a line a row
    status:CODE    that HTTP status, always
    flaky:N        status 500 to the first N requests, then `sum`
    slow:SECONDS   `sum` after that time
    env            the environment and the request's headers as JSON lines, one a row

Listens on 127.0.0.1:SAGEMAKER_BIND_TO_PORT. Standard library only.
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


def sums(body):
    rows = csv.reader(io.StringIO(body.decode(), newline=""))
    return [repr(sum(float(cell) for cell in row if cell.strip())) for row in rows]


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
        if KIND == "slow":
            time.sleep(float(VALUE))
        lines = sums(body)
        if KIND == "short":
            lines = lines[:-1]
        if KIND == "long":
            lines.append("0.0")
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
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    print(f"listening on {port}, answering {KIND} {VALUE}", flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
