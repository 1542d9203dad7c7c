//! A spec and what was found to a plan.

use crate::checks::fits_columns;
use crate::filter::{Filter, Records};
use crate::launch::{self, JobInput, RunFacts, TransformRequest};
use crate::limits::Limits;
use crate::plan::{Estimate, InputFile, Inventory, Plan, Roles, Sample, SourcePlan};
use crate::problem::{Problem, Problems, code};
use crate::spec::{
    BatchStrategy, ColumnFrom, Columns, Jobs, Join, Model, ShardFormat, Spec, SplitType, Transform,
};
use crate::template::nearest;
use crate::tree::shorten;
use crate::waves::Waves;

/// What a run of this spec over these inputs does. Pure: the same in, the same out.
///
/// # Errors
/// Every column that the file names and the input, or its contract, does not have, with its
/// place.
pub fn draft(spec: &Spec, inventory: &Inventory, sample: &Sample) -> Result<Plan, Problems> {
    let columns = roles(spec, &sample.columns)?;
    let payload = spec.transform.as_ref().map(|t| t.max_payload_in_mb);
    let estimate = estimate(spec, inventory, sample, &columns);
    Ok(Plan {
        name: spec.name.clone(),
        params: spec.params.clone(),
        work: spec.work.clone(),
        source: source(spec, inventory, sample),
        prepare: spec.prepare.clone(),
        columns,
        shards: spec.shards.clone(),
        max_record_bytes: payload.and_then(Limits::payload_bytes),
        transform: spec.transform.clone(),
        assemble: spec.assemble.clone(),
        budget: spec.budget,
        waves: Waves::of(jobs(spec), estimate.shards),
        local: spec.local.as_ref().map(|local| local.model.clone()),
        base: spec.base.clone(),
        estimate,
        request: request(spec),
        warnings: warnings(spec, &estimate),
    })
}

fn jobs(spec: &Spec) -> u32 {
    match spec.transform.as_ref().map(|transform| transform.jobs) {
        Some(Jobs::Number(n)) => n,
        Some(Jobs::Auto) | None => 1,
    }
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

fn estimate(spec: &Spec, inventory: &Inventory, sample: &Sample, columns: &Roles) -> Estimate {
    let stored = u128::from(sample.stored_bytes.max(1));
    let rows = u128::from(total(&inventory.inputs)) * u128::from(sample.rows) / stored;
    let rows = u64::try_from(rows)
        .unwrap_or(u64::MAX)
        .min(inventory.limit_rows.unwrap_or(u64::MAX));
    let share =
        |bytes: u128| bytes * columns.shards.len() as u128 / sample.columns.len().max(1) as u128;
    let bytes = u128::from(rows) * share(u128::from(sample.bytes)) / u128::from(sample.rows.max(1));
    let shard_bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let by = |total: u64, each: Option<u64>| each.map_or(1, |each| total.div_ceil(each.max(1)));
    let cut = |share: f64| {
        by(share_of(shard_bytes, share), spec.shards.max_bytes)
            .max(by(share_of(rows, share), spec.shards.max_rows))
    };
    let shards = match &spec.prepare.split {
        Some(split) => split.parts.iter().map(|(_, share)| cut(*share)).sum(),
        None => cut(1.0),
    };
    // A part without rows has a file all the same; a shard without rows there is none.
    let shards = if rows == 0 || spec.prepare.split.is_none() {
        shards.min(rows)
    } else {
        shards
    };
    let instances = spec.transform.as_ref().map_or(0, |t| t.instance_count);
    let busy = instances.min(u32::try_from(shards).unwrap_or(u32::MAX));
    Estimate {
        rows,
        shard_bytes,
        shards,
        requests: spec
            .transform
            .as_ref()
            .map_or(0, |t| requests(t, rows, shards, shard_bytes)),
        instances_busy: busy,
        instances_idle: instances - busy,
        max_jobs: spec.transform.as_ref().map_or(0, Transform::max_jobs)
            + jobs(spec).saturating_sub(1),
    }
}

/// A part of a number, for people: beyond 2⁵³ not to the last digit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a guess; shares are between 0 and 1"
)]
fn share_of(n: u64, share: f64) -> u64 {
    (n as f64 * share).ceil() as u64
}

fn requests(transform: &Transform, rows: u64, shards: u64, bytes: u64) -> u64 {
    match (transform.split_type, transform.batch_strategy) {
        (SplitType::None, _) => shards,
        (_, Some(BatchStrategy::SingleRecord)) => rows,
        _ => {
            let payload = Limits::payload_bytes(transform.max_payload_in_mb).unwrap_or(u64::MAX);
            shards.max(bytes.div_ceil(payload))
        }
    }
}

/// The request with `<…>` in place of what only a run knows.
fn request(spec: &Spec) -> Option<TransformRequest> {
    let transform = spec.transform.as_ref()?;
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
    Some(launch::request(transform, job, &run))
}

/// The file's own first, each with its place.
fn warnings(spec: &Spec, estimate: &Estimate) -> Vec<String> {
    let sentence = |p: &Problem| match &p.help {
        Some(help) => format!("{}: {}; {help}", p.place, p.message),
        None => format!("{}: {}", p.place, p.message),
    };
    let mut warnings: Vec<String> = spec.warnings.iter().map(sentence).collect();
    if let Some(transform) = spec
        .transform
        .as_ref()
        .filter(|_| estimate.instances_idle > 0)
    {
        warnings.push(format!(
            "{} of {} instances would be paid for doing nothing: about {} shards for them all",
            estimate.instances_idle, transform.instance_count, estimate.shards
        ));
    }
    warnings
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
