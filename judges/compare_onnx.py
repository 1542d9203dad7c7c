#!/usr/bin/env python3
"""Compares predictions with what onnxruntime says of the same rows.

    compare_onnx.py MODEL.onnx ROWS.csv PREDICTIONS.csv [--tolerance 1e-6]

ROWS.csv is what the model got: numbers, no header, an empty cell for a missing value.
PREDICTIONS.csv has one line a row: a regressor's targets, the probability of the second class of
two, or the probabilities of all classes. The difference is relative to the larger of 1 and the
size of the value.
"""

import argparse
import sys

import numpy
import onnxruntime

from cells import refuse


def matrix(path):
    with open(path, encoding="utf-8") as file:
        rows = [[float(cell) if cell else numpy.nan for cell in line.rstrip("\n").split(",")] for line in file]
    return numpy.array(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("predictions")
    parser.add_argument("--tolerance", type=float, default=1e-6)
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    outputs = session.run(None, {name: matrix(options.rows).astype(numpy.float32)})
    expected = outputs[-1]
    if len(outputs) == 2 and expected.shape[1] == 2:
        expected = expected[:, 1:]
    found = matrix(options.predictions)
    if found.shape != expected.shape:
        refuse(f"predictions are {found.shape[0]} rows of {found.shape[1]}, "
               f"onnxruntime gives {expected.shape[0]} of {expected.shape[1]}")
    off = abs(found - expected) / numpy.maximum(1, abs(expected))
    if not off.max() <= options.tolerance:
        row, column = numpy.unravel_index(numpy.nanargmax(off), off.shape)
        refuse(f"row {row} (0-based), value {column}: {found[row, column]!r}, "
               f"onnxruntime says {expected[row, column]!r}")
    print(f"{len(found)} rows: off by at most {off.max():.2e}")


if __name__ == "__main__":
    sys.exit(main())
