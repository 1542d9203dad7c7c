//! The source stage: one pass over everything for the types and the bad rows.

use std::sync::Arc;

use gristmill_plan::Spec;
use gristmill_plan::spec::{
    ColumnType as PlanType, Columns, ContractColumn, OnBadRow as PlanOnBadRow, OnNewColumn,
};
use gristmill_tabular::{
    Column, ColumnType, Dialect, Input, OnBadRow, ScanOptions, Schema, Typing, scan,
};

use crate::disk;
use crate::entry::Entry;
use crate::error::RunError;
use crate::event::Stage;
use crate::inventory::blocking;
use crate::session::Session;
use crate::stages::cut::interrupted_or;
use crate::words::{counted, grouped};

/// The options of both passes.
#[must_use]
pub(crate) fn options(
    spec: &Spec,
    dialect: Dialect,
    threads: usize,
    limit_rows: Option<u64>,
) -> ScanOptions {
    ScanOptions {
        dialect,
        typing: typing(&spec.source.columns),
        null_tokens: spec.source.null_tokens.clone(),
        max_record: spec.source.max_record,
        refuse_new_columns: spec.source.on_new_column == OnNewColumn::Fail,
        threads,
        limit_rows,
        on_bad_row: match spec.source.on_bad_row {
            PlanOnBadRow::Fail => OnBadRow::Fail,
            PlanOnBadRow::Quarantine {
                max_ratio,
                max_rows,
            } => OnBadRow::Quarantine {
                max_ratio,
                max_rows,
            },
        },
        ..ScanOptions::default()
    }
}

fn typing(columns: &Columns) -> Typing {
    match columns {
        Columns::Infer => Typing::Infer,
        Columns::Text => Typing::Text,
        Columns::Contract(columns) => Typing::Contract(contract_schema(columns)),
    }
}

/// A contract in the words of the data crate.
#[must_use]
pub fn contract_schema(columns: &[ContractColumn]) -> Schema {
    Schema {
        columns: columns.iter().map(contract_column).collect(),
    }
}

/// Columns as a contract that they keep.
#[must_use]
pub fn contract_of(schema: &Schema) -> Vec<ContractColumn> {
    let column = |column: &Column| ContractColumn {
        name: column.name.clone(),
        column_type: plan_type(column.column_type),
        nullable: column.nullable,
        null_tokens: Vec::new(),
        min: column.min,
        max: column.max,
        allowed: column.allowed.clone(),
        sensitive: column.sensitive,
    };
    schema.columns.iter().map(column).collect()
}

fn plan_type(found: ColumnType) -> PlanType {
    match found {
        ColumnType::Int64 => PlanType::Int64,
        ColumnType::Float64 => PlanType::Float64,
        ColumnType::Boolean => PlanType::Boolean,
        ColumnType::Date => PlanType::Date,
        ColumnType::Timestamp => PlanType::Timestamp,
        ColumnType::TimestampUtc => PlanType::TimestampUtc,
        ColumnType::String => PlanType::String,
    }
}

fn contract_column(column: &ContractColumn) -> Column {
    Column {
        name: column.name.clone(),
        column_type: column_type(column.column_type),
        nullable: column.nullable,
        null_tokens: column.null_tokens.clone(),
        min: column.min,
        max: column.max,
        allowed: column.allowed.clone(),
        sensitive: column.sensitive,
    }
}

/// The plan's word for a type in the data crate's.
#[must_use]
pub(crate) fn column_type(plan: PlanType) -> ColumnType {
    match plan {
        PlanType::Int64 => ColumnType::Int64,
        PlanType::Float64 => ColumnType::Float64,
        PlanType::Boolean => ColumnType::Boolean,
        PlanType::Date => ColumnType::Date,
        PlanType::Timestamp => ColumnType::Timestamp,
        PlanType::TimestampUtc => ColumnType::TimestampUtc,
        PlanType::String => ColumnType::String,
    }
}

/// Reads everything once, or finds that an earlier attempt did. Returns the seconds it took.
///
/// # Errors
/// The data's, or the disk's and the store's under it.
pub(crate) async fn run(
    session: &Arc<Session>,
    inputs: &[Input],
    options: &ScanOptions,
) -> Result<f64, RunError> {
    if let Some(rows) = session.state(|s| s.scanned.as_ref().map(|x| x.rows_source)) {
        session.reused(
            Stage::Source,
            format!("{rows} rows were read and typed before"),
        );
        return Ok(0.0);
    }
    let copies = disk::copies(inputs);
    disk::require(
        session.folder.root(),
        copies,
        "reading Parquet from a store",
    )?;
    let clock = session.begin(Stage::Source, None, None);
    let (inputs, options, inner) = (inputs.to_vec(), options.clone(), Arc::clone(session));
    let found = blocking(move || {
        scan(&inputs, &options, &inner.progress(Stage::Source))
            .map_err(|e| interrupted_or(&inner, e))
    })
    .await?;
    let bad: u64 = found.bad.values().sum();
    let summary = format!(
        "{}, {} bad, {}",
        counted(found.rows_source, "row"),
        grouped(bad),
        counted(found.schema.columns.len() as u64, "column")
    );
    session.record(&Entry::Scanned {
        schema: found.schema,
        rows_source: found.rows_source,
        rows_accepted: found.rows_accepted,
        bytes: found.bytes,
    })?;
    Ok(clock.finish(summary))
}
