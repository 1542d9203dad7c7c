//! CSV to Parquet: types first, from the whole input or a contract, then rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use crate::arrow_columns::{Cells, Rule, array};
use crate::assemble::Part;
use crate::blocks::Block;
use crate::convert::{ConvertJob, Written, columns};
use crate::convert_parts::{OpenPart, Outputs};
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::parquet_writer::{DEFAULT_ROW_GROUP_ROWS, ParquetOptions, ParquetSink};
use crate::progress::Progress;
use crate::records::Rows;
use crate::rows::{Pass, Refusals};
use crate::scan::{Typing, hold_to, scan, text_schema};
use crate::schema::Schema;

/// Writes each row as typed columns.
pub(crate) fn to_parquet(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let (schema, expected) = schema_of(job, progress)?;
    let pass = Pass::open(&job.inputs, &job.options)?;
    let names = pass.names().to_vec();
    let (width, dialect, file) = (names.len(), job.options.dialect, &job.inputs[0].name);
    let contract = job.options.contract_rules(&names, file)?;
    let mut written = Schema::default();
    let mut rules = Vec::new();
    for (index, name) in columns_of(job, &names, &schema)? {
        let at = schema.index_of(&names[index]);
        let column = at.map(|i| schema.columns[i].clone());
        let column =
            column.ok_or_else(|| TabularError::Internal(format!("column {name:?} has no type")))?;
        written.columns.push(crate::schema::Column {
            name,
            ..column.clone()
        });
        rules.push(Rule::new(index, column, &job.options.null_tokens));
    }
    let arrow = written.to_arrow();
    let mut parts = ParquetParts::new(job, outputs, Arc::clone(&arrow))?;
    let build = |block: &Block, rows: &mut Rows| {
        hold_to(&contract, rows, block.text(), width, &dialect);
        batch(&rules, rows, block.text(), width, &dialect, &arrow)
    };
    pass.run(refusals, progress, build, |taken| {
        parts.write(&taken.value?)
    })?;
    refusals.finish()?;
    if let Some(expected) = expected.filter(|e| *e != refusals.total) {
        return Err(TabularError::Changed {
            expected,
            found: refusals.total,
        });
    }
    Ok((parts.rows, parts.finish()?, Some(written)))
}

/// With a contract, all of its columns and no others, unless selected.
fn columns_of(
    job: &ConvertJob,
    names: &[String],
    schema: &Schema,
) -> Result<Vec<(usize, String)>, TabularError> {
    let chosen = columns(job, names)?;
    if job.select.is_some() || !matches!(job.options.typing, Typing::Contract(_)) {
        let unknown: Vec<String> = chosen
            .iter()
            .map(|(i, _)| names[*i].clone())
            .filter(|n| schema.index_of(n).is_none())
            .collect();
        if !unknown.is_empty() {
            let header = schema.columns.iter().map(|c| c.name.clone()).collect();
            return Err(TabularError::MissingColumns {
                file: "the contract".into(),
                columns: unknown,
                header,
            });
        }
        return Ok(chosen);
    }
    Ok(chosen
        .into_iter()
        .filter(|(i, _)| schema.index_of(&names[*i]).is_some())
        .collect())
}

/// The types, and the number of rows if finding them took a pass of its own.
fn schema_of(
    job: &ConvertJob,
    progress: &dyn Progress,
) -> Result<(Schema, Option<u64>), TabularError> {
    match &job.options.typing {
        Typing::Infer => {
            let found = scan(&job.inputs, &job.options, progress)?;
            Ok((found.schema, Some(found.rows_source)))
        }
        Typing::Text => {
            let pass = Pass::open(&job.inputs, &job.options)?;
            Ok((text_schema(pass.names(), &job.options.null_tokens), None))
        }
        Typing::Contract(schema) => Ok((schema.clone(), None)),
    }
}

/// A block's rows as a batch. Cells that are not of their type, which can only be if the input has
/// changed since its types were found, make bad rows.
fn batch(
    rules: &[Rule],
    rows: &mut Rows,
    block: &[u8],
    width: usize,
    dialect: &Dialect,
    schema: &SchemaRef,
) -> Result<RecordBatch, TabularError> {
    loop {
        let mut bad = BTreeMap::new();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(rules.len());
        for rule in rules {
            let (array, refused) = array(
                rule,
                Cells {
                    rows,
                    block,
                    width,
                    dialect,
                },
            )?;
            arrays.push(array);
            for (row, record) in refused {
                bad.entry(row).or_insert(record);
            }
        }
        if bad.is_empty() {
            let options = RecordBatchOptions::new().with_row_count(Some(rows.records.len()));
            return RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
                .map_err(|e| TabularError::Internal(format!("batch: {e}")));
        }
        rows.refuse(bad.into_iter().collect(), width);
    }
}

/// Batches to Parquet parts.
struct ParquetParts {
    outputs: Outputs,
    schema: SchemaRef,
    options: ParquetOptions,
    max_rows: u64,
    open: Option<(OpenPart, ParquetSink, u64)>,
    rows: u64,
}

impl ParquetParts {
    fn new(job: &ConvertJob, outputs: Outputs, schema: SchemaRef) -> Result<Self, TabularError> {
        let threads = job.options.threads.max(1);
        // One pool for all parts.
        let pool = (threads > 1)
            .then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build())
            .transpose();
        let pool =
            pool.map_err(|e| TabularError::Internal(format!("cannot start threads: {e}")))?;
        let options = ParquetOptions {
            row_group_rows: job.row_group_rows.unwrap_or(DEFAULT_ROW_GROUP_ROWS).max(1),
            compression: job.compression,
            threads,
            pool: pool.map(Arc::new),
            ..ParquetOptions::default()
        };
        let max_rows = job.max_rows.unwrap_or(u64::MAX).max(1);
        debug_assert!(max_rows == u64::MAX || outputs.is_folder());
        Ok(Self {
            outputs,
            schema,
            options,
            max_rows,
            open: None,
            rows: 0,
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let (part, mut sink, rows) = self.take_open()?;
            let room = usize::try_from(self.max_rows - rows).unwrap_or(usize::MAX);
            let take = room.min(batch.num_rows() - from);
            sink.write(&batch.slice(from, take))?;
            from += take;
            self.rows += take as u64;
            self.open = Some((part, sink, rows + take as u64));
            if take == room {
                self.seal()?;
            }
        }
        Ok(())
    }

    fn take_open(&mut self) -> Result<(OpenPart, ParquetSink, u64), TabularError> {
        match self.open.take() {
            Some(open) => Ok(open),
            None => {
                let (part, writer) = self.outputs.start()?;
                let options = ParquetOptions {
                    name: part.path().to_path_buf(),
                    ..self.options.clone()
                };
                let sink = ParquetSink::create(writer, Arc::clone(&self.schema), options)?;
                Ok((part, sink, 0))
            }
        }
    }

    fn seal(&mut self) -> Result<(), TabularError> {
        let Some((part, sink, rows)) = self.open.take() else {
            return Ok(());
        };
        sink.finish()?;
        self.outputs.seal(part, rows)
    }

    /// Seals the last part; with no rows at all there is one empty table.
    fn finish(mut self) -> Result<Vec<Part>, TabularError> {
        if self.rows == 0 {
            let open = self.take_open()?;
            self.open = Some(open);
        }
        self.seal()?;
        self.outputs.finish()
    }
}
