"""The model, the rows and their golden scores, as the judges that drive SageMaker use them."""

import csv
import io
import tarfile
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
MODEL = FIXTURES / "models" / "flights-late.onnx"
SAMPLE = FIXTURES / "models" / "golden-sample.csv"
FEATURES = 6
SCORE = "flights-late[1]"


def model_archive():
    """The tar.gz that ModelDataUrl points at."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        tar.add(MODEL, arcname="model.onnx")
    return data.getvalue()


def sample():
    """Rows as a container gets them, without newline, and the score of each."""
    with open(SAMPLE, newline="") as file:
        rows = list(csv.DictReader(file))
    return [",".join(list(row.values())[:FEATURES]) for row in rows], [float(row[SCORE]) for row in rows]


def csv_of(rows):
    return "".join(row + "\n" for row in rows).encode()


def check_scores(what, data, wanted, tolerance=1e-6):
    """One score a line, in order."""
    lines = data.decode().removesuffix("\n").split("\n")
    if len(lines) != len(wanted):
        raise AssertionError(f"{what}: {len(lines)} lines for {len(wanted)} rows")
    for number, (line, score) in enumerate(zip(lines, wanted), 1):
        if not abs(float(line) - score) <= tolerance:
            raise AssertionError(f"{what}: line {number} is {line!r}, expected {score!r}")
