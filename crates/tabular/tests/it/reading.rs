//! Scans: types over the whole input, contracts, bad rows with their places.

use std::io::Cursor;
use std::sync::Arc;

use gristmill_tabular::{
    BadReason, Column, ColumnType, Dialect, Format, Input, OnBadRow, Scan, ScanOptions, Schema,
    TabularError, Typing, scan::scan,
};
use proptest::prelude::*;

pub(crate) fn named(name: &str, text: &[u8]) -> Input {
    let text = text.to_vec();
    let open = move || -> std::io::Result<Box<dyn std::io::Read + Send>> {
        Ok(Box::new(Cursor::new(text.clone())))
    };
    Input::new(name, Format::CSV, Arc::new(open))
}

pub(crate) fn input(text: &str) -> Input {
    named("a.csv", text.as_bytes())
}

pub(crate) fn options() -> ScanOptions {
    ScanOptions {
        threads: 2,
        ..ScanOptions::default()
    }
}

pub(crate) const LENIENT: OnBadRow = OnBadRow::Quarantine {
    max_ratio: None,
    max_rows: None,
};

fn scanned(text: &str) -> Scan {
    scan(&[input(text)], &options(), &()).unwrap()
}

fn failure(text: &str, options: &ScanOptions) -> TabularError {
    scan(&[input(text)], options, &()).unwrap_err()
}

/// `name:type`, with `?` where nullable.
fn types(scan: &Scan) -> String {
    let show = |c: &Column| {
        format!(
            "{}:{}{}",
            c.name,
            c.column_type,
            if c.nullable { "?" } else { "" }
        )
    };
    scan.schema
        .columns
        .iter()
        .map(show)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn types_hold_every_row_unchanged() {
    let scan = scanned(
        "int,float,mixed,bool,date,ts,utc,zip,big,comma\n\
         1,1.5,1,true,2024-01-01,2024-01-01 10:00,2024-01-01T10:00Z,00501,1,\"1,5\"\n\
         -2,2,x,FALSE,2024-12-31,2024-01-01T10:00:00.5,2024-01-01T10:00+01:00,10001,12345678901234567890,2\n",
    );
    insta::assert_snapshot!(types(&scan), @"int:int64 float:float64 mixed:string bool:boolean date:date ts:timestamp utc:timestamp_utc zip:string big:string comma:string");
    assert_eq!(
        (scan.rows_source, scan.rows_accepted, scan.files.len()),
        (2, 2, 1)
    );
}

#[test]
fn null_tokens_are_nulls_only_where_the_column_is_not_text() {
    let scan =
        scanned("n,t,empty,all,quoted,both\n1,a,,NA,\"\",1\nNA,NA,,,5,\"NA\"\nNaN,b,,null,6,2\n");
    insta::assert_snapshot!(types(&scan), @"n:int64? t:string empty:string? all:string? quoted:string both:string");
    assert!(
        scan.schema.columns[0]
            .null_tokens
            .contains(&"NA".to_owned())
    );
    assert!(scan.schema.columns[1].null_tokens.is_empty());
    assert!(
        scan.schema.columns[3]
            .null_tokens
            .contains(&"NA".to_owned())
    );
}

#[test]
fn tokens_of_the_user_count_everywhere() {
    let options = ScanOptions {
        null_tokens: vec!["-".into()],
        ..options()
    };
    let scan = scan(&[input("n,t\n1,a\n-,-\n")], &options, &()).unwrap();
    insta::assert_snapshot!(types(&scan), @"n:int64? t:string?");
    assert_eq!(scan.schema.columns[1].null_tokens, ["-"]);
}

#[test]
fn integers_too_large_for_doubles_beside_floats_are_text() {
    insta::assert_snapshot!(types(&scanned("a,b\n1.5,1\n9007199254740993,1.5\n")), @"a:string b:float64");
}

#[test]
fn a_header_alone_is_an_empty_table() {
    let scan = scanned("\u{feff}a,\"b\"\"c\"\r\n");
    assert_eq!(scan.header, ["a", "b\"c"]);
    assert_eq!(
        (scan.rows_source, scan.schema.columns[0].column_type),
        (0, ColumnType::String)
    );
}

#[test]
fn headers_that_name_nothing_are_refused() {
    let message = |text: &str| failure(text, &options()).to_string();
    insta::assert_snapshot!(message(""), @"a.csv: the file is empty: expected at least a header line");
    insta::assert_snapshot!(message("\u{feff}\n\n"), @"a.csv: the file is empty: expected at least a header line");
    insta::assert_snapshot!(message("a,b,a\n"), @r#"a.csv:1: header: columns 1 and 3 are both named "a": rename one of them, or read the file without a header (source.header: false, --header no)"#);
    insta::assert_snapshot!(message("\na,,\n"), @"a.csv:2: header: column 2 of 3 has no name: give it one, or read the file without a header (source.header: false, --header no); if the table begins further down, skip the lines before it (source.skip_lines, --skip-lines)");
    assert_eq!(
        message(",5,c\n"),
        message("\n,b\n")
            .replace(":2:", ":1:")
            .replace("of 2", "of 3")
    );
    let error = scan(&[named("a.csv", b"a,\xff\n")], &options(), &()).unwrap_err();
    insta::assert_snapshot!(error, @"a.csv:1: header: the name of column 2 is not UTF-8: name the encoding (source.encoding, --encoding)");
    assert!(matches!(
        scan(&[], &options(), &()),
        Err(TabularError::NoInput)
    ));
}

#[test]
fn one_name_may_be_missing_among_others() {
    let names = |text: &str| {
        scan(&[input(text)], &options(), &())
            .unwrap()
            .header
            .join(" ")
    };
    assert_eq!(names("a,,c\n1,2,3\n"), "a column_2 c");
    assert_eq!(names("a,b,\n1,2,\n"), "a b column_3");
    assert_eq!(names(",a,b\n1,2,3\n"), "column_1 a b");
}

#[test]
fn lines_before_the_table_are_skipped() {
    for (text, skip_lines) in [
        ("x,\"\n\na,b\n1,2\n", 2),
        ("\u{feff}x\r\na,b\r\n1,2", 1),
        ("x\r\ra,b\r1,2\r", 2),
        ("a,b\n1,2\n", 0),
    ] {
        let dialect = Dialect {
            skip_lines,
            ..Dialect::default()
        };
        let options = ScanOptions {
            dialect,
            ..options()
        };
        for block_bytes in [1, 2, 3, 5, 100] {
            let options = ScanOptions {
                block_bytes,
                ..options.clone()
            };
            let scan = scan(&[input(text)], &options, &()).unwrap();
            assert_eq!(
                (scan.header.join(" "), scan.rows_source),
                ("a b".into(), 1),
                "{text:?}"
            );
        }
        let end = if text.ends_with(['\n', '\r']) {
            ""
        } else {
            "\n"
        };
        let bad = failure(&format!("{text}{end}3\n"), &options).to_string();
        let line = 3 + skip_lines;
        assert!(bad.starts_with(&format!("a.csv:{line}: record 2")), "{bad}");
        let bare = Dialect {
            header: false,
            ..options.dialect
        };
        let options = ScanOptions {
            dialect: bare,
            ..options
        };
        assert_eq!(scan(&[input(text)], &options, &()).unwrap().rows_source, 2);
    }
    let dialect = Dialect {
        skip_lines: 3,
        ..Dialect::default()
    };
    let past = failure(
        "a\n1\n",
        &ScanOptions {
            dialect,
            ..options()
        },
    );
    insta::assert_snapshot!(past, @"a.csv: the file is empty: expected at least a header line after the lines to skip (skip_lines)");
}

#[test]
fn inputs_of_one_pass_have_one_header() {
    let both = |second: &str| {
        let inputs = [input("a,b\n1,2\n"), named("b.csv", second.as_bytes())];
        scan(&inputs, &options(), &())
    };
    assert_eq!(both("a,b\n3,x\n").unwrap().files[1].rows, 1);
    insta::assert_snapshot!(both("a,c\n").unwrap_err(), @r#"b.csv: the header differs from that of a.csv: missing "b"; extra "c""#);
    insta::assert_snapshot!(both("b,a\n").unwrap_err(), @r#"b.csv: the header differs from that of a.csv: the same columns in another order: "b", "a""#);
}

/// Good rows with one bad one of each kind planted.
fn planted(rows: usize) -> Vec<u8> {
    let mut text = b"id,name\r\n".to_vec();
    for i in 0..rows {
        match i {
            7 => text.extend_from_slice(b"7\n"),
            11 => text.extend_from_slice(b"11,\"a\"b\n"),
            13 => text.extend_from_slice(b"13,\xff\n"),
            _ => text.extend_from_slice(format!("{i},\"n\n{i}\"\n").as_bytes()),
        }
    }
    text
}

#[test]
fn the_first_bad_row_is_the_same_whatever_runs_in_parallel() {
    for threads in [1, 3, 8] {
        for block_bytes in [1, 7, 64, 1 << 20] {
            let options = ScanOptions {
                threads,
                block_bytes,
                ..options()
            };
            let error = scan(&[named("a.csv", &planted(40))], &options, &()).unwrap_err();
            insta::allow_duplicates! {
                insta::assert_snapshot!(error, @"a.csv:16: record 8 (byte 65): expected 2 fields, found 1 field");
            }
        }
    }
}

#[test]
fn bad_rows_are_counted_by_reason_and_held_against_the_limit() {
    let run = |max_ratio, max_rows| {
        let options = ScanOptions {
            on_bad_row: OnBadRow::Quarantine {
                max_ratio,
                max_rows,
            },
            block_bytes: 50,
            ..options()
        };
        scan(&[named("a.csv", &planted(40))], &options, &())
    };
    let scan = run(None, None).unwrap();
    let counts: Vec<_> = scan.bad.iter().map(|(r, n)| (*r, *n)).collect();
    assert_eq!(
        counts,
        [
            (BadReason::Ragged, 1),
            (BadReason::Quote, 1),
            (BadReason::Encoding, 1)
        ]
    );
    assert_eq!((scan.rows_source, scan.rows_accepted), (40, 37));
    assert!(run(Some(0.075), Some(3)).is_ok());
    insta::assert_snapshot!(run(Some(0.05), None).unwrap_err(), @"3 of 40 rows are bad, more than the limit of 5 % of rows; the first is a.csv:16: record 8 (byte 65): expected 2 fields, found 1 field");
    insta::assert_snapshot!(run(None, Some(2)).unwrap_err(), @"3 of 40 rows are bad, more than the limit of 2 rows; the first is a.csv:16: record 8 (byte 65): expected 2 fields, found 1 field");
}

fn contract(columns: Vec<Column>) -> ScanOptions {
    ScanOptions {
        typing: Typing::Contract(Schema { columns }),
        ..options()
    }
}

#[test]
fn a_contract_names_the_column_at_fault() {
    let age = Column {
        nullable: false,
        min: Some(0.0),
        max: Some(150.0),
        ..Column::new("age", ColumnType::Int64)
    };
    let plan = Column {
        allowed: vec!["free".into(), "paid".into()],
        ..Column::new("plan", ColumnType::String)
    };
    let secret = Column {
        sensitive: true,
        ..Column::new("secret", ColumnType::Float64)
    };
    let options = contract(vec![plan, age, secret]);
    let message = |row: &str| failure(&format!("x,age,plan,secret\n{row}\n"), &options).to_string();
    insta::assert_snapshot!(message("?,x,free,"), @r#"a.csv:2: record 1 (byte 18), column "age": expected int64, found "x""#);
    insta::assert_snapshot!(message("?,,free,"), @r#"a.csv:2: record 1 (byte 18), column "age": expected int64, not null, found an empty cell"#);
    insta::assert_snapshot!(message("?,NA,free,"), @r#"a.csv:2: record 1 (byte 18), column "age": expected int64, not null, found "NA""#);
    insta::assert_snapshot!(message("?,151,free,"), @r#"a.csv:2: record 1 (byte 18), column "age": expected a number from 0 to 150, found "151""#);
    insta::assert_snapshot!(message("?,1,gold,"), @r#"a.csv:2: record 1 (byte 18), column "plan": expected one of "free", "paid", found "gold""#);
    insta::assert_snapshot!(message("?,1,free,4711x"), @r#"a.csv:2: record 1 (byte 18), column "secret": expected float64, found ***"#);
    insta::assert_snapshot!(message("?,1,free,\"4711\"x"), @r#"a.csv:2: record 1 (byte 18): expected a delimiter or the line's end after a closing ", found ***"#);
    let fine = scan(
        &[input("x,age,plan,secret\n?,1,free,NA\n?,150,,1e5\n")],
        &options,
        &(),
    )
    .unwrap();
    insta::assert_snapshot!(types(&fine), @"age:int64 plan:string? secret:float64?");
}

#[test]
fn a_contract_lists_all_columns_that_are_missing() {
    let columns = ["a", "b", "c"].map(|n| Column::new(n, ColumnType::String));
    let error = failure("b,d\n", &contract(columns.to_vec()));
    insta::assert_snapshot!(error, @r#"a.csv: no column named "a", "c"; the header has: "b", "d""#);
}

#[test]
fn a_record_beyond_the_limit_is_named_whatever_the_block_size() {
    let text = format!("a,b\n1,2\n\"{}\",3\n4,5\n", "x\n".repeat(50));
    for block_bytes in [1, 64, 300, 1 << 20] {
        let options = ScanOptions {
            max_record: 64,
            block_bytes,
            ..options()
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(failure(&text, &options), @"a.csv:3: the record that starts here (byte 8) is longer than 64 bytes; look for an unclosed quote, or raise max_record");
        }
    }
}

#[test]
fn an_unclosed_quote_is_a_bad_row_at_its_line() {
    let error = failure("a,b\n1,2\n3,\"four\n5,6\n", &options());
    insta::assert_snapshot!(error, @r#"a.csv:3: record 2 (byte 8): expected a closing " before the end of the file, found "\"four\n5,6\n""#);
}

#[test]
fn only_the_first_rows_are_read() {
    let inputs = [input("a\n1\n2\n3\n"), named("b.csv", b"a\nx\n")];
    let options = ScanOptions {
        limit_rows: Some(2),
        ..options()
    };
    let scan = scan(&inputs, &options, &()).unwrap();
    assert_eq!((scan.rows_source, scan.files.len()), (2, 1));
    insta::assert_snapshot!(types(&scan), @"a:int64");
}

#[test]
fn options_that_cannot_work_are_refused() {
    let clash = ScanOptions {
        dialect: Dialect {
            quote: b',',
            ..Dialect::default()
        },
        ..options()
    };
    insta::assert_snapshot!(failure("a\n", &clash), @"delimiter and quote are both ',': choose another for one");
    let newline = ScanOptions {
        dialect: Dialect {
            delimiter: b'\n',
            ..Dialect::default()
        },
        ..options()
    };
    insta::assert_snapshot!(failure("a\n", &newline), @"delimiter: expected one ASCII character that is no line end, found byte 0x0a");
    let ratio = ScanOptions {
        on_bad_row: OnBadRow::Quarantine {
            max_ratio: Some(1.5),
            max_rows: None,
        },
        ..options()
    };
    insta::assert_snapshot!(failure("a\n", &ratio), @"max_ratio: expected 0 to 1, found 1.5");
}

struct Stops;

impl gristmill_tabular::Progress for Stops {
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn a_pass_can_be_cancelled() {
    assert!(matches!(
        scan(&[input("a\n1\n")], &options(), &Stops),
        Err(TabularError::Cancelled)
    ));
}

#[test]
fn streams_are_read_twice_from_their_spill() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a,b\n1,x\n2,y\n";
    let stream = Input::spilled("stdin", None, Box::new(Cursor::new(text)), folder.path()).unwrap();
    for _ in 0..2 {
        let scan = scan(std::slice::from_ref(&stream), &options(), &()).unwrap();
        assert_eq!((scan.rows_source, scan.bytes), (2, 12));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(stream);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn blocks_and_threads_change_nothing(
        body in "([a1.,\"\n-]|NA,|1\\.5\n|true,|\"\"\n|\r){0,60}",
        block_bytes in 1usize..80,
        threads in 1usize..5,
    ) {
        let text = format!("a,b\n{body}");
        let options = ScanOptions { on_bad_row: LENIENT, ..options() };
        let whole = scan(&[input(&text)], &options, &()).unwrap();
        let cut = scan(&[input(&text)], &ScanOptions { block_bytes, threads, ..options }, &()).unwrap();
        prop_assert_eq!(whole, cut);
    }
}
