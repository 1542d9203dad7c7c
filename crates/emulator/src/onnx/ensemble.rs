//! `TreeEnsembleRegressor` and `TreeEnsembleClassifier` of `ai.onnx.ml`, in float32 as onnxruntime.
//!
//! The ONNX specification leaves open what a binary classifier with weights for one class, or with
//! one base value, answers. onnxruntime's answer is the one that converters were tested against, so
//! it is followed here, and the tests hold every combination to its recorded outputs.

use super::attributes::Attributes;
use super::error::OnnxError;
use super::trees::{MAX_TARGETS, Trees, Weight};

/// How leaves of all trees become one score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

/// What is done to the scores of a row at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PostTransform {
    None,
    Logistic,
    Softmax,
}

/// A score that may have received no weight at all, which is not the same as zero.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    value: f32,
    given: bool,
}

impl Score {
    /// onnxruntime writes zero for a score that received no weight, whatever was added to it since.
    fn or_zero(self, value: f32) -> f32 {
        if self.given { value } else { 0.0 }
    }
}

/// A compiled ensemble.
#[derive(Debug)]
pub(crate) struct Ensemble {
    trees: Trees,
    targets: usize,
    base: Vec<f32>,
    post: PostTransform,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Regressor(Aggregate),
    /// `one_class`: two classes, weights for one of them only. `positive`: no weight below zero.
    Classifier {
        one_class: bool,
        positive: bool,
    },
}

impl Ensemble {
    /// Compiles a `TreeEnsembleRegressor`.
    pub(crate) fn regressor(attributes: &Attributes<'_>) -> Result<Self, OnnxError> {
        let targets = attributes.int("n_targets").unwrap_or(1);
        let targets = count(
            attributes,
            "n_targets",
            usize::try_from(targets).unwrap_or(0),
        )?;
        let aggregate = match attributes.text("aggregate_function", "SUM")?.as_str() {
            "SUM" => Aggregate::Sum,
            "AVERAGE" => Aggregate::Average,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            other => {
                return Err(
                    attributes.error(format!("aggregate_function {other} is not supported"))
                );
            }
        };
        Self::build(attributes, "target", targets, |_| {
            Kind::Regressor(aggregate)
        })
    }

    /// Compiles a `TreeEnsembleClassifier`.
    pub(crate) fn classifier(attributes: &Attributes<'_>) -> Result<Self, OnnxError> {
        let names = attributes.strings("classlabels_strings").len();
        let labels = if names > 0 {
            names
        } else {
            attributes.ints("classlabels_int64s").len()
        };
        let classes = count(attributes, "classlabels", labels)?;
        if classes == 1 {
            return Err(attributes.error("classlabels names one class, expected at least 2"));
        }
        Self::build(attributes, "class", classes, |weights| Kind::Classifier {
            one_class: classes == 2 && weights.windows(2).all(|w| w[0].target == w[1].target),
            positive: weights.iter().all(|w| w.value >= 0.0),
        })
    }

    fn build(
        attributes: &Attributes<'_>,
        prefix: &str,
        targets: usize,
        kind: impl FnOnce(&[Weight]) -> Kind,
    ) -> Result<Self, OnnxError> {
        let trees = Trees::compile(attributes, prefix, targets)?;
        let base = attributes.floats("base_values").to_vec();
        // What one base value means for several scores is said nowhere but for two classes.
        let one_for_two = base.len() == 1 && targets == 2 && prefix == "class";
        if !(base.is_empty() || base.len() == targets || one_for_two) {
            return Err(attributes.error(format!(
                "base_values has {} entries, expected none or {targets}",
                base.len()
            )));
        }
        let kind = kind(trees.weights());
        let post = post_transform(attributes)?;
        Ok(Self {
            trees,
            targets,
            base,
            post,
            kind,
        })
    }

    /// One more than the highest feature that is read.
    pub(crate) fn features(&self) -> usize {
        self.trees.features()
    }

    /// Scores of one row.
    pub(crate) fn columns(&self) -> usize {
        self.targets
    }

    /// Appends [`Ensemble::columns`] scores for each row of `width` values; `width` is at least
    /// [`Ensemble::features`].
    pub(crate) fn evaluate(&self, rows: &[f32], width: usize, out: &mut Vec<f32>) {
        let mut scores = Vec::with_capacity(self.targets);
        for row in rows.chunks_exact(width) {
            scores.clear();
            scores.resize(self.targets, Score::default());
            for tree in 0..self.trees.len() {
                self.add(&mut scores, self.trees.leaf(tree, row));
            }
            match self.kind {
                Kind::Regressor(aggregate) => self.finish_regression(aggregate, &scores, out),
                Kind::Classifier {
                    one_class,
                    positive,
                } => {
                    self.finish_classes(one_class, positive, &mut scores, out);
                }
            }
        }
    }

    fn add(&self, scores: &mut [Score], leaf: &[Weight]) {
        for weight in leaf {
            let score = &mut scores[weight.target as usize];
            score.value = match self.kind {
                Kind::Regressor(Aggregate::Min) if score.given => score.value.min(weight.value),
                Kind::Regressor(Aggregate::Max) if score.given => score.value.max(weight.value),
                _ => score.value + weight.value,
            };
            score.given = true;
        }
    }

    fn finish_regression(&self, aggregate: Aggregate, scores: &[Score], out: &mut Vec<f32>) {
        let start = out.len();
        for (i, score) in scores.iter().enumerate() {
            let value = match aggregate {
                Aggregate::Average => score.value / self.trees.len() as f32,
                _ => score.value,
            };
            let value = value + self.base.get(i).copied().unwrap_or(0.0);
            // Of several targets, one that no leaf speaks of gets no base value either.
            out.push(if scores.len() == 1 {
                value
            } else {
                score.or_zero(value)
            });
        }
        if scores.len() > 1 {
            self.post.apply(&mut out[start..]);
        }
    }

    fn finish_classes(
        &self,
        one_class: bool,
        positive: bool,
        scores: &mut [Score],
        out: &mut Vec<f32>,
    ) {
        let start = out.len();
        match &mut *scores {
            [first, second] => match self.base.as_slice() {
                [_, base] if second.given => {
                    // The first base value is not used here: onnxruntime takes both for the same.
                    second.value = base + first.value;
                    first.value = -second.value;
                }
                [base0, base1] => {
                    first.value += base0;
                    second.value += base1;
                }
                base => {
                    first.value += base.first().copied().unwrap_or(0.0);
                    if !second.given {
                        out.extend(self.two_from_one(first.value, one_class && positive));
                        return;
                    }
                }
            },
            many => {
                for (score, base) in many.iter_mut().zip(&self.base) {
                    score.value += base;
                    score.given = true;
                }
            }
        }
        out.extend(scores.iter().map(|s| s.or_zero(s.value)));
        self.post.apply(&mut out[start..]);
    }

    /// Two scores from the one of a binary classifier.
    fn two_from_one(&self, s: f32, is_probability: bool) -> [f32; 2] {
        if self.post == PostTransform::Logistic {
            [logistic(-s), logistic(s)]
        } else if is_probability {
            [1.0 - s, s]
        } else {
            [-s, s]
        }
    }
}

fn count(attributes: &Attributes<'_>, name: &str, found: usize) -> Result<usize, OnnxError> {
    if (1..=MAX_TARGETS).contains(&found) {
        return Ok(found);
    }
    Err(attributes.error(format!("{name} says {found}, expected 1 to {MAX_TARGETS}")))
}

fn post_transform(attributes: &Attributes<'_>) -> Result<PostTransform, OnnxError> {
    match attributes.text("post_transform", "NONE")?.as_str() {
        "NONE" => Ok(PostTransform::None),
        "LOGISTIC" => Ok(PostTransform::Logistic),
        "SOFTMAX" => Ok(PostTransform::Softmax),
        other => Err(attributes.error(format!(
            "post_transform {other} is not supported; supported are NONE, LOGISTIC and SOFTMAX"
        ))),
    }
}

impl PostTransform {
    fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|s| *s = logistic(*s)),
            Self::Softmax => softmax(scores),
        }
    }
}

/// `1 / (1 + e^-x)`, arranged so that the exponential never overflows.
fn logistic(x: f32) -> f32 {
    let v = 1.0 / (1.0 + (-x.abs()).exp());
    if x < 0.0 { 1.0 - v } else { v }
}

/// Shifted by the maximum, so that the exponentials never overflow.
fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(-f32::MAX, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|s| *s /= sum);
}
