//! `--params-file`: parameters as `-p` gives them, from a YAML or JSON file.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_plan::problem::code;
use gristmill_plan::{
    Context, Place, Problem, Problems, ResolveError, Timestamp, UsageError, parse_params_file,
};
use gristmill_runner::words::counted;
use gristmill_runner::{ExitCode, PipelineText, RunError, read_text};

/// A file of parameters.
pub(crate) struct ParamsFile {
    path: String,
    text: String,
    pub(crate) values: BTreeMap<String, String>,
}

/// Reads a file of parameters.
///
/// # Errors
/// `NoInput`, when it cannot be read; `Usage`, with every mistake in it.
pub(crate) fn read(path: &Path) -> Result<ParamsFile, RunError> {
    let shown = path.display().to_string();
    let text = read_text(path).map_err(|why| {
        let message = format!("cannot read --params-file {shown}: {why}");
        RunError::new(ExitCode::NoInput, message)
    })?;
    let values = parse_params_file(&text, &shown).map_err(|p| wrong(&shown, p.0))?;
    Ok(ParamsFile {
        path: shown,
        text,
        values,
    })
}

/// The error of a file with mistakes: a wrong parameter is a wrong call, wherever it stands.
pub(crate) fn wrong(path: &str, problems: Vec<Problem>) -> RunError {
    let count = counted(problems.len() as u64, "mistake");
    let mut error = RunError::new(
        ExitCode::Usage,
        format!("the parameter file {path} has {count}"),
    );
    error.problems = problems;
    error
}

/// What a pipeline does not take of parameters; that one is missing does not count, since it may come
/// from elsewhere. A pipeline that is wrong itself is told elsewhere.
pub(crate) fn refused(
    pipeline: &PipelineText,
    params: BTreeMap<String, String>,
) -> Vec<UsageError> {
    let Ok(doc) = gristmill_plan::parse(&pipeline.text, &pipeline.path) else {
        return Vec::new();
    };
    let mut context = Context::new(Timestamp::UNIX_EPOCH, &pipeline.folder);
    context.params = params;
    let Err(ResolveError::Usage(mut errors)) = gristmill_plan::resolve(&doc, &context) else {
        return Vec::new();
    };
    errors.retain(|e| !matches!(e, UsageError::Missing { .. }));
    errors
}

impl ParamsFile {
    /// What a pipeline does not take of it: undeclared names, values of another type. Those that `-p`
    /// gives as well do not count. A pipeline that is wrong itself is told elsewhere.
    pub(crate) fn problems(
        &self,
        pipeline: &PipelineText,
        given: &BTreeMap<String, String>,
    ) -> Vec<Problem> {
        let own = self
            .values
            .iter()
            .filter(|(name, _)| !given.contains_key(*name));
        let own = own.map(|(k, v)| (k.clone(), v.clone())).collect();
        let errors = refused(pipeline, own);
        let placed = errors.iter().filter_map(|e| self.placed(e)).collect();
        Problems(placed).sorted().0
    }

    fn placed(&self, error: &UsageError) -> Option<Problem> {
        let (name, code) = match error {
            UsageError::WrongValue { name, .. } => (name, code::BAD_VALUE),
            UsageError::Unknown { name, .. } => (name, code::UNKNOWN_KEY),
            UsageError::Missing { .. } => return None,
        };
        let (line, column) = self.find(name);
        let place = Place {
            file: self.path.clone(),
            line,
            column,
        };
        Some(Problem::new(place, code, error.to_string()))
    }

    /// Where a name stands as a key; the file's beginning, where it is written in some other way.
    fn find(&self, name: &str) -> (u32, u32) {
        let forms = [
            format!("{name}:"),
            format!("\"{name}\""),
            format!("'{name}'"),
        ];
        let starts = |text: &str, at: usize| {
            let before = text[..at].trim_end();
            before.is_empty() || before.ends_with(['{', ','])
        };
        for (number, line) in (1..).zip(self.text.lines()) {
            for form in &forms {
                if let Some(at) = line.find(form).filter(|at| starts(line, *at)) {
                    let column = line[..at].chars().count() + 1;
                    return (number, u32::try_from(column).unwrap_or(1));
                }
            }
        }
        (1, 1)
    }
}
