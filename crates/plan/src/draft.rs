//! A spec and what was found to a plan.

mod jobs;

use crate::checks::fits_columns;
use crate::filter::{Filter, Records};
use crate::forecast::{forecast, shard_table};
use crate::launch::{self, JobInput, RunFacts, TransformRequest};
use crate::limits::Limits;
use crate::plan::{InputFile, Inventory, Plan, Roles, Sample, SourcePlan};
use crate::planner::{self, Basis};
use crate::problem::{Problem, Problems, code};
use crate::spec::{ColumnFrom, Columns, Join, Model, ShardFormat, Spec, Transform};
use crate::template::nearest;
use crate::tree::shorten;
use crate::waves::Waves;
use jobs::{Jobs, estimate, measure, over_budget, traffic, warnings};

/// What a run of this spec over these inputs does. Pure: the same in, the same out.
///
/// # Errors
/// Every column that the file names and the input, or its contract, does not have, with its
/// place.
pub fn draft(spec: &Spec, inventory: &Inventory, sample: &Sample) -> Result<Plan, Problems> {
    draft_on(spec, inventory, sample, &Basis::default())
}

/// The same with what is known beside the pipeline and its inputs.
///
/// # Errors
/// As [`draft`].
pub fn draft_on(
    spec: &Spec,
    inventory: &Inventory,
    sample: &Sample,
    basis: &Basis<'_>,
) -> Result<Plan, Problems> {
    let columns = roles(spec, &sample.columns)?;
    let measure = measure(inventory, sample, &columns);
    let settled = spec
        .transform
        .as_ref()
        .map(|transform| planner::settle(spec, transform, &measure, basis));
    let (transform, shards) = match &settled {
        Some(settled) => (Some(settled.transform.clone()), settled.shards.clone()),
        None => (None, spec.shards.clone()),
    };
    let jobs = settled.as_ref().map(|settled| Jobs {
        table: shard_table(&measure, &settled.layout, &settled.waves),
        forecast: forecast(
            settled,
            &measure,
            traffic(spec, inventory, sample, &columns, &measure),
            basis,
        ),
        settled,
    });
    let estimate = estimate(spec, &measure, &shards, jobs.as_ref());
    let over_budget = jobs
        .as_ref()
        .and_then(|jobs| over_budget(spec, &jobs.forecast));
    Ok(Plan {
        name: spec.name.clone(),
        params: spec.params.clone(),
        work: spec.work.clone(),
        source: source(spec, inventory, sample),
        prepare: spec.prepare.clone(),
        columns,
        max_record_bytes: transform
            .as_ref()
            .and_then(|t| Limits::payload_bytes(t.max_payload_in_mb)),
        assemble: spec.assemble.clone(),
        budget: spec.budget,
        waves: settled.as_ref().map_or_else(Waves::default, |s| s.waves),
        local: spec.local.as_ref().map(|local| local.model.clone()),
        base: spec.base.clone(),
        estimate,
        request: transform.as_ref().map(|transform| request(spec, transform)),
        warnings: warnings(spec, &measure, &estimate, jobs.as_ref()),
        settings: settled
            .as_ref()
            .map(|s| s.settings.clone())
            .unwrap_or_default(),
        choices: settled
            .as_ref()
            .map(|s| s.choices.clone())
            .unwrap_or_default(),
        shard_table: jobs.as_ref().map(|jobs| jobs.table.clone()),
        forecast: jobs.map(|jobs| jobs.forecast),
        over_budget,
        shards,
        transform,
    })
}

fn source(spec: &Spec, inventory: &Inventory, sample: &Sample) -> SourcePlan {
    let source = &spec.source;
    SourcePlan {
        uri: source.uri.clone(),
        inputs: inventory.inputs.clone(),
        bytes: total(&inventory.inputs),
        columns: source.columns.clone(),
        dialect: sample.dialect,
        null_tokens: source.null_tokens.clone(),
        max_record: source.max_record,
        on_bad_row: source.on_bad_row,
        on_empty: source.on_empty,
        limit_rows: inventory.limit_rows,
        format: source.format,
        encoding: source.encoding.clone(),
        on_new_column: source.on_new_column,
        ready: source.ready.clone(),
    }
}

fn total(inputs: &[InputFile]) -> u64 {
    inputs
        .iter()
        .fold(0, |sum, input| sum.saturating_add(input.size))
}

fn roles(spec: &Spec, names: &[String]) -> Result<Roles, Problems> {
    let prepare = &spec.prepare;
    let known = known(spec, names);
    let mut problems = missing(spec, names, &known);
    let shards = written(spec, &known);
    problems.extend(input_filter(spec, &shards));
    if shards.len() == usize::from(prepare.label.is_some()) + joined(spec).len() {
        let place = spec.places.of("prepare");
        let message = match prepare.label {
            Some(_) => "no column is left beside the label: all others are in `prepare.drop`",
            None => "no column is left: all of the input's are in `prepare.id` or `drop`",
        };
        problems.push(Problem::new(place, code::COLUMN, message));
    }
    if !problems.is_empty() {
        return Err(Problems(problems).sorted());
    }
    let mut carried = prepare.id.clone();
    for column in spec.assemble.iter().flat_map(|assemble| &assemble.columns) {
        if let ColumnFrom::Source { column } = &column.from
            && !carried.contains(column)
        {
            carried.push(column.clone());
        }
    }
    let never = |name: &&String| !shards.contains(name) && !carried.contains(name);
    let never_sent = names.iter().filter(never).cloned().collect();
    Ok(Roles {
        shards,
        ids: prepare.id.clone(),
        carried,
        never_sent,
    })
}

/// The input's columns that can be used. One that is new to the contract is not: nothing is known
/// about it, and unasked it would move the columns that a model tells by their position.
fn known(spec: &Spec, names: &[String]) -> Vec<String> {
    let Columns::Contract(contract) = &spec.source.columns else {
        return names.to_vec();
    };
    let agreed = |name: &&String| contract.iter().any(|column| column.name == **name);
    names.iter().filter(agreed).cloned().collect()
}

/// The ids that the service joins.
fn joined(spec: &Spec) -> &[String] {
    let server = spec.transform.as_ref().map(|t| t.join) == Some(Join::Server);
    let ids = server.then_some(spec.prepare.id.as_slice());
    ids.unwrap_or_default()
}

/// The columns of the shards in order: ids that the service joins, the label, then the selected ones, or all that are neither
/// ids nor dropped.
fn written(spec: &Spec, names: &[String]) -> Vec<String> {
    let prepare = &spec.prepare;
    let label = prepare.label.as_ref().map(|label| &label.column);
    let kept = |name: &&String| match &prepare.select {
        Some(_) => true,
        None => !prepare.id.contains(name) && !prepare.drop.contains(name),
    };
    let others = prepare.select.as_deref().unwrap_or(names).iter();
    let others = others.filter(kept).filter(|name| Some(*name) != label);
    let ids = joined(spec).iter();
    ids.chain(label).chain(others).cloned().collect()
}

/// A problem for each name that the input, or its contract, does not have.
fn missing(spec: &Spec, names: &[String], known: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, name) in named(spec) {
        if known.iter().any(|known| known == name) {
            continue;
        }
        if names.iter().any(|new| new == name) {
            let message = format!("`{}` is not in the contract", shorten(name));
            let help = "a column that is new to the contract is not used: add it there";
            let place = spec.places.of(&path);
            problems.push(Problem::new(place, code::NO_SUCH_COLUMN, message).help(help));
            continue;
        }
        let message = format!("the input has no column `{}`", shorten(name));
        let help = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", shorten(&names.join(", "))),
        };
        let place = spec.places.of(&path);
        problems.push(Problem::new(place, code::NO_SUCH_COLUMN, message).help(help));
    }
    problems
}

/// Every source column that the file names, with its path there.
fn named(spec: &Spec) -> Vec<(String, &str)> {
    let prepare = &spec.prepare;
    let mut named = Vec::new();
    let lists = [
        ("prepare.id", prepare.id.as_slice()),
        (
            "prepare.select",
            prepare.select.as_deref().unwrap_or_default(),
        ),
        ("prepare.drop", prepare.drop.as_slice()),
    ];
    for (path, list) in lists {
        named.extend(
            list.iter()
                .enumerate()
                .map(|(i, name)| (format!("{path}[{i}]"), name.as_str())),
        );
    }
    named.extend(
        prepare
            .rename
            .keys()
            .map(|name| (format!("prepare.rename.{name}"), name.as_str())),
    );
    if let Some(label) = &prepare.label {
        named.push(("prepare.label.column".to_owned(), label.column.as_str()));
    }
    let keys = prepare.split.iter().flat_map(|split| &split.key);
    named.extend(
        keys.enumerate()
            .map(|(i, name)| (format!("prepare.split.key[{i}]"), name.as_str())),
    );
    let columns = spec
        .assemble
        .iter()
        .flat_map(|assemble| assemble.columns.iter().enumerate());
    for (i, column) in columns {
        if let ColumnFrom::Source { column } = &column.from
            && !prepare.id.contains(column)
        {
            named.push((format!("assemble.columns[{i}].from"), column.as_str()));
        }
    }
    named
}

/// The request with `<…>` in place of what only a run knows.
fn request(spec: &Spec, transform: &Transform) -> TransformRequest {
    let work = spec
        .work
        .as_ref()
        .map(|work| work.uri.as_str())
        .unwrap_or_default();
    let model_name = match &transform.model {
        Model::Named(name) => name.clone(),
        Model::Defined(_) => "<created for the run>".into(),
    };
    let run = RunFacts {
        run_id: "<run id>".into(),
        work_uri: work.to_owned(),
        fingerprint: "<fingerprint>".into(),
        wave: None,
        attempt: 1,
        model_name,
        input: JobInput::Prefix(format!("{work}runs/<run id>/shards/<fingerprint>/")),
        output: format!("{work}runs/<run id>/out/a1/"),
    };
    let job = format!(
        "{}-<hash>-a1",
        launch::api_name(&spec.name, launch::NAME_IN_JOB)
    );
    launch::request(transform, job, &run)
}

/// An input filter that asks for what the shards, now that their columns are known, do not have.
fn input_filter(spec: &Spec, shards: &[String]) -> Option<Problem> {
    let processing = spec.transform.as_ref()?.data_processing.as_ref()?;
    let text = processing.input_filter.as_deref()?;
    let filter = Filter::parse(text, &Limits::default()).ok()?;
    let records = match spec.shards.format {
        ShardFormat::Parquet => return None,
        format if format.is_csv() => Records::Csv,
        _ => Records::JsonLines,
    };
    let wrong = fits_columns(&filter, records, shards).err()?;
    let path = "transform.data_processing.input_filter";
    let place = spec.places.in_text(path, text, wrong.at);
    let message = format!("`{path}`: `{}`: {wrong}", shorten(text));
    Some(Problem::new(place, code::FILTER, message).help(wrong.help))
}
