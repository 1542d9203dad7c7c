//! To Parquet: types first, from the whole input or a contract, then rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array,
};
use arrow_schema::SchemaRef;

use crate::arrangement::{Arranged, Arrangement, From, OutputColumn};
use crate::arrow_columns::{Cells, Nulls, Rule, array};
use crate::blocks::Block;
use crate::convert::{ConvertJob, Written};
use crate::convert_parts::{OpenPart, Outputs, finish_all, split_rows};
use crate::dialect::Dialect;
use crate::error::TabularError;
use crate::format::Layout;
use crate::label::check_labelled;
use crate::likely_types::{FirstLook, LikelyTypes};
use crate::parquet_writer::{DEFAULT_ROW_GROUP_ROWS, ParquetOptions, ParquetSink};
use crate::progress::Progress;
use crate::records::{BadRecord, Rows};
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::{ScanOptions, Typing, hold_to, own_schema, scan, text_schema};
use crate::schema::{Column, ColumnType, Schema};
use crate::values;

/// Writes each row as typed columns: under likely types if they turn out right, which takes one pass;
/// else under those of the whole input.
pub(crate) fn to_parquet(
    job: &ConvertJob,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, TabularError> {
    let types = match first_look(job, &outputs)? {
        FirstLook::None => types_of(job, progress)?,
        FirstLook::Whole {
            schema,
            names,
            rows,
        } => Types::certain(schema, names, rows, job),
        FirstLook::Likely(likely) => {
            let attempt = outputs.again().ok_or_else(uncertain)?;
            match write(job, Types::likely(likely, job), attempt, refusals, progress) {
                Ok(written) => return Ok(written),
                Err(Stopped::By(error)) => return Err(error),
                Err(Stopped::Unlikely) => refusals.begin_again()?,
            }
            types_of(job, progress)?
        }
    };
    match write(job, types, outputs, refusals, progress) {
        Ok(written) => Ok(written),
        Err(Stopped::By(error)) => Err(error),
        Err(Stopped::Unlikely) => Err(uncertain()),
    }
}

fn uncertain() -> TabularError {
    TabularError::Internal("the types of the whole input do not fit it".into())
}

/// Rows without a label are left out, so what the others are like says nothing of all; and what has
/// gone to a stream cannot be taken back.
fn first_look(job: &ConvertJob, outputs: &Outputs) -> Result<FirstLook, TabularError> {
    if job.label.is_some() || outputs.again().is_none() {
        return Ok(FirstLook::None);
    }
    FirstLook::at(&job.inputs, &job.options)
}

/// Why a pass ended before its end.
enum Stopped {
    By(TabularError),
    /// A cell was not of the likely type of its column.
    Unlikely,
}

impl std::convert::From<TabularError> for Stopped {
    fn from(error: TabularError) -> Self {
        Self::By(error)
    }
}

/// The types that rows are written under.
struct Types {
    schema: Schema,
    /// How to read the input, now that its columns are known.
    options: ScanOptions,
    /// Its rows, if finding the types took a pass of its own.
    expected: Option<u64>,
    /// Where the types came from, if they are not certain.
    likely: Option<LikelyTypes>,
}

impl Types {
    fn likely(likely: LikelyTypes, job: &ConvertJob) -> Self {
        Self {
            schema: likely.schema(),
            options: job.options.clone(),
            expected: None,
            likely: Some(likely),
        }
    }

    /// From the whole input, which had these columns and rows.
    fn certain(schema: Schema, names: Vec<String>, rows: u64, job: &ConvertJob) -> Self {
        let options = ScanOptions {
            keys: Some(names),
            ..job.options.clone()
        };
        Self {
            schema,
            options,
            expected: Some(rows),
            likely: None,
        }
    }
}

fn write(
    job: &ConvertJob,
    types: Types,
    outputs: Outputs,
    refusals: &mut Refusals,
    progress: &dyn Progress,
) -> Result<Written, Stopped> {
    let mut pass = Pass::open(&job.inputs, &types.options)?;
    let arrangement = Arrangement::new(job, &pass)?;
    if job.options.typing == Typing::Infer {
        pass.need_text(arrangement.read_as_text());
    }
    let mut typed = TypedRows::new(job, &pass, &arrangement, &types)?;
    let parts = outputs.split(job.split.as_ref())?.into_iter();
    let pool = pool_of(job)?;
    let mut parts: Vec<ParquetParts> = parts
        .map(|outputs| ParquetParts::new(job, outputs, Arc::clone(&typed.arrow), pool.clone()))
        .collect();
    let count = parts.len();
    let build = |block: &Block, rows: &mut Rows| {
        hold_to(&typed.contract, rows, block, typed.width, &typed.dialect);
        typed.build(block, rows, &arrangement, count)
    };
    let mut unlabelled = 0;
    let mut unlikely = false;
    let mut nulls = vec![Nulls::default(); typed.columns.len()];
    let ran = pass.run(refusals, progress, build, |taken| {
        let Some(built) = taken.value? else {
            unlikely = true;
            return Err(TabularError::Cancelled);
        };
        unlabelled += built.unlabelled;
        for (all, found) in nulls.iter_mut().zip(&built.nulls) {
            *all = all.merge(*found);
        }
        for (part, batch) in parts.iter_mut().zip(&built.parts) {
            part.write(batch)?;
        }
        Ok(())
    });
    if unlikely {
        return Err(Stopped::Unlikely);
    }
    ran?;
    refusals.finish()?;
    if let Some(expected) = types.expected.filter(|e| *e != refusals.total) {
        return Err(TabularError::Changed {
            expected,
            found: refusals.total,
        }
        .into());
    }
    typed.complete(types.likely.as_ref(), &nulls);
    let rows = parts.iter().map(|part| part.rows).sum();
    check_labelled(job.label.as_ref(), &job.inputs[0].name, rows, unlabelled)?;
    let split = split_rows(job.split.as_ref(), parts.iter().map(|part| part.rows));
    let closed: Result<Vec<Outputs>, TabularError> =
        parts.into_iter().map(ParquetParts::close).collect();
    Ok(Written {
        rows,
        unlabelled,
        files: finish_all(closed?)?,
        schema: Some(typed.schema),
        split,
    })
}

/// One pool for all parts.
pub(crate) fn pool_of(job: &ConvertJob) -> Result<Option<Arc<rayon::ThreadPool>>, TabularError> {
    let threads = job.options.threads.max(1);
    let pool = (threads > 1)
        .then(|| rayon::ThreadPoolBuilder::new().num_threads(threads).build())
        .transpose();
    let pool = pool.map_err(|e| TabularError::Internal(format!("cannot start threads: {e}")))?;
    Ok(pool.map(Arc::new))
}

/// A block's rows as typed columns, part by part.
struct Built {
    parts: Vec<RecordBatch>,
    unlabelled: u64,
    /// Of each column of the output.
    nulls: Vec<Nulls>,
}

/// How rows become typed columns.
struct TypedRows {
    /// The output's columns, under their new names.
    schema: Schema,
    arrow: SchemaRef,
    /// A rule for each column but the label.
    columns: Vec<Option<Rule>>,
    /// Numbers of the label, and their type.
    labels: Option<(Vec<String>, ColumnType)>,
    /// Rules that rows are held to first.
    contract: Vec<Rule>,
    width: usize,
    dialect: Dialect,
    /// Types are likely only: a cell that is not of its type ends the attempt.
    likely: bool,
}

impl TypedRows {
    fn new(
        job: &ConvertJob,
        pass: &Pass,
        arrangement: &Arrangement,
        types: &Types,
    ) -> Result<Self, TabularError> {
        let file = &job.inputs[0].name;
        let labeller = arrangement.labeller.as_ref();
        let label_type = labeller.and_then(|l| l.column_type());
        let own = match job.options.typing {
            Typing::Infer => pass.fields(),
            Typing::Text | Typing::Contract(_) => None,
        };
        let mut typed = Self {
            schema: Schema::default(),
            arrow: Arc::new(arrow_schema::Schema::empty()),
            columns: Vec::new(),
            labels: labeller.and_then(|l| Some((l.values.clone(), label_type?))),
            contract: job.options.contract_rules(pass.names(), file)?,
            width: pass.names().len(),
            dialect: pass.dialect(),
            likely: types.likely.is_some(),
        };
        let mut fields = Vec::new();
        let places = types.schema.places();
        for output in columns_of(job, pass.names(), arrangement, &types.schema)? {
            let (column, rule) = match output.from {
                From::Label => (label_column(label_type), None),
                From::Column(place) => {
                    let column = column_at(&types.schema, &places, &pass.names()[place])?;
                    let rule = match &types.likely {
                        Some(likely) => likely.rule(place),
                        None => Rule::new(place, column.clone(), &job.options.null_tokens),
                    };
                    (column, Some(rule.with_native(own)))
                }
            };
            let column = Column {
                name: output.name.clone(),
                ..column
            };
            let field = rule.as_ref().map_or_else(|| column.to_arrow(), Rule::field);
            fields.push(field.with_name(&output.name));
            typed.schema.columns.push(column);
            typed.columns.push(rule);
        }
        typed.arrow = Arc::new(arrow_schema::Schema::new(fields));
        Ok(typed)
    }

    /// Nulls that were seen are part of what columns are said to be.
    fn complete(&mut self, likely: Option<&LikelyTypes>, nulls: &[Nulls]) {
        let Some(likely) = likely else { return };
        let mut of_header = vec![Nulls::default(); likely.names.len()];
        for (rule, nulls) in self.columns.iter().zip(nulls) {
            if let Some(rule) = rule {
                of_header[rule.index] = *nulls;
            }
        }
        let known = likely.columns(&of_header);
        for (column, rule) in self.schema.columns.iter_mut().zip(&self.columns) {
            if let Some(rule) = rule {
                let name = std::mem::take(&mut column.name);
                *column = known[rule.index].clone();
                column.name = name;
            }
        }
    }

    /// Under likely types, none if a cell is not of its type. Else such cells, which can only be if
    /// the input has changed since its types were found, make bad rows.
    fn build(
        &self,
        block: &Block,
        rows: &mut Rows,
        arrangement: &Arrangement,
        count: usize,
    ) -> Result<Option<Built>, TabularError> {
        let mut unlabelled = 0;
        loop {
            let arranged = arrangement.arrange(block, rows);
            unlabelled += arranged.unlabelled;
            let mut bad = BTreeMap::new();
            let (arrays, nulls) = self.arrays(block, rows, &arranged, &mut bad)?;
            if self.likely && !bad.is_empty() {
                return Ok(None);
            }
            if bad.is_empty() {
                let options = RecordBatchOptions::new().with_row_count(Some(rows.records.len()));
                let arrow = Arc::clone(&self.arrow);
                let batch = RecordBatch::try_new_with_options(arrow, arrays, &options)
                    .map_err(|e| TabularError::Internal(format!("batch: {e}")))?;
                return Ok(Some(Built {
                    parts: split_batch(batch, &arranged, count)?,
                    unlabelled,
                    nulls,
                }));
            }
            rows.refuse(bad.into_iter().collect(), self.width);
        }
    }

    fn arrays(
        &self,
        block: &Block,
        rows: &Rows,
        arranged: &Arranged,
        bad: &mut BTreeMap<usize, BadRecord>,
    ) -> Result<(Vec<ArrayRef>, Vec<Nulls>), TabularError> {
        let cells = Cells {
            rows,
            block,
            width: self.width,
            dialect: &self.dialect,
        };
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        let mut nulls = Vec::with_capacity(self.columns.len());
        for rule in &self.columns {
            let Some(rule) = rule else {
                arrays.push(self.label_array(arranged));
                nulls.push(Nulls::default());
                continue;
            };
            let filled = array(rule, cells)?;
            arrays.push(filled.array);
            nulls.push(filled.nulls);
            for (row, record) in filled.refused {
                bad.entry(row).or_insert(record);
            }
        }
        Ok((arrays, nulls))
    }

    fn label_array(&self, arranged: &Arranged) -> ArrayRef {
        let places = arranged.labels.iter().map(|&place| usize::from(place));
        match &self.labels {
            Some((values, ColumnType::Int64)) => {
                let of = |text: &String| values::int(text.as_bytes()).unwrap_or_default();
                let values: Vec<i64> = values.iter().map(of).collect();
                Arc::new(Int64Array::from_iter_values(places.map(|p| values[p])))
            }
            Some((values, _)) => {
                let of = |text: &String| values::number(text.as_bytes()).unwrap_or_default();
                let values: Vec<f64> = values.iter().map(of).collect();
                Arc::new(Float64Array::from_iter_values(places.map(|p| values[p])))
            }
            None => arrow_array::new_empty_array(&arrow_schema::DataType::Int64),
        }
    }
}

fn label_column(column_type: Option<ColumnType>) -> Column {
    Column {
        nullable: false,
        ..Column::new("", column_type.unwrap_or(ColumnType::Int64))
    }
}

fn column_at(
    schema: &Schema,
    places: &HashMap<&str, usize>,
    name: &str,
) -> Result<Column, TabularError> {
    let column = places.get(name).map(|&i| schema.columns[i].clone());
    column.ok_or_else(|| TabularError::Internal(format!("column {name:?} has no type")))
}

/// The rows of each part, in their order.
fn split_batch(
    batch: RecordBatch,
    arranged: &Arranged,
    count: usize,
) -> Result<Vec<RecordBatch>, TabularError> {
    if count == 1 {
        return Ok(vec![batch]);
    }
    let mut places = vec![Vec::new(); count];
    for row in 0..batch.num_rows() {
        places[arranged.part(row)].push(row as u32);
    }
    let of_part = |places: Vec<u32>| {
        arrow_select::take::take_record_batch(&batch, &UInt32Array::from(places))
            .map_err(|e| TabularError::Internal(format!("rows of a part: {e}")))
    };
    places.into_iter().map(of_part).collect()
}

/// With a contract, all of its columns and no others, unless selected.
fn columns_of(
    job: &ConvertJob,
    names: &[String],
    arrangement: &Arrangement,
    schema: &Schema,
) -> Result<Vec<OutputColumn>, TabularError> {
    let places = schema.places();
    let typed = |column: &OutputColumn| match column.from {
        From::Label => true,
        From::Column(place) => places.contains_key(names[place].as_str()),
    };
    let chosen = arrangement.columns.clone();
    if job.select.is_none() && matches!(job.options.typing, Typing::Contract(_)) {
        return Ok(chosen.into_iter().filter(typed).collect());
    }
    let unknown: Vec<String> = chosen
        .iter()
        .filter(|column| !typed(column))
        .map(|column| column.name.clone())
        .collect();
    if unknown.is_empty() {
        return Ok(chosen);
    }
    let header = schema.columns.iter().map(|c| c.name.clone()).collect();
    Err(TabularError::MissingColumns {
        file: "the contract".into(),
        columns: unknown,
        header,
    })
}

/// Types that are certain: from the whole input, or given.
fn types_of(job: &ConvertJob, progress: &dyn Progress) -> Result<Types, TabularError> {
    let options = &job.options;
    if options.typing == Typing::Infer && job.inputs[0].layout != Layout::Parquet {
        let found = scan(&job.inputs, options, progress)?;
        return Ok(Types::certain(
            found.schema,
            found.header,
            found.rows_source,
            job,
        ));
    }
    let mut given = Types {
        schema: Schema::default(),
        options: options.clone(),
        expected: None,
        likely: None,
    };
    if let Typing::Contract(schema) = &options.typing {
        given.schema = schema.clone();
        return Ok(given);
    }
    let pass = Pass::open(&job.inputs, options)?;
    given.options.keys = Some(pass.names().to_vec());
    let own = pass.fields().filter(|_| options.typing == Typing::Infer);
    let text = || text_schema(pass.names(), &options.null_tokens);
    given.schema = own.map_or_else(text, own_schema);
    Ok(given)
}

/// Batches to Parquet parts.
pub(crate) struct ParquetParts {
    /// Before the outputs, whose folder it leaves when both are dropped.
    open: Option<(OpenPart, ParquetSink, u64)>,
    outputs: Outputs,
    schema: SchemaRef,
    options: ParquetOptions,
    max_rows: u64,
    pub(crate) rows: u64,
}

impl ParquetParts {
    pub(crate) fn new(
        job: &ConvertJob,
        outputs: Outputs,
        schema: SchemaRef,
        pool: Option<Arc<rayon::ThreadPool>>,
    ) -> Self {
        let options = ParquetOptions {
            row_group_rows: job.row_group_rows.unwrap_or(DEFAULT_ROW_GROUP_ROWS).max(1),
            compression: job.compression,
            threads: job.options.threads.max(1),
            pool,
            ..ParquetOptions::default()
        };
        let max_rows = job.max_rows.unwrap_or(u64::MAX).max(1);
        debug_assert!(max_rows == u64::MAX || outputs.is_folder());
        Self {
            open: None,
            outputs,
            schema,
            options,
            max_rows,
            rows: 0,
        }
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TabularError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let (part, mut sink, rows) = self.take_open()?;
            let room = usize::try_from(self.max_rows - rows).unwrap_or(usize::MAX);
            let take = room.min(batch.num_rows() - from);
            if take == batch.num_rows() {
                sink.write(batch)?;
            } else {
                sink.write(&batch.slice(from, take))?;
            }
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
    pub(crate) fn close(mut self) -> Result<Outputs, TabularError> {
        if self.rows == 0 {
            let open = self.take_open()?;
            self.open = Some(open);
        }
        self.seal()?;
        Ok(self.outputs)
    }
}
