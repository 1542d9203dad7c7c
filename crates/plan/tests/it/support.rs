use std::path::Path;

use gristmill_plan::plan::InputFile;
use gristmill_plan::planner::Basis;
use gristmill_plan::spec::Dialect;
use gristmill_plan::{
    Context, Inventory, Plan, ResolveError, Sample, Spec, Timestamp, draft, draft_on, parse,
    resolve, validate,
};

/// A whole pipeline without a mistake. Tests replace lines of it.
pub(crate) const FINE: &str = "\
version: 1
name: late-flights
params:
  run_date: { type: date, default: 2013-01-31 }
work:
  uri: s3://work-bucket/runs/
source:
  uri: data/*.csv
prepare:
  id: [flight]
  select: [month, day, distance]
shards:
  format: csv
transform:
  model: late-v1
  instance_type: ml.m5.xlarge
assemble:
  to: s3://scores/dt={{ params.run_date }}/
local:
  model: { onnx: late.onnx }
";

/// `FINE` with replacements, each of which must occur exactly once.
pub(crate) fn edited(edits: &[(&str, &str)]) -> String {
    let mut text = FINE.to_owned();
    for (from, to) in edits {
        assert_eq!(text.matches(from).count(), 1, "`{from}` must be there once");
        text = text.replacen(from, to, 1);
    }
    text
}

/// The files beside the pipeline.
fn file(path: &Path) -> Result<String, String> {
    match path.to_str() {
        Some("/pipes/contracts/flights.yaml" | "/pipes/contracts/copy.yaml") => {
            Ok(CONTRACT.to_owned())
        }
        Some("/pipes/contracts/wider.yaml") => Ok(CONTRACT.replace("max: 12", "max: 13")),
        Some("/pipes/nightly/wrong.yaml") => Ok(WRONG_CONTRACT.to_owned()),
        _ => Err("no such file".into()),
    }
}

const CONTRACT: &str = "\
# Flights.
- { name: month, type: int64, min: 1, max: 12 }
- { name: day, type: int64 }
- { name: flight, type: int64, nullable: false }
- { name: distance, type: float64 }
- { name: tailnum, type: string, null_tokens: ['{{ x }}'], sensitive: true }
";

const WRONG_CONTRACT: &str = "\
- { name: a, type: int64, min: 9, max: 0 }
- { name: a, type: text, kind: x }
- { type: date }
";

/// Every problem of a text as a user reads them.
pub(crate) fn problems(text: &str) -> String {
    let list = validate(text, "p.yaml", Path::new("/pipes/nightly"), &file);
    list.iter()
        .map(|p| format!("[{}] {p}", p.code))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every problem of `FINE` with replacements.
pub(crate) fn problems_of(edits: &[(&str, &str)]) -> String {
    problems(&edited(edits))
}

pub(crate) fn context(params: &[(&str, &str)]) -> Context<'static> {
    let now: Timestamp = "2026-11-21T23:30:00Z".parse().unwrap();
    let mut context = Context::new(now, "/pipes/nightly");
    context.params = params
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    context.read = &file;
    context.run.id = "r-1".into();
    context.run.key = "late-flights-0123456789ab".into();
    context
}

pub(crate) fn try_spec(text: &str, params: &[(&str, &str)]) -> Result<Spec, ResolveError> {
    let doc = parse(text, "p.yaml").map_err(ResolveError::from)?;
    resolve(&doc, &context(params))
}

pub(crate) fn spec(edits: &[(&str, &str)]) -> Spec {
    try_spec(&edited(edits), &[]).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn inventory() -> Inventory {
    let file = |name: &str, size| InputFile {
        uri: format!("/pipes/nightly/data/{name}"),
        size,
        etag: Some(format!("sha256:{name}")),
    };
    Inventory {
        inputs: vec![file("a.csv", 600_000), file("b.csv", 400_000)],
        limit_rows: None,
    }
}

pub(crate) fn sample() -> Sample {
    let columns = ["month", "day", "flight", "distance", "tailnum"];
    Sample {
        columns: columns.map(String::from).to_vec(),
        dialect: Dialect::default(),
        rows: 100,
        bytes: 5_000,
        stored_bytes: 5_000,
        largest_record: 60,
    }
}

/// What a later attempt of the run of `plan(&[])` does once the file is edited.
pub(crate) fn plan_again(edits: &[(&str, &str)]) -> Plan {
    let first = plan(&[]).choices;
    let basis = Basis {
        frozen: Some(&first),
        ..Basis::default()
    };
    draft_on(&spec(edits), &inventory(), &sample(), &basis)
        .unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn plan(edits: &[(&str, &str)]) -> Plan {
    draft(&spec(edits), &inventory(), &sample()).unwrap_or_else(|error| panic!("{error}"))
}
