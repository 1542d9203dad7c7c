//! An assembly under way: sidecar rows and prediction lines read in step.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{Field, Schema as ArrowSchema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use crate::answer_cells::Unfit;
use crate::assemble::{AssembleJob, Assembled, OutputColumn, ShardOutput};
use crate::error::TabularError;
use crate::parts::Parts;
use crate::predictions::{Cells, Pick, Predictions};
use crate::progress::{Progress, report};
use crate::schema::ColumnType;
use crate::sidecar::{PLACE_COLUMNS, SidecarReader};
use crate::typed_cells::TypedCells;

/// An assembly under way.
pub(crate) struct Assembly<'a> {
    job: &'a AssembleJob<'a>,
    schema: SchemaRef,
    constants: Vec<(ColumnType, String)>,
    parts: Parts<'a>,
    progress: &'a dyn Progress,
    /// The next ordinal: rows of the sidecars so far.
    ordinal: u64,
    /// Rows of the result so far.
    rows: u64,
}

impl<'a> Assembly<'a> {
    /// Looks at the first shard's sidecar to know the result's columns.
    pub(crate) fn begin(
        job: &'a AssembleJob<'a>,
        first: &ShardOutput,
        progress: &'a dyn Progress,
    ) -> Result<Assembly<'a>, TabularError> {
        let sidecar = SidecarReader::open(&first.sidecar, &first.sidecar_sha256)?;
        let schema = output_schema(job.columns, &sidecar.schema(), first)?;
        Ok(Assembly {
            job,
            parts: Parts::new(job, Arc::clone(&schema))?,
            constants: constants(job.columns)?,
            schema,
            progress,
            ordinal: 0,
            rows: 0,
        })
    }

    /// Closes the last part.
    pub(crate) fn finish(self) -> Result<Assembled, TabularError> {
        Ok(Assembled {
            rows: self.rows,
            parts: self.parts.finish()?,
        })
    }

    /// Joins the next shard.
    pub(crate) fn add(&mut self, shard: &ShardOutput) -> Result<(), TabularError> {
        let sidecar = SidecarReader::open(&shard.sidecar, &shard.sidecar_sha256)?;
        let same = output_schema(self.job.columns, &sidecar.schema(), shard)? == self.schema;
        if !same {
            return Err(corrupt(
                shard,
                "its columns are not those of the first shard's sidecar",
            ));
        }
        let mut predictions = Predictions::open(&shard.predictions, &shard.name, self.job.answers)?;
        let start = self.ordinal;
        for batch in sidecar {
            let batch = batch?;
            self.check_ordinals(shard, &batch)?;
            let kept = without_refused(shard, &batch, self.ordinal - start)?;
            self.ordinal += batch.num_rows() as u64;
            self.add_batch(shard, &kept, &mut predictions)?;
        }
        let rows = self.ordinal - start;
        if rows != shard.rows {
            return Err(corrupt(
                shard,
                &format!("it holds {rows} rows, the shard {}", shard.rows),
            ));
        }
        let found = predictions.count_to_end()?;
        if found == shard.answers() {
            Ok(())
        } else {
            Err(disagree(shard, &predictions))
        }
    }

    fn add_batch(
        &mut self,
        shard: &ShardOutput,
        batch: &RecordBatch,
        predictions: &mut Lines,
    ) -> Result<(), TabularError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let predicted = self.read_predictions(shard, batch.num_rows(), predictions)?;
        let columns = self.columns(batch, predicted)?;
        let out = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| {
            TabularError::Columnar {
                path: shard.sidecar.clone(),
                action: "join",
                message: e.to_string(),
            }
        })?;
        self.parts.write(&out)?;
        self.rows += batch.num_rows() as u64;
        report(self.progress, batch.num_rows() as u64, 0)
    }

    fn check_ordinals(&self, shard: &ShardOutput, batch: &RecordBatch) -> Result<(), TabularError> {
        let ordinals = batch.column(0).as_primitive::<UInt64Type>();
        for (&found, expected) in ordinals.values().iter().zip(self.ordinal..) {
            if found != expected {
                let text = format!(
                    "row {expected} of the input must come next, found row {found}: rows are missing, doubled or misplaced"
                );
                return Err(corrupt(shard, &text));
            }
        }
        Ok(())
    }

    /// The prediction columns, in the order that the job names them, for the next `rows` lines.
    fn read_predictions(
        &self,
        shard: &ShardOutput,
        rows: usize,
        predictions: &mut Lines,
    ) -> Result<Vec<ArrayRef>, TabularError> {
        let mut wanted = Vec::new();
        for column in self.job.columns {
            let (pick, column_type) = match column {
                OutputColumn::Prediction {
                    index, column_type, ..
                } => (Pick::Cell(*index), column_type),
                OutputColumn::Field {
                    path, column_type, ..
                } => (Pick::Path(path.clone()), column_type),
                OutputColumn::Source { .. } | OutputColumn::Constant { .. } => continue,
            };
            wanted.push((pick, TypedCells::new(*column_type)));
        }
        for _ in 0..rows {
            let cells = match predictions.next_row() {
                Ok(Some(cells)) => cells,
                Ok(None) => return Err(disagree(shard, predictions)),
                Err(error) => return Err(disagree_or(shard, predictions, error)),
            };
            let failed = wanted
                .iter_mut()
                .find_map(|(pick, values)| Some((&*pick, take_cell(cells, pick, values)?)));
            if let Some((pick, unfit)) = failed {
                let error = predictions.unfit(pick, unfit);
                return Err(disagree_or(shard, predictions, error));
            }
        }
        Ok(wanted
            .into_iter()
            .map(|(_, values)| values.finish())
            .collect())
    }

    fn columns(
        &self,
        batch: &RecordBatch,
        predicted: Vec<ArrayRef>,
    ) -> Result<Vec<ArrayRef>, TabularError> {
        let (mut predicted, mut constants) = (predicted.into_iter(), self.constants.iter());
        let lost = || TabularError::Internal("a column of the result has no values".into());
        let column = |column: &OutputColumn| match column {
            OutputColumn::Source { from, .. } => {
                let index = source_index(&batch.schema(), from).ok_or_else(lost)?;
                Ok(Arc::clone(batch.column(index)))
            }
            OutputColumn::Prediction { .. } | OutputColumn::Field { .. } => {
                predicted.next().ok_or_else(lost)
            }
            OutputColumn::Constant { .. } => {
                let (column_type, value) = constants.next().ok_or_else(lost)?;
                repeated(*column_type, value, batch.num_rows())
            }
        };
        self.job.columns.iter().map(column).collect()
    }
}

/// Adds a value to its column, or says what was expected, and what was found unless that is the whole
/// answer.
fn take_cell(cells: &Cells, pick: &Pick, values: &mut TypedCells) -> Option<Unfit> {
    match cells.find(pick) {
        Err(unfit) => Some(unfit),
        Ok(text) => {
            let expected = values.push(&text).err()?;
            Some((expected.to_string(), Some(text.into_owned())))
        }
    }
}

/// The rows of a batch, whose first is `before` in the shard, that the model did not refuse.
fn without_refused(
    shard: &ShardOutput,
    batch: &RecordBatch,
    before: u64,
) -> Result<RecordBatch, TabularError> {
    let end = before + batch.num_rows() as u64;
    if !shard.refused.iter().any(|r| (before..end).contains(r)) {
        return Ok(batch.clone());
    }
    let answered = (before..end).map(|row| Some(shard.refused.binary_search(&row).is_err()));
    let kept = filter_record_batch(batch, &answered.collect::<BooleanArray>());
    kept.map_err(|e| TabularError::Internal(format!("refused rows of {}: {e}", shard.name)))
}

type Lines = Predictions<std::io::BufReader<std::fs::File>>;

/// The answers that were read are not as many as the rows.
fn disagree(shard: &ShardOutput, predictions: &Lines) -> TabularError {
    TabularError::RowsDisagree {
        shard: shard.name.clone(),
        expected: shard.answers(),
        found: predictions.rows(),
        hint: predictions.evidence().hint(shard.answers()),
    }
}

/// A value that does not parse is often two rows glued together or a stray line: where the count is
/// wrong as well, that is the thing to say.
fn disagree_or(shard: &ShardOutput, predictions: &mut Lines, error: TabularError) -> TabularError {
    match predictions.count_to_end() {
        Ok(found) if found != shard.answers() => disagree(shard, predictions),
        _ => error,
    }
}

fn corrupt(shard: &ShardOutput, problem: &str) -> TabularError {
    let problem = format!("the sidecar of {}: {problem}", shard.name);
    TabularError::Corrupt {
        path: shard.sidecar.clone(),
        problem,
    }
}

fn repeated(column_type: ColumnType, value: &str, rows: usize) -> Result<ArrayRef, TabularError> {
    let mut cells = TypedCells::new(column_type);
    for _ in 0..rows {
        cells.push(value).map_err(|expected| {
            TabularError::Options(format!("expected {expected}, found {value:?}"))
        })?;
    }
    Ok(cells.finish())
}

fn output_schema(
    columns: &[OutputColumn],
    sidecar: &SchemaRef,
    shard: &ShardOutput,
) -> Result<SchemaRef, TabularError> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut missing = Vec::new();
    for column in columns {
        match column {
            OutputColumn::Source { name, from } => match source_index(sidecar, from) {
                Some(index) => fields.push(sidecar.field(index).clone().with_name(name)),
                None => missing.push(from.clone()),
            },
            OutputColumn::Prediction {
                name, column_type, ..
            }
            | OutputColumn::Field {
                name, column_type, ..
            }
            | OutputColumn::Constant {
                name, column_type, ..
            } => {
                fields.push(Field::new(name, column_type.to_arrow(), false));
            }
        }
    }
    if missing.is_empty() {
        return Ok(Arc::new(ArrowSchema::new(fields)));
    }
    let header = sidecar
        .fields()
        .iter()
        .skip(PLACE_COLUMNS)
        .map(|f| f.name().clone())
        .collect();
    Err(TabularError::MissingColumns {
        file: format!("the sidecar of {}", shard.name),
        columns: missing,
        header,
    })
}

/// The place of a source column: behind the three that say where a row comes from, so that a
/// source may have an `ordinal` of its own.
fn source_index(sidecar: &SchemaRef, from: &str) -> Option<usize> {
    let fields = sidecar.fields().iter().enumerate().skip(PLACE_COLUMNS);
    fields
        .into_iter()
        .find(|(_, f)| f.name() == from)
        .map(|(index, _)| index)
}

/// Types and texts of the constant columns in their order, proved to fit each other.
fn constants(columns: &[OutputColumn]) -> Result<Vec<(ColumnType, String)>, TabularError> {
    let mut found = Vec::new();
    for column in columns {
        if let OutputColumn::Constant {
            name,
            value,
            column_type,
        } = column
        {
            TypedCells::new(*column_type)
                .push(value)
                .map_err(|expected| {
                    TabularError::Options(format!(
                        "column {name:?}: expected {expected}, found {value:?}"
                    ))
                })?;
            found.push((*column_type, value.clone()));
        }
    }
    Ok(found)
}
