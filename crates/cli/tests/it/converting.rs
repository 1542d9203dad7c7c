//! `convert`: the four formats by name and by flag, and what is kept.

use std::path::Path;

use serde_json::Value;

use crate::project::{Done, Project, judge, repository};

pub(crate) const SMALL: &str =
    "id,name,at\n1,Ada,2013-01-01T10:00:00Z\n2,\"a, b\",2013-01-01T11:00:00Z\n3,,\n";

fn messy() -> String {
    repository()
        .join("fixtures/messy/messy.csv")
        .display()
        .to_string()
}

pub(crate) fn january() -> String {
    repository()
        .join("fixtures/flights/flights-2013-01.csv")
        .display()
        .to_string()
}

/// What `fixtures/messy/expected.json` says of a file.
fn expected(name: &str) -> Value {
    let text = std::fs::read(repository().join("fixtures/messy/expected.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    all[name].clone()
}

/// Standard error, or the answer without its time.
pub(crate) fn said(done: &Done) -> String {
    let time = |line: &str| match line.split_once(" in ") {
        Some((start, rest)) if rest.ends_with(" s") => match rest.rsplit_once(" in ") {
            Some((more, _)) => format!("{start} in {more} in (time)"),
            None => format!("{start} in (time)"),
        },
        _ => line.to_owned(),
    };
    let text = format!("{}{}", done.stderr, done.stdout);
    text.lines().map(time).collect::<Vec<_>>().join("\n")
}

/// Files of a folder, hidden ones too, by name.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn read(project: &Project, name: &str) -> Vec<u8> {
    std::fs::read(project.path(name)).unwrap()
}

#[test]
fn text_comes_back_byte_for_byte_from_every_wrapper() {
    let project = Project::new();
    // Line ends, blank lines, quotes and the missing last newline are all part of the bytes.
    let odd = "\u{feff}a,b\r\n1,\"x\ny\"\r\n\r\n\"2\",\"\"\n3,é";
    for (source, text) in [
        ("odd.csv", odd.as_bytes().to_vec()),
        ("flights.csv", std::fs::read(january()).unwrap()),
    ] {
        project.write(source, &text);
        for wrapped in ["w.csv.sz", "w.csv.snappy", "w.csv.zst", "w.csv.gz"] {
            project
                .run(&["convert", source, wrapped, "--overwrite"])
                .expect(0);
            assert_ne!(read(&project, wrapped), text);
            let program = match wrapped.rsplit_once('.') {
                Some((_, "sz")) => Some("framed_snappy.py"),
                Some((_, "snappy")) => Some("hadoop_snappy.py"),
                Some((_, "zst")) => Some("zstd_text.py"),
                _ => None,
            };
            if let Some(program) = program {
                let (packed, original) = (project.path(wrapped), project.path(source));
                judge(
                    program,
                    &[packed.to_str().unwrap(), original.to_str().unwrap()],
                )
                .expect(0);
            }
            project
                .run(&["convert", wrapped, "back.csv", "--overwrite"])
                .expect(0);
            assert!(read(&project, "back.csv") == text, "{source} by {wrapped}");
        }
        // From one wrapper to the other, and a format that no name tells.
        project
            .run(&["convert", "w.csv.gz", "x.csv.sz", "--overwrite"])
            .expect(0);
        assert!(read(&project, "x.csv.sz") == read(&project, "w.csv.sz"));
        project.write("anonymous", read(&project, "w.csv.gz"));
        project
            .run(&[
                "convert",
                "anonymous",
                "plain.dat",
                "--to",
                "csv",
                "--overwrite",
            ])
            .expect(0);
        assert!(read(&project, "plain.dat") == text);
        project
            .run(&[
                "convert",
                "anonymous",
                "y",
                "--from",
                "csv.gz",
                "--to",
                "csv",
                "--overwrite",
            ])
            .expect(0);
        assert!(read(&project, "y") == text);
    }
}

#[test]
fn what_other_programs_wrap_is_read() {
    let project = Project::new();
    let text = std::fs::read(january()).unwrap();
    for (program, wrapped) in [
        ("hadoop_snappy.py", "w.csv.snappy"),
        ("zstd_text.py", "w.csv.zst"),
    ] {
        let path = project.path(wrapped);
        judge(program, &["--write", &january(), path.to_str().unwrap()]).expect(0);
        project
            .run(&["convert", wrapped, "back.csv", "--overwrite"])
            .expect(0);
        assert!(read(&project, "back.csv") == text, "{wrapped}");
        // The bytes tell as much.
        project.write("anonymous", read(&project, wrapped));
        let plain = project.run(&["convert", "anonymous", "-", "--to", "csv"]);
        assert!(plain.expect(0).stdout.as_bytes() == text, "{wrapped}");
    }
}

#[test]
fn a_name_that_lies_is_refused_with_what_was_found() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    project.run(&["convert", "in.csv", "a.csv.sz"]).expect(0);
    project.write("lies.csv.snappy", read(&project, "a.csv.sz"));
    project.write("lies.csv.gz", SMALL);
    let refused = |name: &str| project.run(&["convert", name, "x.csv"]).expect(65).stderr;
    insta::assert_snapshot!(refused("lies.csv.snappy"), @r"
    error: cannot read lies.csv.snappy: expected Hadoop's Snappy, found the Snappy framing format
      help: give its name the extension .sz
    ");
    insta::assert_snapshot!(refused("lies.csv.gz"), @r"
    error: cannot read lies.csv.gz: expected gzip, found plain text
      help: take the extension off its name
    ");
    // Said outright, the format counts for more than the name.
    project
        .run(&["convert", "lies.csv.snappy", "x.csv", "--from", "csv.sz"])
        .expect(0);
    assert_eq!(read(&project, "x.csv"), SMALL.as_bytes());
}

#[test]
fn gzip_is_what_other_readers_take_it_for() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    project.run(&["convert", "in.csv", "a.csv.gz"]).expect(0);
    let script = "import gzip,sys; sys.stdout.write(gzip.open(sys.argv[1],'rt',newline='').read())";
    let python = std::env::var("GRISTMILL_PYTHON").unwrap();
    let path = project.path("a.csv.gz");
    let out = std::process::Command::new(python)
        .args(["-c", script])
        .arg(path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(out.stdout).unwrap(), SMALL);
}

#[test]
fn standard_input_and_output() {
    let project = Project::new();
    let through =
        |args: &[&str], input: &[u8]| project.run_with_input(args, input).expect(0).stdout;
    assert_eq!(
        through(&["convert", "-", "-", "--to", "csv"], SMALL.as_bytes()),
        SMALL
    );
    project
        .run_with_input(&["convert", "-", "a.csv.sz"], SMALL.as_bytes())
        .expect(0);
    // A compressed stream is known by its first bytes.
    assert_eq!(
        through(
            &["convert", "-", "-", "--to", "csv"],
            &read(&project, "a.csv.sz")
        ),
        SMALL
    );
    // Parquet takes two passes, so the stream is kept until the second; nothing of it stays.
    project
        .run_with_input(&["convert", "-", "a.parquet"], SMALL.as_bytes())
        .expect(0);
    project.write("in.csv", SMALL);
    project.run(&["convert", "in.csv", "b.parquet"]).expect(0);
    assert!(read(&project, "a.parquet") == read(&project, "b.parquet"));
    assert_eq!(
        names(&project.path("")),
        ["a.csv.sz", "a.parquet", "b.parquet", "in.csv"]
    );
    let done = project.run(&["convert", "in.csv", "-"]).expect(2);
    insta::assert_snapshot!(said(&done), @r"
    error: -: the name does not tell the format to write
      help: give --to: csv, csv.gz, csv.sz, csv.snappy, csv.zst, jsonl, jsonl.gz, jsonl.sz, jsonl.snappy, jsonl.zst, parquet
    ");
    let done = project
        .run(&["convert", "in.csv", "-", "--to", "csv", "--output", "json"])
        .expect(2);
    assert!(
        done.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("standard output")
    );
}

#[test]
fn messy_text_becomes_the_cells_that_it_means() {
    let project = Project::new();
    for name in ["messy.csv", "unclosed.csv"] {
        let source = repository()
            .join("fixtures/messy")
            .join(name)
            .display()
            .to_string();
        let args = [
            "convert",
            &source,
            "out.parquet",
            "--on-bad-row",
            "quarantine",
            "--bad-rows",
            "bad.jsonl",
        ];
        let answer = project
            .run(&[&args[..], &["--overwrite", "--output", "json"]].concat())
            .expect(0)
            .json();
        let expected = expected(name);
        assert_eq!(answer["rows"]["source"], expected["rows_source"]);
        assert_eq!(answer["rows"]["written"], expected["rows_accepted"]);
        assert_eq!(answer["quarantine"], expected["bad"]);
        let columns = answer["schema"].as_array().unwrap().iter();
        let columns: Vec<_> = columns
            .map(|c| (&c["name"], &c["type"], &c["nullable"]))
            .collect();
        let wanted = expected["columns"].as_array().unwrap().iter();
        assert_eq!(
            columns,
            wanted
                .map(|c| (&c["name"], &c["type"], &c["nullable"]))
                .collect::<Vec<_>>()
        );
        bad_rows_are_in_place(&read(&project, "bad.jsonl"), &expected["bad_rows"]);
        let reference = repository()
            .join("fixtures/messy/expected.json")
            .display()
            .to_string()
            + "#"
            + name;
        judge(
            "compare_table.py",
            &[&reference, project.path("out.parquet").to_str().unwrap()],
        )
        .expect(0);
    }
}

fn bad_rows_are_in_place(lines: &[u8], expected: &Value) {
    let found: Vec<Value> = lines
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        for key in ["line", "record", "byte", "reason"] {
            assert_eq!(found[key], expected[key], "{key} of {expected}");
        }
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        let raw = found["raw"]
            .as_str()
            .map_or_else(|| found["raw_hex"].as_str().unwrap().to_owned(), hex);
        assert_eq!(raw, expected["raw_hex"].as_str().unwrap());
    }
}

#[test]
fn accepted_rows_of_messy_text_are_the_same_in_csv() {
    let project = Project::new();
    let args = [
        "convert",
        &messy(),
        "good.csv.gz",
        "--on-bad-row",
        "quarantine",
    ];
    let done = project.run(&args).expect(0);
    insta::assert_snapshot!(said(&done), @r"
    240 rows to good.csv.gz in (time)
    12 bad rows set aside; --bad-rows FILE keeps them
    ");
    project
        .run(&["convert", "good.csv.gz", "good.parquet"])
        .expect(0);
    let reference = repository()
        .join("fixtures/messy/expected.json")
        .display()
        .to_string()
        + "#messy.csv";
    judge(
        "compare_table.py",
        &[&reference, project.path("good.parquet").to_str().unwrap()],
    )
    .expect(0);
}

#[test]
fn a_month_of_flights_is_the_same_cell_by_cell() {
    let project = Project::new();
    let args = ["convert", &january(), "flights.parquet", "--output", "json"];
    let answer = project.run(&args).expect(0).json();
    assert_eq!(answer["rows"]["written"], 27_004);
    let file = project.path("flights.parquet");
    judge("compare_table.py", &[&january(), file.to_str().unwrap()]).expect(0);
    // Whatever the threads, the same bytes.
    for threads in ["1", "2", "7"] {
        project
            .run(&[
                "convert",
                &january(),
                "again.parquet",
                "--threads",
                threads,
                "--overwrite",
            ])
            .expect(0);
        assert!(
            read(&project, "again.parquet") == read(&project, "flights.parquet"),
            "{threads} threads"
        );
    }
    let parts = [
        "convert",
        &january(),
        "parts/",
        "--to",
        "parquet",
        "--max-rows",
        "10000",
    ];
    project.run(&parts).expect(0);
    assert_eq!(
        names(&project.path("parts")),
        [
            "part-00000.parquet",
            "part-00001.parquet",
            "part-00002.parquet"
        ]
    );
    judge(
        "compare_table.py",
        &[&january(), project.path("parts").to_str().unwrap()],
    )
    .expect(0);
}

#[test]
fn planted_bad_rows_are_set_aside_and_shift_no_other() {
    let project = Project::new();
    let python = std::env::var("GRISTMILL_PYTHON").unwrap();
    let script = repository().join("fixtures/flights/plant_bad_rows.py");
    let (planted, places) = (project.path("planted.csv"), project.path("planted.json"));
    let made = std::process::Command::new(python)
        .arg(script)
        .arg(&planted)
        .arg(&places)
        .status()
        .unwrap();
    assert!(made.success());
    let quarantine = ["--on-bad-row", "quarantine", "--bad-rows", "bad.jsonl"];
    project
        .run(&[&["convert", "planted.csv", "out.parquet"], &quarantine[..]].concat())
        .expect(0);
    let expected: Value = serde_json::from_slice(&read(&project, "planted.json")).unwrap();
    bad_rows_are_in_place(&read(&project, "bad.jsonl"), &expected["bad_rows"]);
    judge(
        "compare_table.py",
        &[&january(), project.path("out.parquet").to_str().unwrap()],
    )
    .expect(0);
    // The same rows, as text: what is left is January byte for byte.
    project
        .run(&[
            "convert",
            "planted.csv",
            "out.csv",
            "--on-bad-row",
            "quarantine",
        ])
        .expect(0);
    assert!(read(&project, "out.csv") == std::fs::read(january()).unwrap());
}

#[test]
fn folders_of_parts() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    let done = project
        .run(&[
            "convert",
            "in.csv",
            "rows/",
            "--to",
            "csv",
            "--max-rows",
            "2",
        ])
        .expect(0);
    insta::assert_snapshot!(said(&done), @"3 rows in 2 files to rows/ in (time)");
    assert_eq!(
        read(&project, "rows/part-00000.csv"),
        &SMALL.as_bytes()[..SMALL.len() - 4]
    );
    assert_eq!(read(&project, "rows/part-00001.csv"), b"id,name,at\n3,,\n");
    // The header counts: 11 bytes and 27 are 38, one more row would be 69.
    let bytes = [
        "convert",
        "in.csv",
        "bytes",
        "--to",
        "csv.gz",
        "--max-bytes",
        "38B",
        "--output",
        "json",
    ];
    let answer = project.run(&bytes).expect(0).json();
    assert_eq!(answer["output"]["files"].as_array().unwrap().len(), 3);
    assert_eq!(
        names(&project.path("bytes")),
        [
            "part-00000.csv.gz",
            "part-00001.csv.gz",
            "part-00002.csv.gz"
        ]
    );
    project
        .run(&["convert", "bytes/*.csv.gz", "whole.csv"])
        .expect(0);
    assert_eq!(
        String::from_utf8(read(&project, "whole.csv")).unwrap(),
        SMALL
    );
    let again = project
        .run(&["convert", "in.csv", "rows/", "--to", "csv"])
        .expect(73);
    insta::assert_snapshot!(said(&again), @r"
    error: rows/ exists already: choose another name, or allow it to be overwritten
      help: --overwrite replaces it
    ");
    // Parts that the new output has not go with the old one.
    project
        .run(&["convert", "in.csv", "rows/", "--to", "csv", "--overwrite"])
        .expect(0);
    assert_eq!(names(&project.path("rows")), ["part-00000.csv"]);
    let none = project
        .run(&["convert", "absent-*.csv", "x.csv"])
        .expect(66);
    insta::assert_snapshot!(said(&none), @"error: absent-*.csv: no file matches");
}

/// Names, types and first cells as `inspect` has them.
fn table(project: &Project, file: &str) -> (String, Value) {
    let answer = project
        .run(&["inspect", file, "--output", "json"])
        .expect(0)
        .json();
    let columns = answer["columns"].as_array().unwrap().iter();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let columns = columns.map(|c| {
        let logical = text(&c["logical_type"]);
        let kind = if logical.is_empty() {
            text(&c["physical_type"])
        } else {
            logical
        };
        format!("{}:{kind}", text(&c["name"]))
    });
    (
        columns.collect::<Vec<_>>().join(" "),
        answer["first_rows"].clone(),
    )
}

#[test]
fn types_are_found_given_or_left_out() {
    let project = Project::new();
    project.write("in.csv", "n,zip,x,d\n1,01234,1.5,2024-02-29\n-7,98765,?,\n");
    let types = |args: &[&str]| {
        let all = [&["convert", "in.csv", "out.parquet", "--overwrite"], args].concat();
        project.run(&all).expect(0);
        table(&project, "out.parquet")
    };
    insta::assert_snapshot!(types(&[]).0, @"n:INT64 zip:string x:string d:date");
    let (columns, rows) = types(&["--null", "?"]);
    insta::assert_snapshot!(columns, @"n:INT64 zip:string x:DOUBLE d:date");
    assert_eq!(rows[1], serde_json::json!(["-7", "98765", null, null]));
    insta::assert_snapshot!(types(&["--columns", "text"]).0, @"n:string zip:string x:string d:string");
    insta::assert_snapshot!(types(&["--null", "?", "--type", "n=float64", "--type", "d=string"]).0,
        @"n:DOUBLE zip:string x:DOUBLE d:string");
    insta::assert_snapshot!(types(&["--columns", "text", "--type", "d=date"]).0, @"n:string zip:string x:string d:date");

    let refused = |args: &[&str], code: i32| {
        let all = [&["convert", "in.csv", "no.parquet"], args].concat();
        let done = project.run(&all).expect(code);
        assert!(!project.path("no.parquet").exists());
        said(&done)
    };
    insta::assert_snapshot!(refused(&["--type", "x=float64"], 65), @r#"
    error: bad row: in.csv:3: record 2 (byte 33), column "x": expected float64, found "?"
      help: mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    "#);
    insta::assert_snapshot!(refused(&["--type", "x=decimal"], 2), @r"
    error: --type x=decimal: no such type
      help: types are int64, float64, boolean, date, timestamp, timestamp_utc, string
    ");
    insta::assert_snapshot!(refused(&["--type", "y=int64"], 65), @r#"
    error: in.csv: no column named "y"; the header has: "n", "zip", "x", "d"
      help: write names as the header does, in upper and lower case too
    "#);
    let csv = project
        .run(&["convert", "in.csv", "no.csv", "--type", "n=int64"])
        .expect(2);
    insta::assert_snapshot!(said(&csv), @"error: --type gives a column of Parquet or JSON its type; CSV has none");
}

#[test]
fn dialects_are_found_given_and_made_canonical() {
    let project = Project::new();
    project.write("semi.txt", "a;b\n1;x,y\n2;'z'\n");
    let to_csv = |args: &[&str]| {
        let all = [&["convert", "semi.txt", "-", "--to", "csv"], args].concat();
        project.run(&all).expect(0).stdout
    };
    assert_eq!(
        to_csv(&[]),
        "a;b\n1;x,y\n2;'z'\n",
        "only the wrapper changes"
    );
    assert_eq!(to_csv(&["--canonical"]), "a,b\n1,\"x,y\"\n2,'z'\n");
    assert_eq!(
        to_csv(&["--canonical", "--quote", "'"]),
        "a,b\n1,\"x,y\"\n2,z\n"
    );
    assert_eq!(
        to_csv(&["--canonical", "--delimiter", "tab", "--quote", "~"]),
        "a;b\n\"1;x,y\"\n2;'z'\n"
    );
    assert_eq!(to_csv(&["--output-header", "no"]), "1,\"x,y\"\n2,'z'\n");
    project.write("bare.csv", "1,x\n2,y\n");
    let columns = |header: &str| {
        project
            .run(&[
                "convert",
                "bare.csv",
                "o.parquet",
                "--header",
                header,
                "--overwrite",
            ])
            .expect(0);
        table(&project, "o.parquet")
    };
    assert_eq!(columns("no").0, "column_1:INT64 column_2:string");
    assert_eq!(columns("auto"), columns("no"));
    assert_eq!(columns("yes").0, "1:INT64 x:string");
    let wrong = project
        .run(&["convert", "bare.csv", "x.csv", "--delimiter", "ab"])
        .expect(2);
    assert!(
        wrong.stderr.contains("expected one ASCII character"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn columns_are_chosen_dropped_and_renamed() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    let out = |args: &[&str]| {
        let all = [&["convert", "in.csv", "-", "--to", "csv"], args].concat();
        project.run(&all).expect(0).stdout
    };
    assert_eq!(
        out(&["--select", "name,id"]),
        "name,id\nAda,1\n\"a, b\",2\n,3\n"
    );
    assert_eq!(out(&["--drop", "at,name"]), "id\n1\n2\n3\n");
    assert_eq!(
        out(&["--drop", "at", "--rename", "id=key"]),
        "key,name\n1,Ada\n2,\"a, b\"\n3,\n"
    );
    assert_eq!(
        out(&["--limit-rows", "1", "--drop", "at"]),
        "id,name\n1,Ada\n"
    );
    project
        .run(&[
            "convert",
            "in.csv",
            "o.parquet",
            "--select",
            "at,id",
            "--rename",
            "at=when",
        ])
        .expect(0);
    assert_eq!(
        table(&project, "o.parquet").0,
        "when:timestamp(micros, utc) id:INT64"
    );
    let refused = |args: &[&str]| {
        let all = [&["convert", "in.csv", "x.csv"], args].concat();
        said(&project.run(&all))
    };
    insta::assert_snapshot!(refused(&["--select", "nam"]), @r#"
    error: in.csv: no column named "nam"; the header has: "id", "name", "at"
      help: write names as the header does, in upper and lower case too
    "#);
    let semicolon = project.run(&[
        "convert",
        "in.csv",
        "x.csv",
        "--delimiter",
        ";",
        "--select",
        "id",
    ]);
    insta::assert_snapshot!(said(&semicolon.expect(65)), @r#"
    error: in.csv: no column named "id"; the header has: "id,name,at"
      help: if the header has more than one column, state the delimiter: source.delimiter (--delimiter)
    "#);
    insta::assert_snapshot!(refused(&["--rename", "id=at"]), @r#"error: two columns of the output would be named "at""#);
    insta::assert_snapshot!(refused(&["--drop", "id,name,at"]), @"error: no column is left to write: select more or drop fewer");
}

#[test]
fn several_inputs_are_one_table_if_they_agree() {
    let project = Project::new();
    project.write("a.csv", "k,v\n1,x\n");
    project.write("b.csv", "k,v\n2,y\n");
    project.write("c.csv", "k,w\n3,z\n");
    project
        .run(&["convert", "a.csv", "b.csv", "ab.csv"])
        .expect(0);
    assert_eq!(read(&project, "ab.csv"), b"k,v\n1,x\n2,y\n");
    let done = project
        .run(&["convert", "a.csv", "c.csv", "ac.parquet"])
        .expect(65);
    insta::assert_snapshot!(said(&done), @r#"error: c.csv: the header differs from that of a.csv: missing "v"; extra "w""#);
}

#[test]
fn a_header_alone_is_an_empty_table() {
    let project = Project::new();
    project.write("head.csv", "a,b\n");
    for output in ["o.csv", "o.csv.gz", "o.csv.sz", "o.parquet"] {
        let answer = project
            .run(&["convert", "head.csv", output, "--output", "json"])
            .expect(0)
            .json();
        assert_eq!(
            (&answer["rows"]["source"], &answer["rows"]["written"]),
            (&0.into(), &0.into()),
            "{output}"
        );
    }
    for wrapped in ["o.csv.gz", "o.csv.sz"] {
        project
            .run(&["convert", wrapped, "back.csv", "--overwrite"])
            .expect(0);
        assert_eq!(read(&project, "back.csv"), b"a,b\n");
    }
    judge(
        "compare_table.py",
        &[
            project.path("head.csv").to_str().unwrap(),
            project.path("o.parquet").to_str().unwrap(),
        ],
    )
    .expect(0);
}

#[test]
fn answers_for_programs() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    let json = ["--output", "json", "--result-file", "result.json"];
    let mut answer = project
        .run(&[&["convert", "in.csv", "o.parquet"], &json[..]].concat())
        .expect(0)
        .json();
    let stored: Value = serde_json::from_slice(&read(&project, "result.json")).unwrap();
    assert_eq!(stored, answer);
    assert!(answer["seconds"].as_f64().unwrap() >= 0.0);
    answer["seconds"] = 0.into();
    insta::assert_snapshot!(answer.to_string(), @r#"{"status":"succeeded","exit":0,"rows":{"source":3,"quarantined":0,"unlabelled":0,"written":3},"split":null,"quarantine":{},"output":{"uri":null,"path":"o.parquet","files":["o.parquet"],"rows":3},"dialect":{"delimiter":",","quote":"\"","escape":null,"comment":null,"header":true,"found":"default","confidence":0.99},"schema":[{"name":"id","type":"int64","nullable":false},{"name":"name","type":"string","nullable":true},{"name":"at","type":"timestamp_utc","nullable":true}],"seconds":0,"error":null}"#);
    let failed = project
        .run(&[&["convert", "absent.csv", "p.parquet"], &json[..]].concat())
        .expect(66);
    let stored: Value = serde_json::from_slice(&read(&project, "result.json")).unwrap();
    assert_eq!(stored, failed.json());
    insta::assert_snapshot!(stored.to_string(), @r#"{"status":"failed","exit":66,"error":{"message":"cannot open absent.csv: No such file or directory (os error 2)","help":"check the path of the input","problems":[]}}"#);
    let usage = project
        .run(&[&["convert", "in.csv", "p.parquet", "--nope"], &json[..]].concat())
        .expect(2);
    assert_eq!(usage.json()["exit"], 2);
    // A stream leaves standard output to the data; the answer is in the file.
    let stream = [
        "convert",
        "in.csv",
        "-",
        "--to",
        "csv",
        "--result-file",
        "result.json",
    ];
    assert_eq!(project.run(&stream).expect(0).stdout, SMALL);
    let stored: Value = serde_json::from_slice(&read(&project, "result.json")).unwrap();
    assert_eq!(stored["rows"]["written"], 3);
}

#[test]
fn more_is_said_when_asked() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    let quiet = project.run(&["convert", "in.csv", "a.parquet"]).expect(0);
    assert_eq!(quiet.stderr, "");
    let done = project
        .run(&["convert", "in.csv", "b.parquet", "-v"])
        .expect(0);
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(lines[0], "delimiter ',', quote '\"', a header");
    assert_eq!(
        lines[1],
        "columns: id int64, name string or null, at timestamp_utc or null"
    );
    assert!(
        lines[2].starts_with("b.parquet: 3 rows, ") && lines[2].contains("SHA-256 "),
        "{}",
        lines[2]
    );
    let json = project
        .run(&[
            "convert",
            "in.csv",
            "c.parquet",
            "-v",
            "--log-format",
            "json",
        ])
        .expect(0);
    for line in json.stderr.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
}
