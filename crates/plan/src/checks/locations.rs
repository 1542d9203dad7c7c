//! Locations that must not lie in one another.

use super::View;
use crate::limits::ROOM_UNDER_WORK;
use crate::problem::code;

pub(super) fn check(view: &mut View<'_>) {
    work_and_output(view);
    room_for_work(view);
    capture(view);
    inputs(view);
    stdin(view);
}

/// The location as a prefix: with a final `/`.
fn folder(text: &str) -> String {
    format!("{}/", text.trim_end_matches('/'))
}

fn work_and_output(view: &mut View<'_>) {
    let (Some(work), Some(to)) = (view.text("work.uri"), view.text("assemble.to")) else {
        return;
    };
    let (work, to) = (folder(work), folder(to));
    if !(work.starts_with(&to) || to.starts_with(&work)) {
        return;
    }
    let message = "`assemble.to` and `work.uri` must not lie in one another".to_owned();
    let help = "state and results need prefixes of their own";
    view.problem("assemble.to", code::OVERLAP, message, help);
}

/// A run's keys are longer than `work.uri`, and must be within what the service and S3 take.
fn room_for_work(view: &mut View<'_>) {
    let path = "work.uri";
    let most = view.limits.s3_uri_chars.saturating_sub(ROOM_UNDER_WORK);
    let Some(uri) = view.text(path).filter(|uri| uri.len() > most) else {
        return;
    };
    let message = format!(
        "`{path}` has {} bytes; at most {most} leave room for the names under it, since the \
         service takes {}",
        uri.len(),
        view.limits.s3_uri_chars
    );
    view.problem(path, code::BAD_VALUE, message, "use a shorter prefix");
}

/// Captured manifests are no part of a run's state or result.
fn capture(view: &mut View<'_>) {
    let path = "transform.data_capture_config.destination_s3_uri";
    let Some(capture) = view.text(path).map(folder) else {
        return;
    };
    for other in ["work.uri", "assemble.to"] {
        let Some(place) = view.text(other).map(folder) else {
            continue;
        };
        if capture.starts_with(&place) || place.starts_with(&capture) {
            let message = format!("`{path}` and `{other}` must not lie in one another");
            let help = "captured data needs a prefix of its own";
            view.problem(path, code::OVERLAP, message, help);
        }
    }
}

fn inputs(view: &mut View<'_>) {
    let one = view
        .text("source.uri")
        .map(|uri| ("source.uri".to_owned(), uri));
    let uris: Vec<(String, &str)> = one.into_iter().chain(view.texts("source.uri")).collect();
    for output in ["assemble.to", "work.uri", "shards.to"] {
        let Some(to) = view.text(output) else {
            continue;
        };
        for (at, uri) in &uris {
            if reads_what_is_written(uri, to) {
                let message = format!("`source.uri` would read what `{output}` writes");
                view.problem(
                    at,
                    code::OVERLAP,
                    message,
                    "input and output need places of their own",
                );
            }
        }
    }
}

/// The input lies under the output; or it takes everything under a prefix that holds the output.
fn reads_what_is_written(uri: &str, to: &str) -> bool {
    let literal = &uri[..uri.find(['*', '?', '[']).unwrap_or(uri.len())];
    let deep = uri.ends_with('/') || uri.contains("**");
    let (plain, to_folder) = (to.trim_end_matches('/'), folder(to));
    uri.trim_end_matches('/') == plain
        || literal.starts_with(&to_folder)
        || (deep && !literal.is_empty() && to_folder.starts_with(literal))
}

fn stdin(view: &mut View<'_>) {
    for (at, uri) in view.texts("source.uri") {
        if uri == "-" && view.items("source.uri").len() > 1 {
            let message = "`-` (standard input) must be the only input".to_owned();
            view.problem(&at, code::CONFLICT, message, "");
        }
    }
}
