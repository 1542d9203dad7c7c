"""Small ONNX tree ensembles with the outputs of onnxruntime, for the tests of the evaluator.

    pip install onnx==1.23.2 onnxruntime==1.31.1 numpy
    python make_cases.py > cases.json

Each case is {name, model: base64 of the .onnx, input: rows (null is NaN), output: rows}. The models
are drawn from a fixed seed; every node mode, missing track, post transform, set of base values and
kind of binary classifier is there.
"""

import base64
import itertools
import json
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
FEATURES = 3
# Thresholds and cells come from the same few values, so that equality is met.
CELLS = [-1.5, -0.25, 0.0, 0.5, 1.0, 2.75]


def trees(rng, count, mode_of, missing, depth=3):
    """Attributes nodes_* of `count` random trees, and the (tree, node) of every leaf."""
    a = {k: [] for k in ["treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids"]}
    tracks, leaves = [], []
    for tree in range(count):
        size = 2 ** (depth + 1) - 1
        for node in range(size):
            leaf = 2 * node + 1 >= size
            a["treeids"].append(tree)
            a["nodeids"].append(node)
            a["featureids"].append(0 if leaf else int(rng.integers(FEATURES)))
            a["values"].append(0.0 if leaf else float(rng.choice(CELLS)))
            a["modes"].append("LEAF" if leaf else mode_of(rng))
            a["truenodeids"].append(0 if leaf else 2 * node + 1)
            a["falsenodeids"].append(0 if leaf else 2 * node + 2)
            tracks.append(0 if leaf else int(rng.integers(2)))
            if leaf:
                leaves.append((tree, node))
    attributes = {"nodes_" + k: v for k, v in a.items()}
    if missing:
        attributes["nodes_missing_value_tracks_true"] = tracks
    return attributes, leaves


def rows(rng, missing):
    x = rng.choice(CELLS, size=(24, FEATURES)).astype(np.float32)
    x[12:] += rng.normal(size=(12, FEATURES)).astype(np.float32)
    if missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    return x


def case(name, node, outputs, scores, x):
    graph = helper.make_graph(
        node,
        name,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, FEATURES])],
        outputs,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=8,
        producer_name="make_cases",
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y = session.run([scores], {"X": x})[0]
    if isinstance(y, list):
        y = np.array([[row[k] for k in sorted(row)] for row in y], dtype=np.float32)
    nullable = lambda m: [[None if np.isnan(v) else float(v) for v in r] for r in m]
    return {
        "name": name,
        "model": base64.b64encode(model.SerializeToString()).decode(),
        "input": nullable(x),
        "output": nullable(y),
    }


def regressor(rng, name, mode_of=lambda r: "BRANCH_LEQ", missing=False, targets=1, **more):
    attributes, leaves = trees(rng, 5, mode_of, missing)
    ids = [int(rng.integers(targets)) for _ in leaves]
    node = helper.make_node(
        "TreeEnsembleRegressor", ["X"], ["Y"], domain="ai.onnx.ml", n_targets=targets,
        target_ids=ids, target_treeids=[t for t, _ in leaves], target_nodeids=[n for _, n in leaves],
        target_weights=[float(v) for v in rng.normal(size=len(leaves)).astype(np.float32)],
        **attributes, **more,
    )
    out = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, targets])]
    return case(name, [node], out, "Y", rows(rng, missing))


def classifier(rng, name, classes, ids_of, positive=False, missing=False, wrapped=False, **more):
    attributes, leaves = trees(rng, 4, lambda r: "BRANCH_LT", missing, depth=2)
    weights = rng.normal(size=len(leaves)).astype(np.float32)
    if positive:
        weights = np.abs(weights) / 8
    node = helper.make_node(
        "TreeEnsembleClassifier", ["A" if wrapped else "X"], ["L", "P"], domain="ai.onnx.ml",
        class_ids=[ids_of(rng, t) for t, _ in leaves],
        class_treeids=[t for t, _ in leaves], class_nodeids=[n for _, n in leaves],
        class_weights=[float(v) for v in weights], classlabels_int64s=list(range(classes)),
        **attributes, **more,
    )
    nodes, scores = [node], "P"
    out = [
        helper.make_tensor_value_info("L", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("P", TensorProto.FLOAT, [None, classes]),
    ]
    if wrapped:
        nodes = [
            helper.make_node("Cast", ["X"], ["A"], to=TensorProto.FLOAT),
            node,
            helper.make_node("Cast", ["L"], ["label"], to=TensorProto.INT64),
            helper.make_node("Identity", ["P"], ["Q"]),
            helper.make_node("ZipMap", ["Q"], ["Z"], domain="ai.onnx.ml", classlabels_int64s=list(range(classes))),
        ]
        scores = "Z"
        zipped = helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        )
        out = [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_value_info("Z", zipped),
        ]
    return case(name, nodes, out, scores, rows(rng, missing))


def main():
    rng = np.random.default_rng(20261122)
    cases = []
    for mode in MODES:
        for missing in [False, True]:
            cases.append(regressor(rng, f"{mode}{'_missing' if missing else ''}", lambda r: mode, missing))
    cases.append(regressor(rng, "mixed_modes_missing", lambda r: str(r.choice(MODES)), True))
    for how in ["SUM", "AVERAGE", "MIN", "MAX"]:
        cases.append(regressor(rng, f"one_target_{how}", aggregate_function=how, base_values=[0.25]))
        cases.append(regressor(rng, f"targets_{how}", targets=3, aggregate_function=how, base_values=[0.25, -1.0, 2.0]))
    cases.append(regressor(rng, "one_target_no_base"))
    cases.append(regressor(rng, "targets_softmax", targets=3, post_transform="SOFTMAX"))
    cases.append(regressor(rng, "targets_logistic", targets=2, post_transform="LOGISTIC"))
    cases.append(regressor(rng, "one_target_logistic", post_transform="LOGISTIC", base_values=[0.5]))

    kinds = {"class0": lambda r, t: 0, "class1": lambda r, t: 1, "both": lambda r, t: int(t % 2)}
    bases = {"none": {}, "one": {"base_values": [0.125]}, "two": {"base_values": [0.125, -0.375]}}
    for (kind, ids), positive, post, (base, values) in itertools.product(
        kinds.items(), [False, True], ["NONE", "LOGISTIC", "SOFTMAX"], bases.items()
    ):
        name = f"binary_{kind}_{'positive' if positive else 'mixed'}_{post}_{base}"
        cases.append(classifier(rng, name, 2, ids, positive, post_transform=post, **values))
    any_of_three = lambda r, t: int(r.integers(3))
    for post in ["NONE", "LOGISTIC", "SOFTMAX"]:
        cases.append(classifier(rng, f"three_{post}", 3, any_of_three, post_transform=post))
        cases.append(classifier(rng, f"three_{post}_base", 3, any_of_three, post_transform=post, base_values=[0.5, -0.5, 1.0]))
    cases.append(classifier(rng, "three_missing", 3, any_of_three, missing=True, post_transform="SOFTMAX"))
    cases.append(classifier(rng, "wrapped_binary", 2, kinds["class0"], wrapped=True, post_transform="LOGISTIC"))
    cases.append(classifier(rng, "wrapped_three", 3, any_of_three, wrapped=True, post_transform="SOFTMAX"))

    sys.stdout.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
