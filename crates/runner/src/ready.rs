//! `source.ready`: an input that is still being written passes every count, so its writer says with a
//! marker that it is complete.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use gristmill_cloud::{Cloud, S3Uri, Store};
use gristmill_plan::{Location, Spec, format_duration};

use crate::error::RunError;
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::inventory::has_wildcard;
use crate::session::Session;

/// The first pause between two looks; each is half as long again as the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// The longest pause: two hours take some 730 requests a marker.
const PAUSE_MOST: Duration = Duration::from_secs(10);

/// Returns once the markers of all inputs are there. Without `wait`, and under `--no-wait`, it looks
/// once.
///
/// # Errors
/// Temporary, naming the marker that is missing; the interruption; the store's.
pub(crate) async fn until_ready(session: &Session) -> Result<(), RunError> {
    let Some(ready) = &session.spec.source.ready else {
        return Ok(());
    };
    let wait = ready.wait.filter(|_| !session.no_wait).unwrap_or(0);
    let begun = Instant::now();
    let mut pause = PAUSE_FIRST;
    for marker in markers(&session.spec.source.uri, &ready.marker) {
        let mut told = false;
        let store = session.cloud.as_ref().map(Cloud::store);
        while !session
            .cancel
            .guard(is_there(store.as_ref(), &marker))
            .await?
        {
            let left = Duration::from_secs(wait).saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(not_ready(&marker, wait));
            }
            if !told {
                told = true;
                let limit = format_duration(wait);
                let message = format!("waiting for {marker}, for {limit} at most");
                session.note(Level::Info, message);
            }
            let sleeping = async {
                tokio::time::sleep(pause.min(left)).await;
                Ok::<(), RunError>(())
            };
            session.cancel.guard(sleeping).await?;
            pause = (pause * 3 / 2).min(PAUSE_MOST);
        }
    }
    Ok(())
}

/// The markers of all patterns, each once.
fn markers(patterns: &[Location], marker: &str) -> BTreeSet<String> {
    let folders = patterns.iter().filter_map(folder);
    folders.map(|folder| format!("{folder}{marker}")).collect()
}

/// What a pattern names before its first wildcard, up to and with the last slash.
fn folder(pattern: &Location) -> Option<String> {
    let text = match pattern {
        Location::Stdin => return None,
        Location::S3(uri) => uri.clone(),
        Location::Local(path) => path.display().to_string(),
    };
    let literal = match pattern {
        Location::Local(path) if path.exists() => text.len(),
        _ if has_wildcard(&text) => text.find(['*', '?', '[']).unwrap_or(text.len()),
        _ => text.len(),
    };
    let end = text[..literal].rfind('/').map_or(0, |i| i + 1);
    Some(text[..end].to_owned())
}

/// The markers that are not there now.
///
/// # Errors
/// The disk's or the store's.
pub(crate) async fn missing(spec: &Spec, store: Option<&Store>) -> Result<Vec<String>, RunError> {
    let Some(ready) = &spec.source.ready else {
        return Ok(Vec::new());
    };
    let mut missing = Vec::new();
    for marker in markers(&spec.source.uri, &ready.marker) {
        if !is_there(store, &marker).await? {
            missing.push(marker);
        }
    }
    Ok(missing)
}

async fn is_there(store: Option<&Store>, marker: &str) -> Result<bool, RunError> {
    if !marker.starts_with("s3://") {
        let path = Path::new(marker);
        let there = tokio::fs::try_exists(path).await;
        return there.map_err(|e| RunError::io("look for the marker", path, e));
    }
    let store = store.ok_or_else(|| RunError::bug("an S3 source without a store"))?;
    let meta = store.head(&S3Uri::parse(marker)?).await?;
    Ok(meta.is_some())
}

fn not_ready(marker: &str, waited: u64) -> RunError {
    let after = match waited {
        0 => String::new(),
        seconds => format!(" after {}", format_duration(seconds)),
    };
    RunError::new(
        ExitCode::Temporary,
        format!("the input is not ready: {marker} is not there{after}"),
    )
    .with_help(
        "whoever writes the input puts it there last: call again then, or give source.ready.wait \
         more time",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_marker_lies_beside_what_the_pattern_names() {
        let s3 = |uri: &str| Location::S3(uri.into());
        let of = |patterns: &[Location]| -> Vec<String> {
            markers(patterns, "_SUCCESS").into_iter().collect()
        };
        for (pattern, marker) in [
            ("s3://raw/dt=1/*.csv.gz", "s3://raw/dt=1/_SUCCESS"),
            ("s3://raw/dt=1/part-*.csv", "s3://raw/dt=1/_SUCCESS"),
            ("s3://raw/dt=1/", "s3://raw/dt=1/_SUCCESS"),
            ("s3://raw/dt=1/all.csv", "s3://raw/dt=1/_SUCCESS"),
            ("s3://raw/*/part.csv", "s3://raw/_SUCCESS"),
            ("s3://raw/*.csv", "s3://raw/_SUCCESS"),
        ] {
            assert_eq!(of(&[s3(pattern)]), [marker], "{pattern}");
        }
        let local = Location::Local("/data/in/*.csv".into());
        assert_eq!(of(&[local]), ["/data/in/_SUCCESS"]);
        let both = [
            s3("s3://a/x/*.csv"),
            s3("s3://a/x/*.gz"),
            s3("s3://a/y/"),
            Location::Stdin,
        ];
        assert_eq!(of(&both), ["s3://a/x/_SUCCESS", "s3://a/y/_SUCCESS"]);
    }
}
