//! `source`: readiness, formats, new columns.

use gristmill_plan::spec::{OnNewColumn, Ready, SourceFormat};

use crate::support::{problems_of, spec};

fn source(lines: &str) -> (&'static str, String) {
    ("uri: data/*.csv", format!("uri: data/*.csv\n  {lines}"))
}

fn mistakes(lines: &str) -> String {
    let (from, to) = source(lines);
    problems_of(&[(from, &to)])
}

#[test]
fn defaults_and_what_is_written() {
    let plain = spec(&[]).source;
    assert_eq!(
        (plain.format, plain.on_new_column, plain.ready),
        (None, OnNewColumn::Ignore, None)
    );
    let (from, to) = source(
        "format: parquet\n  ready: { marker: _SUCCESS, wait: 2h }\n  columns: ../contracts/flights.yaml\n  on_new_column: fail",
    );
    let written = spec(&[(from, &to)]).source;
    assert_eq!(written.format, Some(SourceFormat::Parquet));
    assert_eq!(written.on_new_column, OnNewColumn::Fail);
    let ready = |marker: &str, wait| Ready {
        marker: marker.into(),
        wait,
    };
    assert_eq!(written.ready, Some(ready("_SUCCESS", Some(7200))));
    let (from, to) = source("ready: { marker: done.flag }");
    assert_eq!(
        spec(&[(from, &to)]).source.ready,
        Some(ready("done.flag", None))
    );
}

#[test]
fn a_marker_is_a_name() {
    for wrong in ["a/b", "'..'", "'*.done'", "''", "'a\\b'"] {
        let found = mistakes(&format!("ready: {{ marker: {wrong} }}"));
        assert!(
            found.starts_with("[bad-value] p.yaml:9:20: `source.ready.marker`: "),
            "{found}"
        );
    }
    insta::assert_snapshot!(mistakes("ready: { wait: 2 hours }"), @r"
    [missing-key] p.yaml:9:3: `source.ready` needs the key `marker`
      help: `marker`: The name of a file or object that is put beside the inputs once they are complete, such as `_SUCCESS`.
    [bad-value] p.yaml:9:18: `source.ready.wait`: `2 hours` is not a duration; write for example 90s, 20m, 2h or 3h30m
    ");
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: '-'\n  ready: { marker: x }")]), @r"
    [conflict] p.yaml:9:3: `source.ready` cannot be used with standard input
      help: nothing lies beside `-`: its end is what shows that it is complete
    ");
}

#[test]
fn new_columns_need_a_contract() {
    insta::assert_snapshot!(mistakes("on_new_column: warn"), @r"
    [conflict] p.yaml:9:18: `source.on_new_column` has no effect with `source.columns: infer`
      help: a column is new to a contract: give one in `source.columns`, or remove this
    ");
    for contract in ["[{ name: a, type: int64 }]", "../contracts/flights.yaml"] {
        assert_eq!(
            mistakes(&format!("on_new_column: warn\n  columns: {contract}")),
            ""
        );
    }
}

#[test]
fn a_dialect_is_for_csv() {
    assert_eq!(
        mistakes("format: csv\n  delimiter: ';'\n  header: false"),
        ""
    );
    assert_eq!(mistakes("quote: none\n  skip_lines: 2"), "");
    insta::assert_snapshot!(mistakes("quote: no\n  skip_lines: -1"), @"
    [bad-value] p.yaml:9:10: `source.quote`: `no` is not one ASCII character
    [bad-value] p.yaml:10:15: `source.skip_lines`: expected an integer from 0 to 1000000, found -1
    ");
    insta::assert_snapshot!(mistakes("format: jsonl\n  delimiter: ';'\n  header: true"), @r"
    [conflict] p.yaml:10:14: `source.delimiter` is for CSV; it has no effect with `format: jsonl`
      help: remove one of them
    [conflict] p.yaml:11:11: `source.header` is for CSV; it has no effect with `format: jsonl`
      help: remove one of them
    ");
}
