//! Whether the stores that a run writes to keep what it rests on, asked before it writes anything.

use std::collections::BTreeSet;

use gristmill_cloud::{Cloud, Lack, S3Uri};
use gristmill_plan::{Location, Spec};

use crate::error::RunError;
use crate::exit_code::ExitCode;

/// Probes each bucket that the run will write to, once. Gives what is to be said about lacks that a
/// run can live with. AWS is not asked: it does all of it.
///
/// # Errors
/// `Failure` where a store lacks what results rest on. Neither the pipeline's file (78) nor the
/// moment (75) is to blame, and no other code fits: the place is unfit. The store's own errors.
pub(crate) async fn check(spec: &Spec, cloud: &Cloud) -> Result<Vec<String>, RunError> {
    let mut remarks = Vec::new();
    if cloud.is_aws() {
        return Ok(remarks);
    }
    let store = cloud.store();
    for place in written_places(spec)? {
        let found = store.probe(&place).await?;
        let (fatal, stated): (Vec<Lack>, Vec<Lack>) =
            found.missing().into_iter().partition(|lack| lack.fatal);
        let who = format!(
            "the S3 at {} (bucket {})",
            cloud.s3_endpoint().unwrap_or("an endpoint without a name"),
            place.bucket
        );
        if !fatal.is_empty() {
            return Err(unfit(&who, &fatal));
        }
        remarks.extend(
            stated
                .iter()
                .map(|lack| format!("{who} {}: {}", lack.what, lack.why)),
        );
    }
    Ok(remarks)
}

fn unfit(who: &str, lacks: &[Lack]) -> RunError {
    let each: Vec<String> = lacks
        .iter()
        .map(|lack| format!("it {}: {}", lack.what, lack.why))
        .collect();
    RunError::new(
        ExitCode::Failure,
        format!(
            "{who} cannot keep a run: {}; nothing was written",
            each.join("; ")
        ),
    )
    .with_help(
        "use a store with conditional writes (Amazon S3, or a server that implements them) by \
         AWS_ENDPOINT_URL_S3, update this one, or try the pipeline with --local",
    )
}

/// A folder in each bucket that is written to; the run's own rather than that of its results.
fn written_places(spec: &Spec) -> Result<Vec<S3Uri>, RunError> {
    let in_s3 = |location: &Location| match location {
        Location::S3(uri) => Some(uri.clone()),
        _ => None,
    };
    let results = [
        spec.assemble.as_ref().map(|a| &a.to),
        spec.shards.to.as_ref(),
    ];
    let results = results.into_iter().flatten().filter_map(in_s3);
    let work = spec.work.as_ref().map(|w| w.uri.clone());
    let mut seen = BTreeSet::new();
    let mut places = Vec::new();
    for uri in work.into_iter().chain(results) {
        let uri = S3Uri::parse(&uri)?;
        if seen.insert(uri.bucket.clone()) {
            places.push(uri);
        }
    }
    Ok(places)
}
