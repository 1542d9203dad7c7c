//! From a graph to the one ensemble in it, and a model that answers rows.
//!
//! What converters emit around an ensemble (Identity, Cast between numbers, ZipMap) neither moves
//! nor changes a score, so the graph is followed once, at load, and only the ensemble is evaluated.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use prost::Message;

use super::attributes::Attributes;
use super::ensemble::Ensemble;
use super::error::OnnxError;
use super::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use super::trees::MAX_FEATURES;

/// Element types of `TensorProto.DataType` that hold plain numbers.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// What a name in the graph stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// The rows as given.
    Input,
    /// The scores of the ensemble.
    Scores,
    /// The predicted class, which is not served.
    Label,
}

/// A loaded model: rows of float32 in, rows of float32 out. Immutable, to be shared by threads.
#[derive(Debug)]
pub(crate) struct Model {
    ensemble: Ensemble,
    features: usize,
    classifier: bool,
}

/// The answers to a batch, row by row.
pub(crate) struct Scores {
    /// Values of one row; at least 1.
    pub(crate) columns: usize,
    /// Row-major.
    pub(crate) values: Vec<f32>,
}

impl Model {
    /// Loads the only `.onnx` file of a folder.
    pub(crate) fn from_folder(folder: &Path) -> Result<Self, OnnxError> {
        let io = |source| OnnxError::Io {
            path: folder.to_owned(),
            source,
        };
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|e| e == "onnx") {
                found.push(path);
            }
        }
        match found.as_slice() {
            [path] => {
                let bytes = std::fs::read(path).map_err(|source| OnnxError::Io {
                    path: path.clone(),
                    source,
                })?;
                Self::from_bytes(&bytes)
            }
            _ => Err(OnnxError::NotOneModel {
                path: folder.to_owned(),
                found: found.len(),
            }),
        }
    }

    /// Decodes, checks and compiles a model.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, OnnxError> {
        let graph = ModelProto::decode(bytes)?
            .graph
            .ok_or_else(|| OnnxError::Graph("there is none; is the file empty?".to_owned()))?;
        let input = only_input(&graph)?;
        let mut walk = Walk::from_input(&input.name);
        for (index, node) in graph.node.iter().enumerate() {
            walk.take(node, index)?;
        }
        let (ensemble, classifier) = walk
            .ensemble
            .ok_or_else(|| OnnxError::Graph("it has no tree ensemble".to_owned()))?;
        let served = graph
            .output
            .iter()
            .any(|o| walk.values.get(&o.name) == Some(&Value::Scores));
        if !served {
            return Err(OnnxError::Graph(
                "no output carries the ensemble's scores".to_owned(),
            ));
        }
        let features = features(input, &ensemble)?;
        Ok(Self {
            ensemble,
            features,
            classifier,
        })
    }

    /// Cells that a row must have.
    pub(crate) fn features(&self) -> usize {
        self.features
    }

    /// Scores each row of [`Model::features`] values. NaN is a missing value.
    ///
    /// A regressor answers its targets; a classifier of two classes the probability of the second
    /// (positive) class; a classifier of more the probabilities of all, in the order of its labels.
    pub(crate) fn predict(&self, rows: &[f32]) -> Scores {
        let columns = self.ensemble.columns();
        let mut values = Vec::with_capacity(rows.len() / self.features * columns);
        self.ensemble.evaluate(rows, self.features, &mut values);
        if self.classifier && columns == 2 {
            values = values.chunks_exact(2).map(|pair| pair[1]).collect();
            return Scores { columns: 1, values };
        }
        Scores { columns, values }
    }
}

/// The single true input: before IR version 4 constants were listed as inputs too.
fn only_input(graph: &GraphProto) -> Result<&ValueInfoProto, OnnxError> {
    let constant = |name: &str| graph.initializer.iter().any(|t| t.name == name);
    let inputs: Vec<_> = graph.input.iter().filter(|i| !constant(&i.name)).collect();
    match inputs.as_slice() {
        [only] => Ok(only),
        _ => Err(OnnxError::Graph(format!(
            "expected one input, a matrix of rows by features, found {}",
            inputs.len()
        ))),
    }
}

/// Columns by the declared shape, or as many as the trees read if the shape leaves it open.
fn features(input: &ValueInfoProto, ensemble: &Ensemble) -> Result<usize, OnnxError> {
    let needed = ensemble.features();
    let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let dims = tensor
        .and_then(|t| t.shape.as_ref())
        .map_or(&[][..], |s| &s.dim);
    let Some(declared) = dims.get(1).and_then(|d| d.dim_value).filter(|v| *v > 0) else {
        return Ok(needed.max(1));
    };
    let declared = usize::try_from(declared).unwrap_or(usize::MAX);
    if declared < needed || declared > MAX_FEATURES {
        return Err(OnnxError::Graph(format!(
            "input '{}' has {declared} features, and the trees read feature {}",
            input.name,
            needed.saturating_sub(1)
        )));
    }
    Ok(declared)
}

/// What each name stands for, so far.
struct Walk {
    values: HashMap<String, Value>,
    ensemble: Option<(Ensemble, bool)>,
}

impl Walk {
    fn from_input(name: &str) -> Self {
        Self {
            values: HashMap::from([(name.to_owned(), Value::Input)]),
            ensemble: None,
        }
    }

    fn take(&mut self, node: &NodeProto, index: usize) -> Result<(), OnnxError> {
        let attributes = Attributes::of(node, index);
        match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", "Identity") | ("ai.onnx.ml", "ZipMap") => self.pass(node, &attributes),
            ("" | "ai.onnx", "Cast") => self.cast(node, &attributes),
            ("ai.onnx.ml", "TreeEnsembleRegressor") => {
                self.need_rows(node, &attributes)?;
                self.name_outputs(node, &[Value::Scores]);
                self.add(Ensemble::regressor(&attributes)?, false, &attributes)
            }
            ("ai.onnx.ml", "TreeEnsembleClassifier") => {
                self.need_rows(node, &attributes)?;
                self.name_outputs(node, &[Value::Label, Value::Scores]);
                self.add(Ensemble::classifier(&attributes)?, true, &attributes)
            }
            (domain, operator) => Err(OnnxError::Operator {
                node: attributes.label().to_owned(),
                operator: if domain.is_empty() {
                    operator.to_owned()
                } else {
                    format!("{domain}.{operator}")
                },
            }),
        }
    }

    fn add(
        &mut self,
        ensemble: Ensemble,
        classifier: bool,
        a: &Attributes<'_>,
    ) -> Result<(), OnnxError> {
        if self.ensemble.is_some() {
            return Err(a.error("a second ensemble in one graph is not supported"));
        }
        self.ensemble = Some((ensemble, classifier));
        Ok(())
    }

    fn input(&self, node: &NodeProto, a: &Attributes<'_>) -> Result<Value, OnnxError> {
        match node.input.as_slice() {
            [name] => self
                .values
                .get(name)
                .copied()
                .ok_or_else(|| a.error(format!("reads '{name}', which no earlier node writes"))),
            inputs => Err(a.error(format!("has {} inputs, expected 1", inputs.len()))),
        }
    }

    fn need_rows(&self, node: &NodeProto, a: &Attributes<'_>) -> Result<(), OnnxError> {
        match self.input(node, a)? {
            Value::Input => Ok(()),
            _ => Err(a.error("must read the graph's input")),
        }
    }

    fn name_outputs(&mut self, node: &NodeProto, values: &[Value]) {
        for (name, value) in node.output.iter().zip(values) {
            self.values.insert(name.clone(), *value);
        }
    }

    fn pass(&mut self, node: &NodeProto, a: &Attributes<'_>) -> Result<(), OnnxError> {
        let value = self.input(node, a)?;
        self.name_outputs(node, &[value]);
        Ok(())
    }

    /// To float: nothing changes. To int64: only of the label, as of scores it would round them.
    fn cast(&mut self, node: &NodeProto, a: &Attributes<'_>) -> Result<(), OnnxError> {
        let value = self.input(node, a)?;
        match (a.int("to"), value) {
            (Some(FLOAT), _) | (Some(INT64), Value::Label) => self.pass(node, a),
            (to, _) => Err(a.error(format!(
                "a cast of rows or scores to type {} is not supported; supported is float (1)",
                to.map_or_else(|| "none".to_owned(), |t| t.to_string())
            ))),
        }
    }
}
