//! Trees as one flat array, and the way down each.
//!
//! Children are addressed by index, a tree's nodes lie together in the order of a walk from its
//! root, and a walk ends because construction refuses any node that is reached twice.

use std::collections::HashMap;

use super::attributes::Attributes;
use super::error::OnnxError;

/// More columns than any table has; keeps a hostile index from sizing an allocation.
pub(crate) const MAX_FEATURES: usize = 1_000_000;
/// More targets or classes than any ensemble has, for the same reason.
pub(crate) const MAX_TARGETS: usize = 100_000;

/// How a node compares its feature with its value; true takes the `yes` branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
    Leaf,
}

impl Mode {
    fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"BRANCH_LEQ" => Self::LessOrEqual,
            b"BRANCH_LT" => Self::Less,
            b"BRANCH_GTE" => Self::GreaterOrEqual,
            b"BRANCH_GT" => Self::Greater,
            b"BRANCH_EQ" => Self::Equal,
            b"BRANCH_NEQ" => Self::NotEqual,
            b"LEAF" => Self::Leaf,
            _ => return None,
        })
    }
}

/// A branch, or a leaf whose `yes..no` is its range in `Trees::weights`.
#[derive(Clone, Copy, Debug)]
struct Node {
    mode: Mode,
    /// NaN takes the `yes` branch; otherwise a comparison with NaN decides as IEEE says.
    missing_is_yes: bool,
    feature: u32,
    value: f32,
    yes: u32,
    no: u32,
}

impl Node {
    fn holds(&self, x: f32) -> bool {
        let compared = match self.mode {
            Mode::LessOrEqual => x <= self.value,
            Mode::Less => x < self.value,
            Mode::GreaterOrEqual => x >= self.value,
            Mode::Greater => x > self.value,
            Mode::Equal => x == self.value,
            Mode::NotEqual => x != self.value,
            Mode::Leaf => false,
        };
        compared || (self.missing_is_yes && x.is_nan())
    }
}

/// What a leaf adds to one target or class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight {
    pub(crate) target: u32,
    pub(crate) value: f32,
}

/// All trees of an ensemble.
#[derive(Debug)]
pub(crate) struct Trees {
    nodes: Vec<Node>,
    roots: Vec<u32>,
    weights: Vec<Weight>,
    features: usize,
}

impl Trees {
    /// Number of trees.
    pub(crate) fn len(&self) -> usize {
        self.roots.len()
    }

    /// One more than the highest feature that a branch reads.
    pub(crate) fn features(&self) -> usize {
        self.features
    }

    /// All weights, in no particular order.
    pub(crate) fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// The weights of the leaf that `row` reaches in tree `tree`; `row` has at least
    /// [`Trees::features`] values.
    pub(crate) fn leaf(&self, tree: usize, row: &[f32]) -> &[Weight] {
        let mut node = &self.nodes[self.roots[tree] as usize];
        while node.mode != Mode::Leaf {
            let next = if node.holds(row[node.feature as usize]) {
                node.yes
            } else {
                node.no
            };
            node = &self.nodes[next as usize];
        }
        &self.weights[node.yes as usize..node.no as usize]
    }

    /// Reads the `nodes_*` attributes and the weights named `<prefix>_{ids,nodeids,treeids,weights}`.
    pub(crate) fn compile(
        attributes: &Attributes<'_>,
        prefix: &str,
        targets: usize,
    ) -> Result<Self, OnnxError> {
        attributes.refuse_tensors()?;
        let source = Source::read(attributes, prefix, targets)?;
        let mut compiled = Self {
            nodes: Vec::with_capacity(source.tree_ids.len()),
            roots: Vec::new(),
            weights: Vec::with_capacity(source.weight_count()),
            features: 0,
        };
        for root in source.roots()? {
            compiled.roots.push(compiled.nodes.len() as u32);
            compiled.add_tree(&source, root)?;
        }
        if compiled.roots.is_empty() {
            return Err(attributes.error("the ensemble has no tree"));
        }
        Ok(compiled)
    }

    /// Copies what is reachable from `root`, depth first without recursion.
    fn add_tree(&mut self, source: &Source<'_>, root: usize) -> Result<(), OnnxError> {
        // Which source node comes next, and which field of which compiled node points to it.
        let mut pending = vec![(root, None::<(usize, bool)>)];
        let mut seen = std::collections::HashSet::new();
        while let Some((at, parent)) = pending.pop() {
            if !seen.insert(at) {
                return Err(source.error(
                    at,
                    "is reached twice: the tree has a cycle or a shared branch",
                ));
            }
            let index = self.nodes.len();
            if let Some((parent, yes)) = parent {
                let link = if yes {
                    &mut self.nodes[parent].yes
                } else {
                    &mut self.nodes[parent].no
                };
                *link = index as u32;
            }
            let node = self.copy_node(source, at)?;
            self.nodes.push(node);
            if node.mode != Mode::Leaf {
                pending.push((source.child(at, false)?, Some((index, false))));
                pending.push((source.child(at, true)?, Some((index, true))));
            }
        }
        Ok(())
    }

    fn copy_node(&mut self, source: &Source<'_>, at: usize) -> Result<Node, OnnxError> {
        let mode = source.mode(at)?;
        let mut node = Node {
            mode,
            missing_is_yes: source.missing.get(at).is_some_and(|m| *m != 0),
            feature: 0,
            value: source.values[at],
            yes: 0,
            no: 0,
        };
        if mode == Mode::Leaf {
            node.yes = self.weights.len() as u32;
            self.weights.extend_from_slice(source.leaf_weights(at));
            node.no = self.weights.len() as u32;
        } else {
            let feature = source.feature(at)?;
            self.features = self.features.max(feature + 1);
            node.feature = feature as u32;
        }
        Ok(node)
    }
}

/// The attributes as they come, lengths checked, with an index by identity.
struct Source<'a> {
    attributes: &'a Attributes<'a>,
    tree_ids: &'a [i64],
    node_ids: &'a [i64],
    features: &'a [i64],
    values: &'a [f32],
    modes: &'a [Vec<u8>],
    yes: &'a [i64],
    no: &'a [i64],
    missing: &'a [i64],
    by_id: HashMap<(i64, i64), usize>,
    weights: HashMap<usize, Vec<Weight>>,
}

impl<'a> Source<'a> {
    fn read(
        attributes: &'a Attributes<'a>,
        prefix: &str,
        targets: usize,
    ) -> Result<Self, OnnxError> {
        let mut source = Self {
            attributes,
            tree_ids: attributes.ints("nodes_treeids"),
            node_ids: attributes.ints("nodes_nodeids"),
            features: attributes.ints("nodes_featureids"),
            values: attributes.floats("nodes_values"),
            modes: attributes.strings("nodes_modes"),
            yes: attributes.ints("nodes_truenodeids"),
            no: attributes.ints("nodes_falsenodeids"),
            missing: attributes.ints("nodes_missing_value_tracks_true"),
            by_id: HashMap::new(),
            weights: HashMap::new(),
        };
        source.check_lengths()?;
        source.index()?;
        source.read_weights(prefix, targets)?;
        Ok(source)
    }

    fn check_lengths(&self) -> Result<(), OnnxError> {
        let n = self.tree_ids.len();
        if u32::try_from(n).is_err() {
            return Err(self
                .attributes
                .error(format!("{n} nodes are more than 2^32")));
        }
        for (name, found) in [
            ("nodes_nodeids", self.node_ids.len()),
            ("nodes_featureids", self.features.len()),
            ("nodes_values", self.values.len()),
            ("nodes_modes", self.modes.len()),
            ("nodes_truenodeids", self.yes.len()),
            ("nodes_falsenodeids", self.no.len()),
        ] {
            self.attributes.same_length(name, found, n)?;
        }
        if !self.missing.is_empty() {
            self.attributes.same_length(
                "nodes_missing_value_tracks_true",
                self.missing.len(),
                n,
            )?;
        }
        Ok(())
    }

    fn index(&mut self) -> Result<(), OnnxError> {
        for at in 0..self.tree_ids.len() {
            let id = (self.tree_ids[at], self.node_ids[at]);
            if self.by_id.insert(id, at).is_some() {
                return Err(self.error(at, "is listed twice"));
            }
        }
        Ok(())
    }

    fn read_weights(&mut self, prefix: &str, targets: usize) -> Result<(), OnnxError> {
        let attributes = self.attributes;
        let name = |suffix: &str| format!("{prefix}_{suffix}");
        let values = attributes.floats(&name("weights"));
        let ids = attributes.ints(&name("ids"));
        let nodes = attributes.ints(&name("nodeids"));
        let trees = attributes.ints(&name("treeids"));
        attributes.same_length(&name("ids"), ids.len(), values.len())?;
        attributes.same_length(&name("nodeids"), nodes.len(), values.len())?;
        attributes.same_length(&name("treeids"), trees.len(), values.len())?;
        for (i, &value) in values.iter().enumerate() {
            let Some(&at) = self.by_id.get(&(trees[i], nodes[i])) else {
                return Err(attributes.error(format!(
                    "weight {i} belongs to node {} of tree {}, which does not exist",
                    nodes[i], trees[i]
                )));
            };
            let target = usize::try_from(ids[i])
                .ok()
                .filter(|t| *t < targets)
                .ok_or_else(|| {
                    attributes.error(format!(
                        "weight {i} is for target {}, expected 0 to {}",
                        ids[i],
                        targets - 1
                    ))
                })?;
            let list = self.weights.entry(at).or_default();
            list.push(Weight {
                target: target as u32,
                value,
            });
        }
        Ok(())
    }

    fn weight_count(&self) -> usize {
        self.weights.values().map(Vec::len).sum()
    }

    /// The first listed node of each tree, in order of listing.
    fn roots(&self) -> Result<Vec<usize>, OnnxError> {
        let mut seen = std::collections::HashSet::new();
        let mut roots = Vec::new();
        let mut previous = None;
        for (at, tree) in self.tree_ids.iter().enumerate() {
            if previous != Some(tree) {
                if !seen.insert(*tree) {
                    return Err(self.error(
                        at,
                        "comes after another tree's nodes; a tree's nodes must be together",
                    ));
                }
                roots.push(at);
            }
            previous = Some(tree);
        }
        Ok(roots)
    }

    fn mode(&self, at: usize) -> Result<Mode, OnnxError> {
        Mode::from_name(&self.modes[at]).ok_or_else(|| {
            let found = String::from_utf8_lossy(&self.modes[at]);
            self.error(at, &format!("has mode '{found}', which is not supported"))
        })
    }

    fn feature(&self, at: usize) -> Result<usize, OnnxError> {
        usize::try_from(self.features[at])
            .ok()
            .filter(|f| *f < MAX_FEATURES)
            .ok_or_else(|| {
                self.error(
                    at,
                    &format!(
                        "reads feature {}, expected 0 to {}",
                        self.features[at],
                        MAX_FEATURES - 1
                    ),
                )
            })
    }

    fn child(&self, at: usize, yes: bool) -> Result<usize, OnnxError> {
        let (list, word) = if yes {
            (self.yes, "true")
        } else {
            (self.no, "false")
        };
        self.by_id
            .get(&(self.tree_ids[at], list[at]))
            .copied()
            .ok_or_else(|| {
                self.error(
                    at,
                    &format!("has {word} branch {}, which does not exist", list[at]),
                )
            })
    }

    fn leaf_weights(&self, at: usize) -> &[Weight] {
        self.weights.get(&at).map_or(&[], Vec::as_slice)
    }

    fn error(&self, at: usize, problem: &str) -> OnnxError {
        let (tree, node) = (self.tree_ids[at], self.node_ids[at]);
        self.attributes
            .error(format!("node {node} of tree {tree} {problem}"))
    }
}
