//! A contract in a file of its own.

use gristmill_plan::spec::{ColumnType, Columns, ContractColumn};
use gristmill_plan::{contract_yaml, parse_contract};
use proptest::prelude::*;

use crate::support::{problems_of, spec, try_spec};

const IN_FILE: (&str, &str) = (
    "uri: data/*.csv",
    "uri: data/*.csv\n  columns: ../contracts/flights.yaml",
);

fn column(name: &str, column_type: ColumnType) -> ContractColumn {
    ContractColumn {
        name: name.to_owned(),
        column_type,
        nullable: true,
        null_tokens: Vec::new(),
        min: None,
        max: None,
        allowed: Vec::new(),
        sensitive: false,
    }
}

#[test]
fn a_file_stands_for_the_list_in_it() {
    assert_eq!(problems_of(&[IN_FILE]), "");
    let Columns::Contract(columns) = spec(&[IN_FILE]).source.columns else {
        panic!("not a contract")
    };
    let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["month", "day", "flight", "distance", "tailnum"]);
    assert_eq!((columns[0].min, columns[0].max), (Some(1.0), Some(12.0)));
    assert!(!columns[2].nullable && columns[4].sensitive);
    // Templates are not rendered in it.
    assert_eq!(columns[4].null_tokens, ["{{ x }}"]);
}

#[test]
fn the_path_may_be_a_template() {
    let text = crate::support::edited(&[
        IN_FILE,
        (
            "params:\n",
            "params:\n  table: { type: string, required: true }\n",
        ),
    ])
    .replace("flights.yaml", "{{ params.table }}.yaml");
    assert!(try_spec(&text, &[("table", "flights")]).is_ok());
    let error = try_spec(&text, &[("table", "ships")]).unwrap_err();
    insta::assert_snapshot!(error, @r"
    p.yaml:10:12: `source.columns`: cannot read the contract `../contracts/ships.yaml`: no such file
      help: expected `infer`, `text`, or the path of a contract relative to this file; `gristmill inspect FILE --contract` writes one
    ");
    // Offline the table is not known, so nothing is said about it.
    assert_eq!(crate::support::problems(&text), "");
}

#[test]
fn every_mistake_is_at_its_own_place() {
    insta::assert_snapshot!(problems_of(&[
        ("uri: data/*.csv", "uri: data/*.csv\n  columns: wrong.yaml"),
        ("format: csv", "format: cvs"),
    ]), @r"
    [bad-value] p.yaml:14:11: `shards.format`: expected `csv`, `csv.gz`, `csv.sz`, `csv.snappy`, `csv.zst`, `jsonl`, `jsonl.gz`, `jsonl.sz`, `jsonl.snappy`, `jsonl.zst` or `parquet`, found `cvs`
      help: did you mean `csv`?
    [conflict] wrong.yaml:1:32: `a`: `min` 9 is above `max` 0
    [column] wrong.yaml:2:11: the contract names `a` twice
    [bad-value] wrong.yaml:2:20: `columns[1].type`: expected `int64`, `float64`, `boolean`, `date`, `timestamp`, `timestamp_utc` or `string`, found `text`
    [unknown-key] wrong.yaml:2:26: unknown key `kind` in `columns[1]`
      help: the keys here are name, type, nullable, null_tokens, min, max, allowed, sensitive
    [missing-key] wrong.yaml:3:3: `columns[2]` needs the key `name`
      help: `name`: The column's name in the header.
    ");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: data/*.csv\n  columns: Infer")]), @r"
    [bad-value] p.yaml:9:12: `source.columns`: cannot read the contract `Infer`: no such file
      help: did you mean `infer`?
    ");
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: data/*.csv\n  columns: s3://abc/c.yaml")]), @"[bad-value] p.yaml:9:12: `source.columns`: `s3://abc/c.yaml` must be a local path");
}

#[test]
fn what_is_not_a_contract_is_told() {
    let wrong = |text: &str| parse_contract(text, "c.yaml").unwrap_err().to_string();
    insta::assert_snapshot!(wrong("# nothing\n"), @r"
    c.yaml:1:1: the file holds no contract
      help: a contract is a list: `- { name: NAME, type: int64 }` for each column
    ");
    insta::assert_snapshot!(wrong("columns: []\n"), @"c.yaml:1:1: `columns`: expected a list, found a mapping");
    insta::assert_snapshot!(wrong("[]"), @"c.yaml:1:1: `columns` must not be empty");
    assert!(wrong("- { name: a\n").starts_with("c.yaml:"));
}

#[test]
fn a_contract_is_written_in_one_form() {
    let mut id = column("id", ColumnType::Int64);
    (id.nullable, id.min, id.max) = (false, Some(0.0), Some(2.5));
    let mut odd = column("no", ColumnType::String);
    odd.null_tokens = vec!["-".into(), "NULL".into()];
    odd.allowed = vec!["yes".into(), "a \"b\"\n\u{7}".into(), "1".into()];
    odd.sensitive = true;
    let columns = [id, odd, column("naïve, name", ColumnType::TimestampUtc)];
    let yaml = contract_yaml(&columns);
    insta::assert_snapshot!(yaml, @r#"
    # A contract: every column of the input, in order, and what its values must be.
    # In a pipeline: `source: { columns: THIS_FILE }`, relative to the pipeline.
    # Types: int64, float64, boolean, date, timestamp, timestamp_utc, string. Further keys, all
    # optional: nullable (by default true), null_tokens, min, max, allowed, sensitive.
    - { name: id, type: int64, nullable: false, min: 0, max: 2.5 }
    - { name: "no", type: string, null_tokens: ["-", "NULL"], allowed: ["yes", "a \"b\"\n\u0007", "1"], sensitive: true }
    - { name: "naïve, name", type: timestamp_utc }
    "#);
    assert_eq!(parse_contract(&yaml, "c.yaml").unwrap(), columns);
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(any::<String>(), 0..4)
}

fn any_column() -> impl Strategy<Value = ContractColumn> {
    let types = proptest::sample::select(vec![
        ColumnType::Boolean,
        ColumnType::Date,
        ColumnType::Timestamp,
        ColumnType::TimestampUtc,
        ColumnType::String,
    ]);
    let name = "[^ \t\r\n].{0,8}|[a-z_]{1,6}|[0-9]{1,3}|true|null|~";
    (name, types, any::<[bool; 2]>(), texts(), texts()).prop_map(
        |(name, column_type, [nullable, sensitive], null_tokens, allowed)| ContractColumn {
            nullable,
            sensitive,
            null_tokens,
            allowed,
            ..column(&name, column_type)
        },
    )
}

proptest! {
    #[test]
    fn a_contract_comes_back(column in any_column()) {
        prop_assume!(!column.name.trim().is_empty());
        let columns = vec![column];
        let yaml = contract_yaml(&columns);
        prop_assert_eq!(parse_contract(&yaml, "c.yaml"), Ok(columns), "{}", yaml);
    }

    #[test]
    fn bounds_come_back(min in -1e300..1e300f64, more in 0.0..1e9f64) {
        let number = ContractColumn {
            min: Some(min),
            max: Some(min + more),
            ..column("n", ColumnType::Float64)
        };
        let columns = vec![number];
        prop_assert_eq!(parse_contract(&contract_yaml(&columns), "c.yaml"), Ok(columns));
    }

    #[test]
    fn any_text_is_refused_or_read(text in any::<String>()) {
        let _ = parse_contract(&text, "c.yaml");
    }
}
