//! `validate --against`: a pipeline held to a file of data, with nothing written and nobody called.

use std::collections::BTreeSet;
use std::path::Path;

use gristmill_plan::problem::code;
use gristmill_plan::spec::{Columns, ContractColumn, OnBadRow, OnNewColumn};
use gristmill_plan::{InputFile, Inventory, Problem, Problems, RunIdentity, Sample, Spec};
use gristmill_tabular::{BadRow, Checked, Dialect, Input, LABEL_MAP, Layout, check};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::pipeline::told;
use crate::run::{RunRequest, resolve};
use crate::sample;
use crate::stages::{convert, source};
use crate::words::{counted, grouped};

/// How many bad rows are told one by one.
const SHOWN: usize = 20;

/// What of the pipeline does not fit the data in `file`, which is read whole, and what of the data
/// does not keep the pipeline's contract (code `data`): each at its place in the pipeline. Columns
/// that are named and not there, columns that the contract does not know, rows that cannot be read
/// or break the contract, texts that the label's map lacks. What `source.uri` says does not count.
///
/// # Errors
/// `Usage` and `Pipeline` as [`run`](crate::run()); `NoInput` when the file is not there or empty;
/// the disk's.
pub fn against(request: &RunRequest, file: &Path) -> Result<Vec<Problem>, RunError> {
    let doc = gristmill_plan::parse(&request.file.text, &request.file.path)?;
    let spec = resolve(request, &doc, request.now, RunIdentity::default())?;
    let input = input(&spec, file)?;
    match held(&spec, request, file, input) {
        // Data that cannot be read to its end is one more thing that is wrong with it.
        Err(error) if error.exit == ExitCode::Data => Ok(vec![data_problem(
            &spec,
            "source.uri",
            error.message,
            error.help,
        )]),
        other => other,
    }
}

fn input(spec: &Spec, file: &Path) -> Result<Input, RunError> {
    let meta = std::fs::metadata(file).map_err(|e| {
        RunError::new(
            ExitCode::NoInput,
            format!("cannot read --against {}: {e}", file.display()),
        )
        .with_help("give the path of a data file")
    })?;
    if !meta.is_file() || meta.len() == 0 {
        let what = if meta.is_file() {
            "is empty"
        } else {
            "is not a file"
        };
        return Err(RunError::new(
            ExitCode::NoInput,
            format!("--against {}: it {what}", file.display()),
        )
        .with_help("give the path of a data file"));
    }
    let told = told(spec);
    let input = match told.layout {
        Some(layout) => Input::file_as(file, layout),
        None => Input::file(file),
    };
    Ok(input.with_encoding(told.encoding))
}

fn held(
    spec: &Spec,
    request: &RunRequest,
    file: &Path,
    input: Input,
) -> Result<Vec<Problem>, RunError> {
    // The contract is held against the header here, so that all of its columns are told at once.
    let mut lenient = spec.clone();
    lenient.source.columns = Columns::Text;
    let inputs = [input];
    let Some((mut sample, dialect)) = sample::look(&lenient, &inputs)? else {
        return Err(RunError::new(
            ExitCode::NoInput,
            format!("--against {} is empty", file.display()),
        ));
    };
    // A key that no line of JSON has is null in all of them.
    let any_keys = inputs[0].layout == Layout::JsonLines;
    let missing = missing(spec, &sample);
    let mut problems = Vec::new();
    if !any_keys && !missing.is_empty() {
        problems.push(missing_columns(spec, file, &missing, &sample.columns));
    }
    problems.extend(new_columns(spec, file, &sample.columns));
    // What the contract has is the data's fault, and told above.
    let header = sample.columns.clone();
    sample.columns.extend(missing.iter().cloned());
    let named = named(spec, file, &sample);
    let label = named.is_empty().then_some(spec.prepare.label.as_ref());
    let label = label
        .flatten()
        .filter(|l| any_keys || !missing.contains(&l.column));
    let rows = Rows {
        dialect,
        header: if any_keys { sample.columns } else { header },
        label: label.map(convert::label),
    };
    let checked = rows.check(spec, request, &inputs)?;
    let mut all = Problems(named).sorted().0;
    all.append(&mut problems);
    all.extend(bad_rows(spec, &checked));
    Ok(all)
}

/// The columns of the contract that the data lacks.
fn missing(spec: &Spec, sample: &Sample) -> Vec<String> {
    let lacks = |column: &&ContractColumn| !sample.columns.contains(&column.name);
    let names = contract(spec).iter().filter(lacks);
    names.map(|column| column.name.clone()).collect()
}

fn contract(spec: &Spec) -> &[ContractColumn] {
    match &spec.source.columns {
        Columns::Contract(columns) => columns,
        Columns::Infer | Columns::Text => &[],
    }
}

fn missing_columns(spec: &Spec, file: &Path, missing: &[String], header: &[String]) -> Problem {
    let message = format!(
        "{}: the contract's {} not there: {}",
        file.display(),
        if missing.len() == 1 {
            "column is"
        } else {
            "columns are"
        },
        listed(missing)
    );
    let help = format!(
        "the file has {}; mend the data, or the contract",
        listed(header)
    );
    data_problem(spec, "source.columns", message, Some(help))
}

/// What `on_new_column: fail` has to say.
fn new_columns(spec: &Spec, file: &Path, header: &[String]) -> Option<Problem> {
    let known: BTreeSet<&str> = contract(spec).iter().map(|c| c.name.as_str()).collect();
    if known.is_empty() || spec.source.on_new_column != OnNewColumn::Fail {
        return None;
    }
    let new = header.iter().filter(|name| !known.contains(name.as_str()));
    let new: Vec<String> = new.cloned().collect();
    (!new.is_empty()).then(|| {
        let message = format!(
            "{}: the contract does not name {}",
            file.display(),
            listed(&new)
        );
        let help = "add them to the contract, or allow them with on_new_column: ignore or warn";
        data_problem(spec, "source.on_new_column", message, Some(help.into()))
    })
}

/// The columns that the pipeline names and the data lacks.
fn named(spec: &Spec, file: &Path, sample: &Sample) -> Vec<Problem> {
    let inventory = Inventory {
        inputs: vec![InputFile {
            uri: file.display().to_string(),
            size: 0,
            etag: None,
        }],
        limit_rows: None,
    };
    match gristmill_plan::draft(spec, &inventory, sample) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0,
    }
}

/// How the rows are held to the contract.
struct Rows {
    dialect: Dialect,
    header: Vec<String>,
    label: Option<gristmill_tabular::Label>,
}

impl Rows {
    /// Only the columns that are there: the others are told already.
    fn check(
        &self,
        spec: &Spec,
        request: &RunRequest,
        inputs: &[Input],
    ) -> Result<Checked, RunError> {
        let mut held = spec.clone();
        if let Columns::Contract(columns) = &mut held.source.columns {
            columns.retain(|column| self.header.contains(&column.name));
        }
        held.source.on_new_column = OnNewColumn::Ignore;
        let options = source::options(&held, self.dialect, request.threads, request.limit_rows);
        let checked = check(inputs, &options, self.label.as_ref(), SHOWN, &())?;
        Ok(checked)
    }
}

/// The first bad rows of each kind, one by one, and how many there are in all.
fn bad_rows(spec: &Spec, checked: &Checked) -> Vec<Problem> {
    let in_contract = |name: &String| contract(spec).iter().any(|c| c.name == *name);
    let place = |row: &BadRow| match &row.column {
        Some(_) if row.expected.ends_with(LABEL_MAP) => "prepare.label.map",
        Some(column) if in_contract(column) => "source.columns",
        Some(_) => "prepare.label",
        None => "source.uri",
    };
    let tell = |row: &BadRow| data_problem(spec, place(row), row.to_string(), None);
    let mut problems: Vec<Problem> = checked.first.iter().map(tell).collect();
    if let Some(last) = checked.first.last() {
        let help = what_a_run_does(spec.source.on_bad_row);
        problems.push(data_problem(
            spec,
            place(last),
            in_all(checked),
            Some(help.into()),
        ));
    }
    problems
}

fn in_all(checked: &Checked) -> String {
    let (bad, shown) = (checked.bad_rows(), checked.first.len() as u64);
    let reasons = checked.bad.iter();
    let reasons = reasons.map(|(reason, n)| format!("{} {reason}", grouped(*n)));
    let told = match (shown, bad) {
        (1, 1) => "it is",
        (shown, bad) if shown == bad => "all are",
        _ => "the first of each kind are",
    };
    format!(
        "{} of {} {} bad ({}); {told} told above",
        grouped(bad),
        counted(checked.rows, "row"),
        if bad == 1 { "is" } else { "are" },
        reasons.collect::<Vec<_>>().join(", "),
    )
}

fn what_a_run_does(on_bad_row: OnBadRow) -> &'static str {
    match on_bad_row {
        OnBadRow::Fail => {
            "a run stops at the first of them (on_bad_row: fail): mend the data, or what is asked of it"
        }
        OnBadRow::Quarantine { .. } => {
            "a run sets them aside, up to its limit (on_bad_row: quarantine): mend the data, or what is \
             asked of it"
        }
    }
}

fn data_problem(spec: &Spec, path: &str, message: String, help: Option<String>) -> Problem {
    Problem {
        help,
        ..Problem::new(spec.places.of(path), code::DATA, message)
    }
}

/// Names in quotes; at most 20, then how many more.
fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = names.iter().take(MOST).map(|n| format!("{n:?}")).collect();
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    shown.join(", ") + &more
}
