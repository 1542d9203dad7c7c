//! `transform.join: server`: the service's own join instead of ours. Ids go up with a shard, first in
//! each record; the service keeps them from the model and puts them before its answer.
//!
//! What is stored is the ids and the last columns of the joined record, as in the developer guide's
//! own example (`InputFilter: $[1:]`, `OutputFilter: $[0,-1]`, `batch-transform-data-processing`). So
//! how many columns an answer has must be known. Only open ranges and lists are used, of which all
//! sources say the same.

use crate::spec::{Assemble, ColumnFrom, DataProcessing, JoinSource};

/// The filters and the join for so many ids and columns of an answer.
#[must_use]
pub fn processing(ids: usize, answers: usize) -> DataProcessing {
    DataProcessing {
        input_filter: Some(format!("$[{ids}:]")),
        output_filter: Some(output_filter(ids, answers)),
        join_source: JoinSource::Input,
    }
}

/// `$[0,…,k-1,-m,…,-1]`.
pub(crate) fn output_filter(ids: usize, answers: usize) -> String {
    let first = (0..ids).map(|i| i.to_string());
    let last = (1..=answers).rev().map(|i| format!("-{i}"));
    let places: Vec<String> = first.chain(last).collect();
    format!("$[{}]", places.join(","))
}

/// Columns of an answer that `assemble` takes something from, and those before them.
pub(crate) fn taken(assemble: Option<&Assemble>) -> usize {
    let columns = assemble.iter().flat_map(|a| &a.columns);
    let ends = columns.filter_map(|column| match &column.from {
        ColumnFrom::Prediction { index, .. } => Some(index + 1),
        _ => None,
    });
    ends.max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::filter::{Filter, Records};
    use crate::limits::Limits;

    #[test]
    fn the_developer_guides_example() {
        let processing = processing(1, 1);
        assert_eq!(processing.input_filter.as_deref(), Some("$[1:]"));
        assert_eq!(processing.output_filter.as_deref(), Some("$[0,-1]"));
        assert_eq!(output_filter(3, 2), "$[0,1,2,-2,-1]");
    }

    #[test]
    fn the_service_can_apply_what_is_made() {
        for (ids, answers) in [(1, 1), (2, 3), (12, 10)] {
            let made = processing(ids, answers);
            for text in [made.input_filter.unwrap(), made.output_filter.unwrap()] {
                let filter = Filter::parse(&text, &Limits::default()).unwrap();
                assert_eq!(
                    (filter.fits(Records::Csv), filter.to_string()),
                    (Ok(()), text)
                );
            }
        }
    }
}
