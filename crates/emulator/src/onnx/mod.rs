//! Tree ensembles in ONNX files, evaluated here, so that a model answers on a machine that has
//! nothing but this program. Held to onnxruntime's outputs by the tests.

mod attributes;
mod ensemble;
mod error;
mod graph;
mod proto;
#[cfg(test)]
mod tests;
mod trees;

pub(crate) use graph::Model;
