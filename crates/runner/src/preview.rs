//! What a run would do: the `plan` verb. Reads the beginning of the input; writes nothing.

use std::path::Path;

use gristmill_cloud::{Cloud, CloudConfig};
use gristmill_plan::{Location, Plan, RunIdentity};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::inventory::{self, blocking};
use crate::pipeline::{self, Known};
use crate::ready;
use crate::run::{RunRequest, resolve};
use crate::services::{self, Local};

/// Where the embedded services say that they are.
const LOCAL_REGION: &str = "us-east-1";

/// The plan of a request.
///
/// # Errors
/// `Usage` and `Pipeline` as `run`; `NoInput` when nothing matches; the data's and the store's.
pub async fn preview(request: &RunRequest) -> Result<Plan, RunError> {
    let doc = gristmill_plan::parse(&request.file.text, &request.file.path)?;
    let spec = resolve(request, &doc, request.now, RunIdentity::default())?;
    if spec.source.uri.contains(&Location::Stdin) {
        return Err(RunError::new(
            ExitCode::Usage,
            "the standard input cannot be looked at before it is read",
        )
        .with_help("put the data into a file to plan for it"));
    }
    let remote = spec.source.uri.iter().any(|l| matches!(l, Location::S3(_)));
    let cloud = if remote {
        connect(request, &spec).await?
    } else {
        None
    };
    let store = cloud.as_ref().map(Cloud::store);
    let patterns: Vec<String> = spec.source.uri.iter().map(ToString::to_string).collect();
    let files = inventory::list(&patterns, store.as_ref(), &[]).await?;
    let unready = ready::missing(&spec, store.as_ref()).await?;
    if files.is_empty() {
        let error = RunError::new(ExitCode::NoInput, "nothing matches source.uri");
        return Err(match unready.as_slice() {
            [] => error,
            [marker, ..] => {
                error.with_help(format!("the input may not be ready: {marker} is not there"))
            }
        });
    }
    let inputs = inventory::open(
        &files,
        store.as_ref(),
        pipeline::told(&spec),
        &std::env::temp_dir(),
    );
    let planned = pipeline::plan_inventory(&files, request.limit_rows);
    let known = Known {
        frozen: None,
        prices: request.prices.clone(),
        rows_per_second: request.rows_per_second,
        region: store
            .and_then(|store| store.region())
            .or_else(|| region(request)),
    };
    let drafted = blocking(move || {
        let drafted = pipeline::draft(&spec, &planned, &inputs, &known)?;
        Ok(drafted.map(|(plan, _, header)| (plan, pipeline::new_columns(&spec, &header))))
    })
    .await?;
    let (mut plan, new) = drafted.ok_or_else(|| {
        let name = files.first().map(|f| f.uri.clone()).unwrap_or_default();
        RunError::new(ExitCode::NoInput, format!("{name} is empty"))
    })?;
    plan.warnings.extend(new);
    plan.warnings.extend(unready.iter().map(|m| not_ready(m)));
    Ok(plan)
}

/// The region of the embedded services, or what the environment says: a plan of local files asks
/// nobody.
fn region(request: &RunRequest) -> Option<String> {
    if request.local {
        return Some(LOCAL_REGION.to_owned());
    }
    let set = |name| request.env.get(name).filter(|text| !text.is_empty());
    set("AWS_REGION")
        .or_else(|| set("AWS_DEFAULT_REGION"))
        .cloned()
}

fn not_ready(marker: &str) -> String {
    format!(
        "the input is not ready: {marker} is not there, and a run waits for it; this plan is of what lies \
         there now"
    )
}

async fn connect(
    request: &RunRequest,
    spec: &gristmill_plan::Spec,
) -> Result<Option<Cloud>, RunError> {
    if !request.local {
        return Ok(Some(Cloud::connect(CloudConfig::default()).await?));
    }
    let work_dir: &Path = &request.work_dir;
    let local = Local {
        program: &request.program,
        work_dir,
        map: &request.local_map,
    };
    services::connect(spec, Some(&local)).await
}
