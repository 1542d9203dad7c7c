//! The properties that the fuzz targets in `fuzz/` hold, a function a target: any bytes in, a panic
//! where the property is broken. Tests hold them too, on the targets' corpora and on mutations of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use jiff::Timestamp;

use crate::plan::InputFile;
use crate::spec::Dialect;
use crate::{
    Context, Inventory, Problem, ResolveError, Sample, Spec, contract_yaml, draft, format_duration,
    format_size, parse, parse_contract, parse_duration, parse_params_file, parse_size, resolve,
    validate,
};

/// What stands around a template, whose place is `@`.
const AROUND: &str = "\
version: 1
name: n
params: { run_date: { type: date, default: 2013-01-31 }, s: { type: string, default: x } }
work: { uri: s3://work-bucket/runs/ }
source: { uri: @ }
prepare: { id: [a] }
transform: { model: m, instance_type: ml.m5.xlarge }
assemble: { to: s3://scores/ }
";

/// Any text as a pipeline: each mistake has its place inside the text; what resolves has none offline
/// either, resolves to the same again, and a plan is made of it or refused.
pub fn pipeline(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mistakes = validate(text, "p.yaml", Path::new("/"), &|_| Ok(text.to_owned()));
    places_are_inside(text, &mistakes);
    match resolved(text) {
        Ok(spec) => {
            assert!(mistakes.is_empty(), "{mistakes:?}");
            assert_eq!(
                format!("{:?}", resolved(text).unwrap()),
                format!("{spec:?}")
            );
            if let Err(problems) = draft(&spec, &inventory(), &sample()) {
                places_are_inside(text, &problems.0);
            }
        }
        Err(ResolveError::Pipeline(problems)) => {
            assert!(!problems.0.is_empty());
            places_are_inside(text, &problems.0);
        }
        Err(ResolveError::Usage(problems)) => assert!(!problems.is_empty()),
    }
}

/// Any text in the place of a value, templates rendered: the same each time, or a mistake in its line.
pub fn template(data: &[u8]) {
    let Ok(value) = std::str::from_utf8(data) else {
        return;
    };
    // A string of JSON is one of YAML.
    let value = serde_json::to_string(value).unwrap();
    let text = AROUND.replace('@', &value);
    match (resolved(&text), resolved(&text)) {
        (Ok(first), Ok(again)) => assert_eq!(format!("{first:?}"), format!("{again:?}")),
        (Err(ResolveError::Pipeline(first)), Err(ResolveError::Pipeline(again))) => {
            assert_eq!(first.0, again.0);
            for problem in &first.0 {
                assert_eq!(problem.place.line, 5, "{problem}");
            }
        }
        (first, _) => panic!("{first:?}"),
    }
}

/// Any text as a contract: mistakes have their places inside; what is read comes back from what is
/// written of it.
pub fn contract(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse_contract(text, "c.yaml") {
        Ok(columns) => {
            let written = contract_yaml(&columns);
            let again =
                parse_contract(&written, "c.yaml").unwrap_or_else(|e| panic!("{e}{written}"));
            assert_eq!(again, columns, "{written}");
            assert_eq!(contract_yaml(&again), written);
        }
        Err(problems) => places_are_inside(text, &problems.0),
    }
}

/// Any text as a file of parameters: mistakes have their places inside; what is read comes back from
/// JSON of it.
pub fn params_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse_params_file(text, "p.yaml") {
        Ok(values) => {
            let json = serde_json::to_string(&values).unwrap();
            assert_eq!(parse_params_file(&json, "p.json").unwrap(), values);
        }
        Err(problems) => places_are_inside(text, &problems.0),
    }
}

/// Any text as a size and as a duration: what is read is what is written of it.
pub fn quantities(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<8>() {
        let number = u64::from_le_bytes(*bytes);
        assert_eq!(parse_size(&format_size(number)), Ok(number));
        assert_eq!(parse_duration(&format_duration(number)), Ok(number));
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(bytes) = parse_size(text) {
        assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
    }
    if let Ok(seconds) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(seconds)), Ok(seconds));
    }
}

fn resolved(text: &str) -> Result<Spec, ResolveError> {
    let document = parse(text, "p.yaml").map_err(ResolveError::from)?;
    let now = Timestamp::constant(1_795_303_800, 0);
    let contract = |_: &Path| Ok(text.to_owned());
    let mut context = Context::new(now, "/");
    context.read = &contract;
    context.run.id = "r-1".into();
    context.run.key = "n-0123456789ab".into();
    resolve(&document, &context)
}

fn places_are_inside(text: &str, problems: &[Problem]) {
    // A lone `\r` ends a line of YAML too.
    let lines = text.lines().count() + text.matches('\r').count() + 2;
    for problem in problems {
        let place = &problem.place;
        assert!(place.line >= 1 && place.column >= 1, "{problem:?}");
        assert!(place.line as usize <= lines, "{problem:?}");
    }
}

fn inventory() -> Inventory {
    let inputs = [("/a.csv", 600_000), ("/b.csv", 400_000)].map(|(uri, size)| InputFile {
        uri: uri.to_owned(),
        size,
        etag: Some("sha256:0".to_owned()),
    });
    Inventory {
        inputs: inputs.to_vec(),
        limit_rows: None,
    }
}

fn sample() -> Sample {
    Sample {
        columns: ["a", "b", "month", "day", "flight"]
            .map(String::from)
            .to_vec(),
        dialect: Dialect::default(),
        rows: 100,
        bytes: 5_000,
        stored_bytes: 5_000,
        largest_record: 0,
    }
}

#[cfg(test)]
mod tests {
    use gristmill_corpus::replay;

    /// A test a target: its corpus, and so many mutations of it.
    macro_rules! targets {
        ($($target:ident: $mutations:literal,)*) => {
            $(
                #[test]
                fn $target() {
                    replay(stringify!($target), $mutations, super::$target);
                }
            )*

            #[test]
            fn every_target_is_replayed() {
                let mut here = [$(stringify!($target)),*];
                here.sort_unstable();
                assert_eq!(gristmill_corpus::targets_of("gristmill_plan"), here);
            }
        };
    }

    targets! {
        pipeline: 2_000,
        template: 4_000,
        contract: 5_000,
        params_file: 10_000,
        quantities: 20_000,
    }
}
