#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::Engine as _;
use prost::Message as _;
use serde::Deserialize;

use super::graph::Model;
use super::proto::*;

#[derive(Deserialize)]
struct Case {
    name: String,
    model: String,
    input: Vec<Vec<Option<f32>>>,
    output: Vec<Vec<Option<f32>>>,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/cases.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn model(case: &Case) -> (Vec<u8>, Model) {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(&case.model)
        .unwrap();
    let model = Model::from_bytes(&bytes).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    (bytes, model)
}

fn cells(rows: &[Vec<Option<f32>>]) -> Vec<f32> {
    rows.iter()
        .flatten()
        .map(|c| c.unwrap_or(f32::NAN))
        .collect()
}

/// The exponential may differ in its last bit between C libraries; sums may be grouped otherwise.
fn near(a: f32, b: f32) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= 4.0 * f32::EPSILON * a.abs().max(b.abs()).max(0.25)
}

#[test]
fn every_case_answers_as_onnxruntime() {
    let cases = cases();
    assert!(cases.len() > 80, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (_, model) = model(case);
        let scores = model.predict(&cells(&case.input));
        // Of two classes only the second is served.
        let expected: Vec<f32> = case
            .output
            .iter()
            .flat_map(|row| {
                if scores.columns == 1 {
                    &row[row.len() - 1..]
                } else {
                    &row[..]
                }
            })
            .map(|c| c.unwrap_or(f32::NAN))
            .collect();
        assert_eq!(scores.values.len(), expected.len(), "{}", case.name);
        for (i, (found, expected)) in scores.values.iter().zip(&expected).enumerate() {
            if !near(*found, *expected) {
                wrong.push(format!(
                    "{}: value {i} is {found}, onnxruntime says {expected}",
                    case.name
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The models of `fixtures/models`, as real converters write them, against what the libraries that
/// trained them predict.
#[test]
fn the_fixtures_answer_as_the_libraries_that_trained_them() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models");
    let golden = std::fs::read_to_string(format!("{folder}/golden-sample.csv")).unwrap();
    let mut lines = golden.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<f64>> = lines
        .map(|line| {
            line.split(',')
                .map(|c| c.parse().unwrap_or(f64::NAN))
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), 356);
    let input: Vec<f32> = rows
        .iter()
        .flat_map(|row| &row[..6])
        .map(|v| *v as f32)
        .collect();
    for (file, served) in [
        ("flights-late", vec!["flights-late[1]"]),
        (
            "flights-class",
            vec!["flights-class[0]", "flights-class[1]", "flights-class[2]"],
        ),
        ("flights-arr-delay", vec!["flights-arr-delay[0]"]),
    ] {
        let bytes = std::fs::read(format!("{folder}/{file}.onnx")).unwrap();
        let model = Model::from_bytes(&bytes).unwrap();
        assert_eq!(model.features(), 6);
        let scores = model.predict(&input);
        assert_eq!(scores.columns, served.len());
        let columns: Vec<usize> = served
            .iter()
            .map(|name| header.iter().position(|h| h == name).unwrap())
            .collect();
        for (index, (row, found)) in rows
            .iter()
            .zip(scores.values.chunks(scores.columns))
            .enumerate()
        {
            for (column, found) in columns.iter().zip(found) {
                let (expected, found) = (row[*column], f64::from(*found));
                let off = (found - expected).abs() / expected.abs().max(1.0);
                assert!(
                    off <= 1e-6,
                    "{file}, row {index}: {found}, expected {expected}"
                );
            }
        }
    }
}

#[test]
fn a_batch_answers_as_its_rows_one_by_one() {
    for case in cases() {
        let (_, model) = model(&case);
        let input = cells(&case.input);
        let whole: Vec<u32> = model
            .predict(&input)
            .values
            .iter()
            .map(|v| v.to_bits())
            .collect();
        let single: Vec<u32> = input
            .chunks(model.features())
            .flat_map(|row| model.predict(row).values)
            .map(f32::to_bits)
            .collect();
        assert_eq!(whole, single, "{}", case.name);
    }
}

/// One tree: x0 <= 1 gives 10, else 20.
fn stump() -> ModelProto {
    let ints = |name: &str, ints: &[i64]| AttributeProto {
        name: name.into(),
        ints: ints.to_vec(),
        ..Default::default()
    };
    let floats = |name: &str, floats: &[f32]| AttributeProto {
        name: name.into(),
        floats: floats.to_vec(),
        ..Default::default()
    };
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"]
        .map(|m| m.as_bytes().to_vec())
        .to_vec();
    let node = NodeProto {
        input: vec!["X".into()],
        output: vec!["Y".into()],
        name: "trees".into(),
        op_type: "TreeEnsembleRegressor".into(),
        domain: "ai.onnx.ml".into(),
        attribute: vec![
            ints("nodes_treeids", &[0, 0, 0]),
            ints("nodes_nodeids", &[0, 1, 2]),
            ints("nodes_featureids", &[0, 0, 0]),
            floats("nodes_values", &[1.0, 0.0, 0.0]),
            AttributeProto {
                name: "nodes_modes".into(),
                strings: modes,
                ..Default::default()
            },
            ints("nodes_truenodeids", &[1, 0, 0]),
            ints("nodes_falsenodeids", &[2, 0, 0]),
            ints("target_treeids", &[0, 0]),
            ints("target_nodeids", &[1, 2]),
            ints("target_ids", &[0, 0]),
            floats("target_weights", &[10.0, 20.0]),
        ],
    };
    let info = |name: &str| ValueInfoProto {
        name: name.into(),
        r#type: None,
    };
    let graph = GraphProto {
        node: vec![node],
        input: vec![info("X")],
        output: vec![info("Y")],
        ..Default::default()
    };
    ModelProto {
        ir_version: 8,
        graph: Some(graph),
        ..Default::default()
    }
}

fn refusal(change: impl FnOnce(&mut GraphProto)) -> String {
    let mut model = stump();
    change(model.graph.as_mut().unwrap());
    Model::from_bytes(&model.encode_to_vec())
        .expect_err("a hostile model was accepted")
        .to_string()
}

fn attribute<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut AttributeProto {
    graph.node[0]
        .attribute
        .iter_mut()
        .find(|a| a.name == name)
        .unwrap()
}

#[test]
fn the_stump_itself_is_fine() {
    let model = Model::from_bytes(&stump().encode_to_vec()).unwrap();
    assert_eq!(
        model.predict(&[0.5, 1.0, 1.5, f32::NAN]).values,
        [10.0, 10.0, 20.0, 20.0]
    );
}

#[test]
fn hostile_models_are_refused_with_their_place() {
    insta::assert_snapshot!(refusal(|g| attribute(g, "nodes_truenodeids").ints[0] = 0), @"node 0 'trees' (TreeEnsembleRegressor): node 0 of tree 0 is reached twice: the tree has a cycle or a shared branch");
    insta::assert_snapshot!(refusal(|g| attribute(g, "nodes_truenodeids").ints[0] = 2), @"node 0 'trees' (TreeEnsembleRegressor): node 2 of tree 0 is reached twice: the tree has a cycle or a shared branch");
    insta::assert_snapshot!(refusal(|g| attribute(g, "nodes_falsenodeids").ints[0] = 7), @"node 0 'trees' (TreeEnsembleRegressor): node 0 of tree 0 has false branch 7, which does not exist");
    insta::assert_snapshot!(refusal(|g| attribute(g, "nodes_featureids").ints[0] = -1), @"node 0 'trees' (TreeEnsembleRegressor): node 0 of tree 0 reads feature -1, expected 0 to 999999");
    insta::assert_snapshot!(refusal(|g| attribute(g, "target_ids").ints[1] = i64::MAX), @"node 0 'trees' (TreeEnsembleRegressor): weight 1 is for target 9223372036854775807, expected 0 to 0");
    insta::assert_snapshot!(refusal(|g| { attribute(g, "nodes_values").floats.pop(); }), @"node 0 'trees' (TreeEnsembleRegressor): attribute nodes_values has 2 entries, expected 3");
    insta::assert_snapshot!(refusal(|g| attribute(g, "nodes_modes").strings[0] = b"BRANCH_MEMBER".to_vec()), @"node 0 'trees' (TreeEnsembleRegressor): node 0 of tree 0 has mode 'BRANCH_MEMBER', which is not supported");
    insta::assert_snapshot!(refusal(|g| attribute(g, "nodes_nodeids").ints[2] = 1), @"node 0 'trees' (TreeEnsembleRegressor): node 1 of tree 0 is listed twice");
    insta::assert_snapshot!(refusal(|g| g.node[0].op_type = "Gemm".into()), @"node 0 'trees' (Gemm): operator ai.onnx.ml.Gemm is not supported; supported are TreeEnsembleClassifier, TreeEnsembleRegressor, Identity, Cast and ZipMap");
    insta::assert_snapshot!(refusal(|g| g.node[0].input[0] = "Z".into()), @"node 0 'trees' (TreeEnsembleRegressor): reads 'Z', which no earlier node writes");
    insta::assert_snapshot!(refusal(|g| g.output.clear()), @"the model's graph: no output carries the ensemble's scores");
    insta::assert_snapshot!(refusal(|g| { let n = g.node[0].clone(); g.node.push(n); }), @"node 1 'trees' (TreeEnsembleRegressor): a second ensemble in one graph is not supported");
    insta::assert_snapshot!(refusal(|g| {
        g.node[0].attribute.push(AttributeProto { name: "post_transform".into(), s: b"PROBIT".to_vec(), ..Default::default() });
    }), @"node 0 'trees' (TreeEnsembleRegressor): post_transform PROBIT is not supported; supported are NONE, LOGISTIC and SOFTMAX");
    insta::assert_snapshot!(refusal(|g| {
        g.node[0].attribute.push(AttributeProto { name: "n_targets".into(), i: i64::MAX, ..Default::default() });
    }), @"node 0 'trees' (TreeEnsembleRegressor): n_targets says 9223372036854775807, expected 1 to 100000");
}

proptest::proptest! {
    /// Damage anywhere is an error or another model, never a panic or a walk without end.
    #[test]
    fn damaged_files_never_panic(which in 0usize..8, at in 0.0f64..1.0, byte: u8, cut: bool) {
        let cases = cases();
        let (mut bytes, _) = model(&cases[which * 9 % cases.len()]);
        let at = (at * bytes.len() as f64) as usize;
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(model) = Model::from_bytes(&bytes) {
            let scores = model.predict(&vec![0.5; model.features()]);
            proptest::prop_assert_eq!(scores.values.len(), scores.columns);
        }
    }
}
