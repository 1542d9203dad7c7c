//! CSV in other dialects than the usual one: what `inspect` says, what `convert` and pipelines do without
//! being told, and what they refuse.

use crate::converting::{read, said};
use crate::project::Project;

const PREAMBLE: &str =
    "Sales of May\nin thousands\n\nid;shop;sum\n1;Ada, Ltd;0,5\n2;\"Bob; Sons\";1,5\n3;Cy;2,5\n";

fn project(files: &[(&str, &str)]) -> Project {
    let project = Project::new();
    for (name, text) in files {
        project.write(name, text);
    }
    project
}

#[test]
fn inspect_shows_each_part_and_how_to_state_it() {
    let project = project(&[
        ("pre.csv", PREAMBLE),
        ("bare.csv", "1,2.5,x\n2,3.5,y\n3,4.5,z\n"),
        ("odd.csv", "a|b\n'x|y'|1\n'z'|2\n# note\n'w'|3\n"),
    ]);
    let seen = |file: &str| {
        let text = project
            .run(&["inspect", file, "--rows", "1"])
            .expect(0)
            .stdout;
        let lines = text.lines().filter(|l| !l.contains("bytes"));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(seen("pre.csv"), @r#"
    dialect      delimiter ';', quote '"', 3 lines skipped, a header (confidence 0.83)
      confidence delimiter 0.83, quote 0.68, escape 0.50, comment 0.50, skip-lines 0.80, header 0.94
      options    --delimiter ';' --skip-lines 3
    rows         3, 0 of them bad
    columns      3
      id    int64
      shop  string
      sum   string
    first rows
      "1"  "Ada, Ltd"  "0,5"
    "#);
    insta::assert_snapshot!(seen("bare.csv"), @r#"
    dialect      delimiter ',', quote '"', no header (confidence 0.97)
      confidence delimiter 0.97, quote 0.50, escape 0.50, comment 0.50, skip-lines 0.95, header 0.73
      options    --header no
    rows         3, 0 of them bad
    columns      3
      column_1  int64
      column_2  float64
      column_3  string
    first rows
      "1"  "2.5"  "x"
    "#);
    insta::assert_snapshot!(seen("odd.csv"), @r#"
    dialect      delimiter '|', quote '\'', comment '#', a header (confidence 0.92)
      confidence delimiter 0.92, quote 0.65, escape 0.50, comment 0.80, skip-lines 0.95, header 0.88
      options    --delimiter '|' --quote "'" --comment '#'
    rows         3, 0 of them bad
    columns      2
      a  string
      b  int64
    first rows
      "x|y"  "1"
    "#);
    let stated = [
        "inspect",
        "pre.csv",
        "--delimiter",
        ";",
        "--skip-lines",
        "3",
        "--output",
        "json",
    ];
    let stated = project.run(&stated).expect(0).json();
    insta::assert_snapshot!(stated["dialect"], @r#"{"delimiter":";","quote":"\"","escape":null,"comment":null,"header":true,"skip_lines":3}"#);
    insta::assert_snapshot!(stated["confidences"], @r#"{"delimiter":1.0,"quote":0.68,"escape":0.5,"comment":0.5,"skip_lines":1.0,"header":0.94}"#);
}

#[test]
fn convert_says_which_dialect_it_found() {
    let project = project(&[
        ("semi.csv", "id;v\n1;0,5\n2;1,5\n"),
        ("tick.csv", "id,said\n1,'a, b'\n2,'it''s'\n"),
        ("back.csv", "id,said\n1,\"a \\\"b\\\", c\"\n2,\"d\"\n"),
        ("usual.csv", "id,said\n1,x;y\n2,'z'\n"),
    ]);
    let done = |file: &str| {
        let done = project
            .run(&["convert", file, "o.csv", "--canonical", "--overwrite"])
            .expect(0);
        let first = done.stdout.lines().skip(1).collect::<Vec<_>>().join("\n");
        assert_eq!(done.stderr, "");
        format!(
            "{first}\n{}",
            String::from_utf8(read(&project, "o.csv")).unwrap()
        )
    };
    insta::assert_snapshot!(done("semi.csv"), @r#"
    read with delimiter ';', quote '"', a header, as found in the data (confidence 0.63)
    id,v
    1,"0,5"
    2,"1,5"
    "#);
    insta::assert_snapshot!(done("tick.csv"), @r#"
    read with delimiter ',', quote '\'', a header, as found in the data (confidence 0.97)
    id,said
    1,"a, b"
    2,it's
    "#);
    insta::assert_snapshot!(done("back.csv"), @r#"
    read with delimiter ',', quote '"', escape '\\', a header, as found in the data (confidence 0.97)
    id,said
    1,"a ""b"", c"
    2,d
    "#);
    insta::assert_snapshot!(done("usual.csv"), @"
    id,said
    1,x;y
    2,'z'
    ");
    let json = |file: &str| {
        let args = [
            "convert",
            file,
            "o.parquet",
            "--overwrite",
            "--output",
            "json",
        ];
        project.run(&args).expect(0).json()["dialect"].to_string()
    };
    insta::assert_snapshot!(json("semi.csv"), @r#"{"delimiter":";","quote":"\"","escape":null,"comment":null,"header":true,"found":"detected","confidence":0.63}"#);
    insta::assert_snapshot!(json("usual.csv"), @r#"{"delimiter":",","quote":"\"","escape":null,"comment":null,"header":true,"found":"default","confidence":0.88}"#);
    let args = [
        "convert",
        "semi.csv",
        "o.parquet",
        "--overwrite",
        "--delimiter",
        ";",
        "--output",
        "json",
    ];
    assert_eq!(
        project.run(&args).expect(0).json()["dialect"]["found"],
        "stated"
    );
}

#[test]
fn what_is_not_sure_or_would_lose_lines_is_refused_with_the_option() {
    let project = project(&[
        ("pre.csv", PREAMBLE),
        ("unclear.csv", "a;b\n1;2\n3;4;5\n6;7;8;9\nx\n1;2\n5;6\n"),
        ("notes.csv", "# by hand\na,b\n1,2\n# half\n3,4\n"),
        ("inch.csv", "a\tb\n1\t5\" disk\n2\t\"7\" x\n"),
        ("open.csv", "a,b\n1,x\n2,\"y\n3,z\n"),
        (
            "long.csv",
            "a,b\n1,x\n2,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
        ),
        ("same.csv", "a,b,a\n1,2,3\n"),
        ("title.csv", "Title,,\n,,\nid,n,x\n1,2,a\n2,3,b\n"),
        ("bare.csv", "1,2.5,\n2,3.5,y\n"),
    ]);
    let refused = |file: &str| {
        let args = ["convert", file, "o.parquet", "--max-record", "20"];
        let args = if file == "long.csv" {
            &args[..]
        } else {
            &args[..3]
        };
        said(&project.run(args).expect(65))
    };
    insta::assert_snapshot!(refused("pre.csv"), @"
    error: bad row: pre.csv:4: record 2 (byte 27): expected 1 field, found 3 fields
      help: the data looks as if it needs --skip-lines 3 (`gristmill inspect` shows more); else mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    ");
    insta::assert_snapshot!(refused("unclear.csv"), @"error: unclear.csv: the delimiter is unclear: most records have 1 column with ',' and 2 columns with ';': state it (source.delimiter, --delimiter)");
    insta::assert_snapshot!(refused("notes.csv"), @"
    error: bad row: notes.csv:2: record 1 (byte 10): expected 1 field, found 2 fields
      help: the data looks as if it needs --comment '#' (`gristmill inspect` shows more); else mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    ");
    insta::assert_snapshot!(refused("inch.csv"), @r#"
    error: bad row: inch.csv:3: record 2 (byte 14): expected a delimiter or the line's end after a closing ", found " x"
      help: the data looks as if it needs --quote none (`gristmill inspect` shows more); else mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    "#);
    insta::assert_snapshot!(refused("open.csv"), @r#"
    error: bad row: open.csv:3: record 2 (byte 8): expected a closing " before the end of the file, found "\"y\n3,z\n"
      help: mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    "#);
    insta::assert_snapshot!(refused("long.csv"), @"error: long.csv:3: the record that starts here (byte 8) is longer than 20 bytes; look for an unclosed quote, or raise max_record");
    insta::assert_snapshot!(refused("same.csv"), @r#"error: same.csv:1: header: columns 1 and 3 are both named "a": rename one of them, or read the file without a header (source.header: false, --header no)"#);
    insta::assert_snapshot!(refused("title.csv"), @"
    error: title.csv:1: header: column 2 of 3 has no name: give it one, or read the file without a header (source.header: false, --header no); if the table begins further down, skip the lines before it (source.skip_lines, --skip-lines)
      help: the data looks as if it needs --skip-lines 2 (`gristmill inspect` shows more)
    ");
    insta::assert_snapshot!(refused("bare.csv"), @"
    error: bare.csv:1: header: column 3 of 3 has no name: give it one, or read the file without a header (source.header: false, --header no); if the table begins further down, skip the lines before it (source.skip_lines, --skip-lines)
      help: the data looks as if it needs --header no (`gristmill inspect` shows more)
    ");
}

#[test]
fn what_is_stated_is_done() {
    let project = project(&[
        ("pre.csv", PREAMBLE),
        ("cr.csv", "x\r\r\na,b\r1,2\r"),
        ("notes.csv", "# by hand\na,b\n1,2\n# half\n3,4\n"),
        ("inch.csv", "a\tb\n1\t5\" disk\n2\t\"7\" x\n"),
        ("last.csv", "a,b,\n1,2,\n3,4,\n"),
        ("title.csv", "Title,,\n,,\nid,n,x\n1,2,a\n"),
    ]);
    let canonical = |args: &[&str]| {
        let all = [&["convert"], args, &["--to", "csv", "--canonical"][..]].concat();
        project.run(&all).expect(0).stdout
    };
    insta::assert_snapshot!(canonical(&["pre.csv", "-", "--skip-lines", "3"]), @r#"
    id,shop,sum
    1,"Ada, Ltd","0,5"
    2,Bob; Sons,"1,5"
    3,Cy,"2,5"
    "#);
    insta::assert_snapshot!(canonical(&["cr.csv", "-", "--skip-lines", "2"]), @"
    a,b
    1,2
    ");
    insta::assert_snapshot!(canonical(&["notes.csv", "-", "--comment", "#"]), @"
    a,b
    1,2
    3,4
    ");
    insta::assert_snapshot!(canonical(&["inch.csv", "-", "--quote", "none"]), @r#"
    a,b
    1,"5"" disk"
    2,"""7"" x"
    "#);
    insta::assert_snapshot!(canonical(&["last.csv", "-"]), @"
    a,b,column_3
    1,2,
    3,4,
    ");
    insta::assert_snapshot!(canonical(&["title.csv", "-", "--skip-lines", "2", "--header", "no"]), @"
    column_1,column_2,column_3
    id,n,x
    1,2,a
    ");
    // The lines before a table are not copied with it.
    let plain = project.run(&[
        "convert",
        "title.csv",
        "-",
        "--to",
        "csv",
        "--skip-lines",
        "2",
    ]);
    assert_eq!(plain.expect(0).stdout, "id,n,x\n1,2,a\n");
    let short = project
        .run(&["convert", "last.csv", "x.csv", "--skip-lines", "9"])
        .expect(66);
    insta::assert_snapshot!(said(&short), @"error: last.csv: the file is empty: expected at least a header line after the lines to skip (skip_lines)");
    let bad = project.run(&[
        "convert",
        "pre.csv",
        "x.parquet",
        "--skip-lines",
        "3",
        "--max-record",
        "12",
    ]);
    insta::assert_snapshot!(said(&bad.expect(65)), @"error: pre.csv:5: the record that starts here (byte 39) is longer than 12 bytes; look for an unclosed quote, or raise max_record");
}

#[test]
fn pipelines_state_the_same() {
    let project = project(&[("pre.csv", PREAMBLE)]);
    let pipeline = |source: &str| {
        project.write(
            "p.yaml",
            format!("version: 1\nname: shops\nsource: {{ uri: pre.csv{source} }}\nshards: {{ to: out/, format: csv }}\n"),
        );
        project.run(&["run", "p.yaml", "--fresh"])
    };
    let refused = pipeline("").expect(65).stderr;
    let first = "pre.csv:4: record 2 (byte 27): expected 1 field, found 3 fields";
    assert!(refused.contains(first), "{refused}");
    let done = pipeline(", skip_lines: 3, delimiter: ';', quote: none");
    assert!(done.expect(65).stderr.contains("pre.csv:6: record 2"));
    pipeline(", skip_lines: 3").expect(0);
    let shard = String::from_utf8(read(&project, "out/part-00000.csv")).unwrap();
    insta::assert_snapshot!(shard, @r#"
    id,shop,sum
    1,"Ada, Ltd","0,5"
    2,Bob; Sons,"1,5"
    3,Cy,"2,5"
    "#);
}

#[test]
fn a_name_of_any_length_is_shown() {
    let name = "n".repeat(100_000);
    let project = project(&[("wide.csv", &format!("{name},b\n1,2\n"))]);
    let seen = project.run(&["inspect", "wide.csv"]).expect(0).stdout;
    assert!(seen.contains(&name));
}
