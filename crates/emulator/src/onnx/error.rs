//! What can be wrong with an ONNX file.

use std::path::PathBuf;

/// A model that cannot be served, with the node and the position that are to blame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OnnxError {
    /// The file cannot be read.
    #[error("cannot read the model {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not exactly one `.onnx` in the model folder.
    #[error("the model folder {path} must hold exactly one .onnx file, found {found}")]
    NotOneModel {
        /// The folder.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// Not an ONNX protobuf.
    #[error("the file is no ONNX model: {0}")]
    Decode(#[from] prost::DecodeError),
    /// An operator that this server does not evaluate.
    #[error(
        "node {node}: operator {operator} is not supported; supported are TreeEnsembleClassifier, \
         TreeEnsembleRegressor, Identity, Cast and ZipMap"
    )]
    Operator {
        /// Position and name of the node.
        node: String,
        /// `domain.op_type`.
        operator: String,
    },
    /// An operator that is supported, with a parameter that is not, or that contradicts itself.
    #[error("node {node}: {problem}")]
    Node {
        /// Position and name of the node.
        node: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// The graph around the operators.
    #[error("the model's graph: {0}")]
    Graph(String),
}
