//! Typed access to a node's attributes, with errors that name the node and the attribute.

use super::error::OnnxError;
use super::proto::{AttributeProto, NodeProto};

/// The attributes of one node.
pub(crate) struct Attributes<'a> {
    node: &'a NodeProto,
    label: String,
}

impl<'a> Attributes<'a> {
    /// `index` is the node's position in the graph, from 0.
    pub(crate) fn of(node: &'a NodeProto, index: usize) -> Self {
        let label = match (node.name.as_str(), node.op_type.as_str()) {
            ("", operator) => format!("{index} ({operator})"),
            (name, operator) => format!("{index} '{name}' ({operator})"),
        };
        Self { node, label }
    }

    /// Position, name and operator, for messages.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// An error at this node.
    pub(crate) fn error(&self, problem: impl Into<String>) -> OnnxError {
        OnnxError::Node {
            node: self.label.clone(),
            problem: problem.into(),
        }
    }

    fn find(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|a| a.name == name)
    }

    /// Integers; empty when absent.
    pub(crate) fn ints(&self, name: &str) -> &'a [i64] {
        self.find(name).map_or(&[], |a| &a.ints)
    }

    /// Floats; empty when absent.
    pub(crate) fn floats(&self, name: &str) -> &'a [f32] {
        self.find(name).map_or(&[], |a| &a.floats)
    }

    /// Byte strings; empty when absent.
    pub(crate) fn strings(&self, name: &str) -> &'a [Vec<u8>] {
        self.find(name).map_or(&[], |a| &a.strings)
    }

    /// One integer.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.find(name).map(|a| a.i)
    }

    /// One string, or `default` when absent.
    pub(crate) fn text(&self, name: &str, default: &str) -> Result<String, OnnxError> {
        let Some(attribute) = self.find(name) else {
            return Ok(default.to_owned());
        };
        String::from_utf8(attribute.s.clone())
            .map_err(|_| self.error(format!("attribute {name} is not UTF-8")))
    }

    /// Double precision weights come as tensors; single precision arithmetic would be another model.
    pub(crate) fn refuse_tensors(&self) -> Result<(), OnnxError> {
        match self.node.attribute.iter().find(|a| a.name.ends_with("_as_tensor")) {
            Some(a) => Err(self.error(format!(
                "attribute {} (double precision) is not supported; export the model with float weights",
                a.name
            ))),
            None => Ok(()),
        }
    }

    /// Errors unless `name` has `expected` entries.
    pub(crate) fn same_length(
        &self,
        name: &str,
        found: usize,
        expected: usize,
    ) -> Result<(), OnnxError> {
        if found == expected {
            return Ok(());
        }
        Err(self.error(format!(
            "attribute {name} has {found} entries, expected {expected}"
        )))
    }
}
