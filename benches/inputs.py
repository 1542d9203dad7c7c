#!/usr/bin/env python3
"""Makes or fetches what the benches read.

    python3 benches/inputs.py [NAME]... [--work DIR]

| name | what |
|---|---|
| lineitem | TPC-H's table at scale factor 1, made by tpchgen-cli: 6,001,215 rows, 766 MB |
| flights | the year of real flights that fixtures/fetch_flights_year.py fetches: 336,776 rows, 31 MB |
| features | 90 columns of decimals and 10 of integers, made here: 450,000 rows, 302 MB |
| messy | text with line ends, commas and quotes in cells, made here: 720,000 rows, 187 MB |

Made from fixed seeds: every machine gets the same bytes, which their SHA-256 holds. A file that is
there already is taken as it is. Standard library only, but for tpchgen-cli.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from processes import ROOT, WORK, environment

SHA256 = {
    "lineitem": "2af025e7152f22008b8e4e6466bdbf14428a0786e825031ae00caa0d9b13613c",
    "features": "75c8e764269053f116922761123643bb311619dd36e00d7a8149c5303ca384e4",
    "messy": "fa8cb479e4ea767d07c86e066f7ef2a42731853ea2f077164da8c55514ccc491",
}

# Rows are made in chunks, each from a seed of its own, so that all cores can help.
CHUNK_ROWS = 10_000
FEATURES_CHUNKS = 45
MESSY_CHUNKS = 72

FLOATS = 90
INTS = 10

WORDS = """
the of and a to in is you that it he was for on are as with his they I at be this have from or one had by
word but not what all were we when your can said there use an each which she do how their if will up other
about out many then them these so some her would make like him into time has look two more write go see
number no way could people my than first water been call who oil its now find long down day did get come
made may part delivered parcel damaged invoice refund customer warehouse label missing broken again never
café naïve Zürich señor façade Ærø smörgåsbord déjà Škoda Łódź Ångström jalapeño coöperate Øresund
東京 大阪 表示 能力 配達 注文 返品 保証 Москва заказ возврат Αθήνα παραγγελία 서울 주문 שלום مرحبا 🚚 📦 ✅
""".split()
CITIES = ["München", "São Paulo", "東京", "Kraków", "New York", "Montréal", "Reykjavík", "Москва", "서울", "Lagos"]
# What a cell may hold beside words, and how many of a hundred have it.
ODDITIES = [("\n", 12), ("\r\n", 2), (", ", 25), ('""', 10), ("; ", 6), ("\t", 2), ("|", 2)]


def features_header():
    return ",".join([f"f{i}" for i in range(FLOATS)] + [f"i{i}" for i in range(INTS)]) + "\n"


def features_chunk(number):
    """Decimals of two to four places from a range of one to ten thousand; no trailing zeros."""
    draw = random.Random(20_131 + number).random
    shapes = [(10 ** (i % 5) * 10 ** (2 + i % 3), 10 ** (2 + i % 3)) for i in range(FLOATS)]
    rows = []
    for _ in range(CHUNK_ROWS):
        # The quotient of two integers is the float nearest to the decimal, and repr its shortest text.
        cells = [repr(int(draw() * span) / unit) for span, unit in shapes]
        cells += [str(int(draw() * 1000)) for _ in range(INTS)]
        rows.append(",".join(cells))
    return "\n".join(rows) + "\n"


def messy_header():
    return "id,placed,customer,city,subject,comment,amount,reference\n"


def messy_text(draw, words, quoted=False):
    """Words with here and there a line end, a comma or a quotation, as a cell."""
    text = [WORDS[int(draw() * len(WORDS))] for _ in range(words)]
    for oddity, of_hundred in ODDITIES:
        if draw() * 100 < of_hundred:
            at = int(draw() * len(text))
            text[at] = f'""{text[at]}""' if oddity == '""' else text[at] + oddity
            quoted = quoted or oddity not in "; \t|"
    text = " ".join(text)
    return f'"{text}"' if quoted else text


def messy_chunk(number):
    draw = random.Random(46_337 + number).random
    rows = []
    for row in range(CHUNK_ROWS):
        identity = number * CHUNK_ROWS + row
        day, month = 1 + int(draw() * 28), 1 + int(draw() * 12)
        cells = [
            str(identity),
            f"2025-{month:02}-{day:02}",
            messy_text(draw, 2, quoted=True) if draw() < 0.3 else "",
            CITIES[int(draw() * len(CITIES))],
            messy_text(draw, 1 + int(draw() * 8)) if draw() < 0.9 else "",
            messy_text(draw, 10 + int(draw() * 50)) if draw() < 0.95 else "",
            repr(int(draw() * 1_000_000) / 100) if draw() < 0.97 else "",
            f"R{int(draw() * 1_000_000):08}",
        ]
        rows.append(",".join(cells))
    return "\n".join(rows) + "\n"


def make(path, header, chunk, chunks):
    # Only here: a bench that measures memory stays small itself, see processes.timed.
    from concurrent.futures import ProcessPoolExecutor

    with open(path, "w", encoding="utf-8", newline="") as file, ProcessPoolExecutor() as pool:
        file.write(header)
        for text in pool.map(chunk, range(chunks)):
            file.write(text)


def make_lineitem(path):
    generator = environment().parent / "tpchgen-cli"
    folder = path.with_suffix(".making")
    subprocess.run([generator, "csv", "-s", "1", "-T", "lineitem", "-o", folder], check=True)
    os.replace(folder / "lineitem.csv", path)
    folder.rmdir()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def made(name, work):
    """The path of an input that is made here, once it is whole and right."""
    path = work / f"{name}.csv"
    if path.exists():
        return path
    work.mkdir(parents=True, exist_ok=True)
    print(f"making {path}", file=sys.stderr)
    partial = path.with_suffix(".partial")
    if name == "lineitem":
        make_lineitem(partial)
    elif name == "features":
        make(partial, features_header(), features_chunk, FEATURES_CHUNKS)
    else:
        make(partial, messy_header(), messy_chunk, MESSY_CHUNKS)
    found = digest(partial)
    if found != SHA256[name]:
        sys.exit(f"{partial}: expected SHA-256 {SHA256[name]}, found {found}: made by another version?")
    os.replace(partial, path)
    return path


def input_file(name, work=WORK):
    """The path of one of the four inputs, or of a file of the user's."""
    if name == "flights":
        path = ROOT / "fixtures" / ".cache" / "flights-2013.csv"
        if not path.exists():
            subprocess.run([sys.executable, ROOT / "fixtures" / "fetch_flights_year.py"], check=True)
        return path
    if name in SHA256:
        return made(name, work)
    path = Path(name).resolve()
    if not path.exists():
        sys.exit(f"{path} is not there; inputs known by name: flights, {', '.join(SHA256)}")
    return path


def head(path, target, most):
    """Writes the first records of a CSV file, at most so many bytes.

    Quotes are doubled in all inputs, so a line end lies outside them where their number is even.
    """
    with open(path, "rb") as file:
        text = file.read(most + 1)
    if len(text) > most:
        end = text.rfind(b"\n", 0, most)
        while text.count(b'"', 0, end) % 2:
            end = text.rfind(b"\n", 0, end)
        text = text[:end + 1]
    target.write_bytes(text)
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["lineitem", "flights", "features", "messy"], metavar="NAME")
    parser.add_argument("--work", type=Path, default=WORK)
    options = parser.parse_args()
    for name in options.names:
        print(input_file(name, options.work))


if __name__ == "__main__":
    main()
