//! `convert`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gristmill_runner::{Cancel, EventSink, ExitCode, Level, RunError, Stage};
use gristmill_tabular::{
    Column, ColumnType, ConvertJob, Converted, Dialect, Format, Found, Input, Layout,
    OnBadRow as TabularOnBadRow, ParquetCompression, Progress, ScanOptions, Schema, Settled,
    TabularError, Target, Typing, convert as work, scan,
};
use serde_json::json;

use crate::answer::Printer;
use crate::args::Global;
use crate::args_convert::{Codec, Columns, ConvertArgs, OnBadRow, OnNewColumn, YesNo};
use crate::commands::convert_inputs::{dialect_in_words, open_inputs, settled};
use crate::commands::convert_training as training;
use crate::commands::{signals_runtime, threads};
use crate::signals;
use crate::view::View;
use gristmill_runner::words::grouped;

/// Standard input or output.
pub(crate) const DASH: &str = "-";

pub(crate) fn convert(
    global: &Global,
    args: &ConvertArgs,
    printer: &Printer,
) -> Result<ExitCode, RunError> {
    let (output, inputs) = args
        .paths
        .split_last()
        .ok_or_else(|| RunError::bug("no paths"))?;
    let to = output_format(args, output)?;
    let streamed = output.as_os_str() == DASH;
    if streamed && printer.is_json() {
        return Err(
            usage("the output goes to standard output, and so would the JSON answer")
                .with_help("name an output file, or use --result-file for the answer"),
        );
    }
    check_bad_rows(args, inputs)?;
    let scratch = scratch_folder(output);
    let inputs = open_inputs(inputs, args.from, args.csv.encoding, &scratch)?;
    let settled = settled(&args.csv, inputs.first())?;
    let mut job = job(args, inputs, output, to, settled.dialect)?;
    job.digests = global.verbose > 0;
    let dialect = job
        .inputs
        .iter()
        .any(|i| i.layout == Layout::Csv)
        .then_some(&settled);
    // Only now: a read from standard input is better ended by the signal itself.
    let cancel = Cancel::default();
    let runtime = signals_runtime()?;
    let _inside = runtime.enter();
    signals::listen(&cancel);
    let progress = Bar::new(global, cancel);
    if let Some(settled) = dialect {
        progress.note(dialect_in_words(&settled.dialect));
    }
    warn_of_new_columns(args, &job, &progress)?;
    let begun = std::time::Instant::now();
    let done = work(job, &progress);
    progress.view.clear();
    let advice = dialect.and_then(|d| d.advice.as_deref());
    let done = done.map_err(|e| advised(progress.interrupted_or(e), advice))?;
    progress.tell(&done, begun.elapsed().as_secs_f64());
    if let Some(advice) = advice {
        progress.warn(format!(
            "the data looks as if it needs {advice}; `gristmill inspect` shows how it would be read then"
        ));
    }
    answer(
        printer,
        args,
        output,
        dialect,
        &done,
        begun.elapsed().as_secs_f64(),
        streamed,
    );
    Ok(ExitCode::Success)
}

/// `--on-new-column warn`.
fn warn_of_new_columns(
    args: &ConvertArgs,
    job: &ConvertJob,
    progress: &Bar,
) -> Result<(), RunError> {
    let Typing::Contract(contract) = &job.options.typing else {
        return Ok(());
    };
    if args.on_new_column != OnNewColumn::Warn {
        return Ok(());
    }
    let first = ScanOptions {
        typing: Typing::Text,
        limit_rows: Some(1),
        ..job.options.clone()
    };
    let header = scan(&job.inputs[..1], &first, &())?.header;
    let new: Vec<String> = header
        .into_iter()
        .filter(|name| contract.index_of(name).is_none())
        .collect();
    if !new.is_empty() {
        progress.warn(format!(
            "the contract has no column named {}",
            new.iter()
                .map(|n| format!("{n:?}"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
    Ok(())
}

/// Bad rows must not replace something that the caller wants to keep, least of all the input.
fn check_bad_rows(args: &ConvertArgs, inputs: &[PathBuf]) -> Result<(), RunError> {
    let Some(path) = &args.bad_rows else {
        return Ok(());
    };
    let real = |p: &Path| std::fs::canonicalize(p).ok();
    let there = real(path);
    if there.is_some() && inputs.iter().any(|i| real(i) == there) {
        return Err(usage(format!(
            "--bad-rows {}: is one of the inputs",
            path.display()
        )));
    }
    if there.is_some() && !args.overwrite {
        return Err(TabularError::OutputExists { path: path.clone() }.into());
    }
    Ok(())
}

/// Where the data is at fault, another dialect may be what it needs.
fn advised(mut error: RunError, advice: Option<&str>) -> RunError {
    if let (ExitCode::Data, Some(advice)) = (error.exit, advice) {
        let look =
            format!("the data looks as if it needs {advice} (`gristmill inspect` shows more)");
        error.help = Some(match error.help {
            Some(help) => format!("{look}; else {help}"),
            None => look,
        });
    }
    error
}

/// The class of an error, with advice that fits a command without state.
fn explained(error: TabularError) -> RunError {
    let full = matches!(&error, TabularError::Io { source, .. }
        if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded));
    let denied = matches!(&error, TabularError::Io { source, .. }
        if source.kind() == ErrorKind::PermissionDenied);
    let error = RunError::from(error);
    if full {
        return error.with_help(
            "free space there, or write to another disk; nothing was left under the output's name",
        );
    }
    if denied {
        return error.with_help("change its permissions, or name another path");
    }
    error
}

/// A call that has to be changed.
pub(crate) fn usage(message: impl Into<String>) -> RunError {
    RunError::new(ExitCode::Usage, message)
}

/// Where standard input is kept until it was read twice: beside the output, which has to have room
/// anyway.
fn scratch_folder(output: &Path) -> PathBuf {
    if output.as_os_str() == DASH {
        return std::env::temp_dir();
    }
    let parent = output
        .parent()
        .filter(|p| !p.as_os_str().is_empty() && p.is_dir());
    parent.map_or_else(std::env::temp_dir, Path::to_owned)
}

fn output_format(args: &ConvertArgs, output: &Path) -> Result<Format, RunError> {
    if let Some(format) = args.to {
        return Ok(format);
    }
    let name = output.to_string_lossy();
    Format::from_name(&name).ok_or_else(|| {
        let names: Vec<&str> = Format::all().map(Format::name).collect();
        usage(format!(
            "{name}: the name does not tell the format to write"
        ))
        .with_help(format!("give --to: {}", names.join(", ")))
    })
}

fn job(
    args: &ConvertArgs,
    inputs: Vec<Input>,
    output: &Path,
    to: Format,
    dialect: Dialect,
) -> Result<ConvertJob, RunError> {
    let mut options = ScanOptions {
        dialect,
        null_tokens: args.csv.null.clone(),
        threads: threads(args.csv.threads),
        limit_rows: args.limit_rows,
        on_bad_row: match args.on_bad_row {
            OnBadRow::Fail => TabularOnBadRow::Fail,
            OnBadRow::Quarantine => TabularOnBadRow::Quarantine {
                max_ratio: None,
                max_rows: None,
            },
        },
        ..ScanOptions::default()
    };
    options.max_record = args.csv.max_record.unwrap_or(options.max_record);
    options.refuse_new_columns = args.on_new_column == OnNewColumn::Fail;
    options.typing = typing(args, &inputs, &options, to)?;
    let mut job = ConvertJob::new(inputs, to, target(args, output)?);
    job.options = options;
    job.overwrite = args.overwrite;
    job.canonical = args.canonical;
    job.output_header = args.output_header == YesNo::Yes;
    job.select = (!args.select.is_empty()).then(|| args.select.clone());
    job.drop.clone_from(&args.drop);
    job.rename = args.rename.iter().cloned().collect();
    job.label = training::label(args);
    job.split = training::split(args);
    job.max_rows = args.max_rows;
    job.max_bytes = args.max_bytes;
    job.row_group_rows = args.row_group_rows.and_then(|n| usize::try_from(n).ok());
    job.compression = match args.compression {
        Codec::Snappy => ParquetCompression::Snappy,
        Codec::Zstd => ParquetCompression::Zstd,
        Codec::Gzip => ParquetCompression::Gzip,
        Codec::None => ParquetCompression::None,
    };
    job.bad_rows.clone_from(&args.bad_rows);
    Ok(job)
}

/// A folder if it ends with a slash, is one, or is to be cut into parts.
///
/// # Errors
/// `Usage`, for a file's name where a folder is needed.
fn target(args: &ConvertArgs, output: &Path) -> Result<Target, RunError> {
    if output.as_os_str() == DASH {
        return Ok(Target::Writer(Box::new(std::io::stdout())));
    }
    let slash = output.to_string_lossy().ends_with('/');
    let cut = args.max_bytes.is_some() || args.max_rows.is_some() || !args.split.is_empty();
    let name = output.to_string_lossy();
    if cut && !slash && !output.is_dir() && Format::from_name(&name).is_some() {
        return Err(RunError::new(
            ExitCode::Usage,
            format!("{name} is the name of a file, and several files are asked for"),
        )
        .with_help("name a folder, with a slash at its end, and the format with --to"));
    }
    Ok(if slash || cut || output.is_dir() {
        Target::Folder(output.to_owned())
    } else {
        Target::File(output.to_owned())
    })
}

/// `--columns` and `--type`: types that are given hold for every cell, the others are found over
/// the whole input first.
fn typing(
    args: &ConvertArgs,
    inputs: &[Input],
    options: &ScanOptions,
    to: Format,
) -> Result<Typing, RunError> {
    let general = match &args.columns {
        Columns::Infer => Typing::Infer,
        Columns::Text => Typing::Text,
        Columns::Contract(file) => Typing::Contract(read_contract(file)?),
    };
    if args.types.is_empty() {
        return Ok(general);
    }
    if to.layout == Layout::Csv {
        return Err(usage(
            "--type gives a column of Parquet or JSON its type; CSV has none",
        ));
    }
    let options = ScanOptions {
        typing: general,
        ..options.clone()
    };
    let mut schema: Schema = scan(inputs, &options, &())?.schema;
    for (name, text) in &args.types {
        let column_type: ColumnType = serde_json::from_value(json!(text)).map_err(|_| {
            usage(format!("--type {name}={text}: no such type")).with_help(
                "types are int64, float64, boolean, date, timestamp, timestamp_utc, string",
            )
        })?;
        let column = schema.columns.iter_mut().find(|c| c.name == *name);
        let Some(column) = column else {
            return Err(RunError::from(TabularError::MissingColumns {
                file: inputs[0].name.clone(),
                columns: vec![name.clone()],
                header: schema.columns.into_iter().map(|c| c.name).collect(),
            }));
        };
        *column = Column {
            null_tokens: column.null_tokens.clone(),
            ..Column::new(name.clone(), column_type)
        };
    }
    Ok(Typing::Contract(schema))
}

/// The contract in a file, with all of its mistakes at once.
fn read_contract(file: &Path) -> Result<Schema, RunError> {
    let name = file.display().to_string();
    let text = gristmill_runner::read_text(file).map_err(|problem| {
        usage(format!("--columns {name}: {problem}"))
            .with_help("give `infer`, `text`, or the file of a contract")
    })?;
    let columns = gristmill_plan::parse_contract(&text, &name)?;
    Ok(gristmill_runner::contract_schema(&columns))
}

fn answer(
    printer: &Printer,
    args: &ConvertArgs,
    output: &Path,
    dialect: Option<&Settled>,
    done: &Converted,
    seconds: f64,
    streamed: bool,
) {
    let quarantined: u64 = done.quarantined.values().sum();
    let value = json!({
        "status": ExitCode::Success.status(),
        "exit": ExitCode::Success.number(),
        "rows": { "source": done.rows_source, "quarantined": quarantined, "unlabelled": done.unlabelled, "written": done.rows },
        "split": training::split_json(done),
        "quarantine": done.quarantined,
        "output": { "uri": null, "path": output, "files": done.files.iter().map(|f| &f.path).collect::<Vec<_>>(), "rows": done.rows },
        "dialect": dialect,
        "schema": done.schema,
        "seconds": seconds,
        "error": null,
    });
    let mut text = String::new();
    if !streamed {
        let files = if done.files.len() == 1 {
            String::new()
        } else {
            format!(" in {} files", done.files.len())
        };
        text = format!(
            "{} row{}{files} to {} in {seconds:.2} s\n",
            grouped(done.rows),
            if done.rows == 1 { "" } else { "s" },
            output.display()
        );
        if let Some(found) = dialect.filter(|d| d.found == Found::Detected) {
            text.push_str(&format!(
                "read with {}, as found in the data (confidence {:.2})\n",
                dialect_in_words(&found.dialect),
                found.confidence
            ));
        }
        text.push_str(&training::summary(args, done));
        if quarantined > 0 {
            let place = args.bad_rows.as_ref().map_or_else(
                || "; --bad-rows FILE keeps them".to_owned(),
                |file| format!(", kept in {}", file.display()),
            );
            text.push_str(&format!(
                "{} bad row{} set aside{place}\n",
                grouped(quarantined),
                if quarantined == 1 { "" } else { "s" }
            ));
        }
    }
    printer.answer(&text, &value);
}

/// Progress of a conversion, shown as the one stage that it is.
struct Bar {
    view: Arc<View>,
    cancel: Cancel,
}

impl Bar {
    fn new(global: &Global, cancel: Cancel) -> Self {
        let view = Arc::new(View::new(global));
        view.emit(&gristmill_runner::Event::StageStarted {
            stage: Stage::Shards,
            total_bytes: None,
            total_rows: None,
        });
        Self { view, cancel }
    }

    /// An interruption takes with it what was begun; any other error is explained.
    fn interrupted_or(&self, error: TabularError) -> RunError {
        if !matches!(error, TabularError::Cancelled) {
            return explained(error);
        }
        let exit = self.cancel.error().exit;
        RunError::new(
            exit,
            "interrupted; nothing was left under the output's name",
        )
    }

    /// A line of `-v`.
    fn note(&self, message: String) {
        self.view.emit(&gristmill_runner::Event::Note {
            level: Level::Debug,
            message,
        });
    }

    fn warn(&self, message: String) {
        self.view.emit(&gristmill_runner::Event::Note {
            level: Level::Warn,
            message,
        });
    }

    /// What `-v` says at the end: the types, the files.
    fn tell(&self, done: &Converted, seconds: f64) {
        if let Some(schema) = &done.schema {
            let columns = schema.columns.iter().map(|c| {
                let null = if c.nullable { " or null" } else { "" };
                format!("{} {}{null}", c.name, c.column_type)
            });
            self.note(format!(
                "columns: {}",
                columns.collect::<Vec<_>>().join(", ")
            ));
        }
        for part in &done.files {
            let digest = part.sha256.as_ref().map(|d| format!(", SHA-256 {d}"));
            self.note(format!(
                "{}: {} rows, {} bytes{}",
                part.path.display(),
                grouped(part.rows),
                grouped(part.bytes),
                digest.unwrap_or_default()
            ));
        }
        self.note(format!(
            "{} source rows in {seconds:.2} s",
            grouped(done.rows_source)
        ));
    }
}

impl Progress for Bar {
    fn advance(&self, rows: u64, bytes: u64) {
        self.view.emit(&gristmill_runner::Event::Advanced {
            stage: Stage::Shards,
            rows,
            bytes,
        });
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
