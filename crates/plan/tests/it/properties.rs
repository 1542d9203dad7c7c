//! Nothing panics, whatever comes in; names are always valid; quantities come back.

use std::path::Path;

use gristmill_plan::launch::{api_name, job_name};
use gristmill_plan::limits::model_name;
use gristmill_plan::{draft, format_duration, format_size, parse_duration, parse_size, validate};
use proptest::prelude::*;

use crate::support::{FINE, inventory, sample};

/// Lines of a good file, pieces of YAML and templates, and anything else, in any order.
fn yaml_like() -> impl Strategy<Value = String> {
    let lines: Vec<String> = FINE.lines().map(|line| format!("{line}\n")).collect();
    let piece = prop_oneof![
        4 => proptest::sample::select(lines),
        2 => proptest::sample::select(vec![
            "{{ ", " }}", "params.run_date", "now(tz='UTC')", "- ", "  ", "\n", ": ", "[", "]", "{", "}", "&a ", "*a",
            "!!str ", "\"", "'", "|\n", "? ", "# ", "---\n", "...\n", "\t", "\r\n", "\u{feff}", "'{{ 1 / 0 }}'", "~", "1e999",
            "0x", "-", "AKIA", "s3://", "prediction[", "://a:b@", "{% ", "| int",
        ]).prop_map(String::from),
        1 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// A good file with a piece replaced by anything.
fn damaged() -> impl Strategy<Value = String> {
    (0..FINE.len(), 0..12usize, "\\PC{0,8}").prop_map(|(start, length, text)| {
        let end = (start + length).min(FINE.len());
        format!("{}{text}{}", &FINE[..start], &FINE[end..])
    })
}

/// A pipeline of the repository with lines removed, moved, joined or replaced by another's.
fn mutated() -> impl Strategy<Value = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines");
    let files = std::fs::read_dir(folder).unwrap();
    let texts: Vec<String> = files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let lines: Vec<String> = texts
        .iter()
        .flat_map(|t| t.lines())
        .map(String::from)
        .collect();
    let value = proptest::sample::select(vec![
        "",
        "~",
        "[]",
        "{}",
        "-1",
        "0",
        "1e400",
        "true",
        "parquet",
        "jsonl.zst",
        "none",
        "'*'",
        "x.yaml",
        "{ a: 0.5, b: 0.5 }",
        "{ column: a, map: { ? [x] : 1 } }",
        "{{ x }}",
        "'{{ x }}'",
        "[[a]]",
        "s3://",
    ]);
    let edit = (
        any::<proptest::sample::Index>(),
        0..4u8,
        proptest::sample::select(lines),
        value,
    );
    (
        proptest::sample::select(texts),
        proptest::collection::vec(edit, 1..6),
    )
        .prop_map(|(text, edits)| {
            let mut lines: Vec<String> = text.lines().map(String::from).collect();
            for (at, kind, other, value) in edits {
                if lines.is_empty() {
                    break;
                }
                let at = at.index(lines.len());
                match kind {
                    0 => drop(lines.remove(at)),
                    1 => lines.insert(at, other),
                    2 => lines[at] = format!("  {}", lines[at]),
                    _ => {
                        let key = lines[at].split(':').next().unwrap_or_default();
                        lines[at] = format!("{key}: {value}");
                    }
                }
            }
            lines.join("\n")
        })
}

fn places_are_inside(text: &str) {
    let lines = text.lines().count().max(1) + 1;
    for problem in validate(text, "p.yaml", Path::new("/"), &|_| Ok(text.to_owned())) {
        assert!(
            problem.place.line >= 1 && problem.place.column >= 1,
            "{problem:?}"
        );
        assert!(
            problem.place.line as usize <= lines + text.matches('\r').count(),
            "{problem:?}"
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        places_are_inside(&text);
    }

    #[test]
    fn yaml_like_text_never_panics(text in yaml_like()) {
        places_are_inside(&text);
    }

    #[test]
    fn a_damaged_pipeline_never_panics(text in damaged()) {
        places_are_inside(&text);
        let _ = crate::support::try_spec(&text, &[]);
    }

    #[test]
    fn a_mutated_pipeline_never_panics(text in mutated()) {
        places_are_inside(&text);
        if let Ok(spec) = crate::support::try_spec(&text, &[]) {
            let _ = draft(&spec, &inventory(), &sample());
        }
    }

    #[test]
    fn job_names_are_always_valid(name in any::<String>(), run in any::<String>(), wave in any::<Option<u32>>(), attempt in any::<u32>()) {
        let job = job_name(&name, "s3://w/", &run, "f", wave, attempt);
        prop_assert!(job.len() <= 63, "{}", job);
        prop_assert_eq!(model_name(&job), Ok(()));
        prop_assert_eq!(model_name(&api_name(&name, 24)), Ok(()));
    }

    #[test]
    fn sizes_come_back(bytes in any::<u64>()) {
        prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
    }

    #[test]
    fn round_sizes_come_back(number in 0..2_000u64, unit in 0..6u32, binary in any::<bool>()) {
        let bytes = number * if binary { 1024u64.pow(unit.min(4)) } else { 1000u64.pow(unit.min(4)) };
        prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
    }

    #[test]
    fn durations_come_back(seconds in any::<u64>()) {
        prop_assert_eq!(parse_duration(&format_duration(seconds)), Ok(seconds));
    }

    #[test]
    fn quantities_never_panic(text in "[0-9.dhmskMGTiB ]{0,24}") {
        let _ = (parse_size(&text), parse_duration(&text));
    }
}

#[test]
fn units_mean_what_they_say() {
    assert_eq!(parse_size("45MB"), Ok(45_000_000));
    assert_eq!(parse_size("45MiB"), Ok(47_185_920));
    assert_eq!(parse_size("1.5 GB"), Ok(1_500_000_000));
    assert_eq!(parse_size("17"), Ok(17));
    for wrong in [
        "",
        "MB",
        "-1",
        "1.5B",
        "1.",
        ".5MB",
        "1 mb",
        "5Mb",
        "99999999999TB",
        "1e3",
    ] {
        assert!(parse_size(wrong).is_err(), "{wrong}");
    }
    assert_eq!(format_size(64_000_000), "64MB");
    assert_eq!(format_size(16 << 20), "16MiB");
    assert_eq!(parse_duration("3h30m"), Ok(12_600));
    assert_eq!(parse_duration("90s"), Ok(90));
    assert_eq!(parse_duration("1d"), Ok(86_400));
    assert_eq!(format_duration(12_600), "3h30m");
    for wrong in [
        "",
        "h",
        "30m3h",
        "1h1h",
        "1.5h",
        "-1s",
        "1w",
        "99999999999999999999s",
        "3h30",
    ] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
}
