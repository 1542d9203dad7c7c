//! Parquet to Parquet: columns as they are, with the types that their writer gave them.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{FieldRef, SchemaRef};

use crate::arrangement::{From, output_columns};
use crate::batches::{Batches, Types, schema_of};
use crate::convert::{ConvertJob, Written};
use crate::convert_parquet::{ParquetParts, pool_of};
use crate::convert_parts::{Outputs, finish_all};
use crate::error::TabularError;
use crate::progress::{Progress, report};
use crate::refusals::Refusals;
use crate::scan::own_schema;

/// Copies the columns chosen. Memory: a batch, and the row groups under way.
pub(crate) fn copy_columns(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let whole = schema_of(&job.inputs[0], Types::Arrow)?;
    let names: Vec<String> = whole.fields().iter().map(|f| f.name().clone()).collect();
    let chosen = output_columns(job, &names, None)?;
    let place = |from: From| match from {
        From::Column(place) => place,
        From::Label => 0,
    };
    let wanted = chosen
        .iter()
        .map(|c| names[place(c.from)].clone())
        .collect();
    let mut batches = Batches::open(
        &job.inputs,
        Types::Arrow,
        Some(wanted),
        job.options.limit_rows,
    )?;
    // What is read comes in the file's order.
    let order: Vec<usize> = chosen
        .iter()
        .filter_map(|c| {
            let name = &names[place(c.from)];
            batches.names().iter().position(|n| n == name)
        })
        .collect();
    let renamed = |(&at, column): (&usize, &crate::arrangement::OutputColumn)| -> FieldRef {
        Arc::new(batches.schema().field(at).clone().with_name(&column.name))
    };
    let fields: Vec<FieldRef> = order.iter().zip(&chosen).map(renamed).collect();
    let schema: SchemaRef = Arc::new(arrow_schema::Schema::new(fields));
    let mut parts = ParquetParts::new(job, outputs, Arc::clone(&schema), pool_of(job)?);
    while let Some(block) = batches.next()? {
        let Some(batch) = block.batch else { continue };
        let columns = order
            .iter()
            .map(|&at| Arc::clone(batch.column(at)))
            .collect();
        let bytes = batch.get_array_memory_size() as u64;
        let rows = batch.num_rows() as u64;
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)
            .map_err(|e| TabularError::Internal(format!("batch: {e}")))?;
        parts.write(&batch)?;
        refusals.total += rows;
        report(progress, rows, bytes)?;
    }
    Ok(Written {
        rows: parts.rows,
        unlabelled: 0,
        files: finish_all(vec![parts.close()?])?,
        schema: Some(own_schema(schema.fields())),
        split: Vec::new(),
    })
}
