//! Rows that the model refuses are found by cutting shards, which must have rows to cut between.

use super::View;
use crate::problem::code;

pub(super) fn check(view: &mut View<'_>) {
    if view.text("transform.on_refused_row") != Some("quarantine") {
        return;
    }
    let has_no_lines = super::shards::is_one_request(view)
        || matches!(
            view.text("transform.split_type"),
            Some("RecordIO" | "TFRecord")
        );
    if has_no_lines {
        let message =
            "`transform.on_refused_row: quarantine` cuts shards at their lines, and needs \
                       `split_type: line`"
                .to_owned();
        let help = "use `shards.format: csv` or `jsonl`, or leave it at `fail`";
        view.problem("transform.on_refused_row", code::CONFLICT, message, help);
    }
}
