//! `inspect`: what a file is, in words and as JSON.

use crate::project::{Project, repository};

const TEXT: &str = "id;name;score\n1;Ada;0.5\n2;\"Bob; B.\";NA\n3;;1e3\n4;x\n";

fn small() -> Project {
    let project = Project::new();
    project.write("in.csv", TEXT);
    for output in [
        "w.csv.gz",
        "w.csv.sz",
        "w.csv.snappy",
        "w.csv.zst",
        "t.parquet",
    ] {
        project
            .run(&["convert", "in.csv", output, "--on-bad-row", "quarantine"])
            .expect(0);
    }
    project
}

#[test]
fn text_in_each_wrapper() {
    let project = small();
    let said = |file: &str| project.run(&["inspect", file]).expect(0).stdout;
    insta::assert_snapshot!(said("in.csv"), @r#"
    in.csv: CSV, 50 bytes
    dialect      delimiter ';', quote '"', a header (confidence 0.76)
      confidence delimiter 0.76, quote 0.67, escape 0.50, comment 0.50, skip-lines 0.76, header 0.81
      options    --delimiter ';'
    rows         4, 1 of them bad
      ragged     1
      first      in.csv:5: record 4 (byte 46): expected 3 fields, found 2 fields
    columns      3
      id     int64
      name   string, nullable
      score  float64, nullable
    first rows
      "1"  "Ada"  "0.5"
      "2"  "Bob; B."  ∅
      "3"  ∅  "1e3"
    "#);
    insta::assert_snapshot!(said("w.csv.gz"), @r#"
    w.csv.gz: CSV, 66 bytes
    compression  gzip, 46 bytes of text, ratio 0.70
    dialect      delimiter ';', quote '"', a header (confidence 0.96)
      confidence delimiter 0.96, quote 0.67, escape 0.50, comment 0.50, skip-lines 0.95, header 0.81
      options    --delimiter ';'
    rows         3, 0 of them bad
    columns      3
      id     int64
      name   string, nullable
      score  float64, nullable
    first rows
      "1"  "Ada"  "0.5"
      "2"  "Bob; B."  ∅
      "3"  ∅  "1e3"
    "#);
    insta::assert_snapshot!(said("w.csv.sz"), @r#"
    w.csv.sz: CSV, 64 bytes
    compression  snappy_framed, 46 bytes of text, ratio 0.72
    framing      1 stream, 1 chunk, the largest of 46 bytes, all checksums agree
    dialect      delimiter ';', quote '"', a header (confidence 0.96)
      confidence delimiter 0.96, quote 0.67, escape 0.50, comment 0.50, skip-lines 0.95, header 0.81
      options    --delimiter ';'
    rows         3, 0 of them bad
    columns      3
      id     int64
      name   string, nullable
      score  float64, nullable
    first rows
      "1"  "Ada"  "0.5"
      "2"  "Bob; B."  ∅
      "3"  ∅  "1e3"
    "#);
}

#[test]
fn every_container_by_its_parts() {
    let project = small();
    let said = |file: &str| {
        let text = project.run(&["inspect", file]).expect(0).stdout;
        let lines: Vec<&str> = text
            .lines()
            .take_while(|l| !l.starts_with("dialect"))
            .collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(said("w.csv.snappy"), @"
    w.csv.snappy: CSV, 56 bytes
    compression  snappy_hadoop, 46 bytes of text, ratio 0.82
    framing      1 block, the largest of 46 bytes, 1 chunk, 0 empty blocks; no checksums in this format
    ");
    insta::assert_snapshot!(said("w.csv.zst"), @"
    w.csv.zst: CSV, 59 bytes
    compression  zstd, 46 bytes of text, ratio 0.78
    framing      1 frame, 1 with a checksum, window of 2,097,152 bytes
    ");
    // What the bytes are, whatever the name says.
    let framed = std::fs::read(project.path("w.csv.sz")).unwrap();
    project.write("lies.csv.snappy", framed);
    insta::assert_snapshot!(said("lies.csv.snappy"), @"
    lies.csv.snappy: CSV, 64 bytes
    compression  snappy_framed, 46 bytes of text, ratio 0.72
    name         says .snappy, and the bytes are the Snappy framing format
    framing      1 stream, 1 chunk, the largest of 46 bytes, all checksums agree
    ");
    let parquet = std::fs::read(project.path("t.parquet")).unwrap();
    project.write("lies.csv", parquet);
    let parquet = project.run(&["inspect", "lies.csv"]).expect(0).stdout;
    assert!(
        parquet.contains("\nname         says .csv, and the bytes are a Parquet file\n"),
        "{parquet}"
    );
    project.write("lies.parquet", "a,b\n1,2\n");
    insta::assert_snapshot!(said("lies.parquet"), @"
    lies.parquet: CSV, 8 bytes
    name         says .parquet, and the bytes are plain text
    ");
}

#[test]
fn parquet_by_its_footer() {
    let project = small();
    insta::assert_snapshot!(project.run(&["inspect", "t.parquet"]).expect(0).stdout, @r#"
    t.parquet: Parquet, 996 bytes
    created by   gristmill 0.1.0
    rows         3 in 1 row group
    columns      3
      id     INT64, SNAPPY, PLAIN+RLE, 40 of 41 bytes, 0 nulls
      name   BYTE_ARRAY (string), SNAPPY, PLAIN+RLE, 43 of 41 bytes, 1 null
      score  DOUBLE, SNAPPY, PLAIN+RLE, 41 of 39 bytes, 1 null
    first rows
      "1"  "Ada"  "0.5"
      "2"  "Bob; B."  ∅
      "3"  ∅  "1000.0"
    "#);
    project.write("head.csv", "a,b\n");
    project.run(&["convert", "head.csv", "h.parquet"]).expect(0);
    insta::assert_snapshot!(project.run(&["inspect", "h.parquet"]).expect(0).stdout, @r"
    h.parquet: Parquet, 319 bytes
    created by   gristmill 0.1.0
    rows         0 in 0 row groups
    columns      2
      a  BYTE_ARRAY (string)
      b  BYTE_ARRAY (string)
    ");
}

#[test]
fn what_programs_get() {
    let project = small();
    let answer = project
        .run(&["inspect", "in.csv", "--output", "json", "--rows", "1"])
        .expect(0)
        .json();
    insta::assert_snapshot!(answer.to_string(), @r#"{"format":"csv","compression":"none","name_says":null,"bytes":50,"text_bytes":50,"dialect":{"delimiter":";","quote":"\"","escape":null,"comment":null,"header":true},"confidence":0.76,"confidences":{"delimiter":0.76,"quote":0.67,"escape":0.5,"comment":0.5,"skip_lines":0.76,"header":0.81},"options":"--delimiter ';'","schema":[{"name":"id","type":"int64","nullable":false},{"name":"name","type":"string","nullable":true},{"name":"score","type":"float64","nullable":true,"null_tokens":["NA","N/A","NULL","null","NaN","nan","\\N"]}],"rows":4,"bad_rows":{"ragged":1},"first_bad_row":"in.csv:5: record 4 (byte 46): expected 3 fields, found 2 fields","first_rows":[["1","Ada","0.5"]],"framing":null}"#);
    let parquet = project
        .run(&["inspect", "t.parquet", "--output", "json", "--rows", "0"])
        .expect(0)
        .json();
    assert_eq!(
        (&parquet["format"], &parquet["rows"]),
        (&"parquet".into(), &3.into())
    );
    assert_eq!(parquet["columns"][2]["nulls"], 1);
    // What is said of CSV does not matter to Parquet.
    project
        .run(&["inspect", "t.parquet", "--delimiter", "tab"])
        .expect(0);
}

#[test]
fn a_dialect_that_is_given_holds() {
    let project = small();
    let args = [
        "inspect",
        "in.csv",
        "--delimiter",
        "comma",
        "--header",
        "no",
        "--output",
        "json",
    ];
    let answer = project.run(&args).expect(0).json();
    assert_eq!(answer["dialect"]["delimiter"], ",");
    assert_eq!(answer["dialect"]["header"], false);
    assert_eq!(
        (&answer["confidence"], &answer["rows"]),
        (&1.0.into(), &5.into())
    );
    assert_eq!(answer["schema"][0]["name"], "column_1");
    let null = project
        .run(&[
            "inspect", "in.csv", "--null", "x", "--null", "Ada", "--output", "json",
        ])
        .expect(0)
        .json();
    assert_eq!(null["first_rows"][0][1], serde_json::Value::Null);
}

#[test]
fn the_fixtures_are_seen_as_they_are() {
    let project = Project::new();
    let messy = repository().join("fixtures/messy/messy.csv");
    let answer = project
        .run(&["inspect", messy.to_str().unwrap(), "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(answer["rows"], 252);
    assert_eq!(
        answer["bad_rows"],
        serde_json::json!({"ragged": 5, "quote": 3, "encoding": 4})
    );
    let january = repository().join("fixtures/flights/flights-2013-01.csv");
    let answer = project
        .run(&["inspect", january.to_str().unwrap(), "--output", "json"])
        .expect(0)
        .json();
    let types = answer["schema"].as_array().unwrap().iter();
    let types: Vec<_> = types.map(|c| c["type"].as_str().unwrap()).collect();
    let strings = ["carrier", "tailnum", "origin", "dest"].len();
    assert_eq!(types.iter().filter(|t| **t == "string").count(), strings);
    assert_eq!(types[18], "timestamp_utc");
}

#[test]
fn what_cannot_be_inspected_is_refused() {
    let project = small();
    let refused = |file: &str, code: i32| project.run(&["inspect", file]).expect(code).stderr;
    insta::assert_snapshot!(refused("absent.csv", 66), @r"
    error: cannot open absent.csv: No such file or directory (os error 2)
      help: check the path of the input
    ");
    insta::assert_snapshot!(refused(".", 66), @r"
    error: cannot read .: Is a directory (os error 21)
      help: it is a folder: name the files in it
    ");
    project.write("empty.csv", "");
    insta::assert_snapshot!(refused("empty.csv", 66), @"error: empty.csv: the file is empty: expected at least a header line");
    let framed = std::fs::read(project.path("w.csv.sz")).unwrap();
    project.write("cut.csv.sz", &framed[..framed.len() - 3]);
    insta::assert_snapshot!(refused("cut.csv.sz", 65), @r"
    error: cannot read cut.csv.sz: the framed Snappy stream is cut short: the chunk at compressed byte 10 ends at byte 61, too early
      help: the compressed input is damaged or cut short: fetch it again
    ");
    let mut flipped = framed;
    flipped[15] ^= 1;
    project.write("flipped.csv.sz", &flipped);
    insta::assert_snapshot!(refused("flipped.csv.sz", 65), @r"
    error: cannot read flipped.csv.sz: the framed Snappy stream is damaged in the chunk at compressed byte 10: the checksum of its data is 0x00936951, the chunk says 0x00936851
      help: the compressed input is damaged or cut short: fetch it again
    ");
    let whole = std::fs::read(project.path("t.parquet")).unwrap();
    project.write("cut.parquet", &whole[..whole.len() - 3]);
    insta::assert_snapshot!(refused("cut.parquet", 65), @"error: cut.parquet: Parquet error: Invalid Parquet file. Corrupt footer");
    let gzip = std::fs::read(project.path("w.csv.gz")).unwrap();
    project.write("cut.csv.gz", &gzip[..gzip.len() - 3]);
    insta::assert_snapshot!(refused("cut.csv.gz", 65), @r"
    error: cannot read cut.csv.gz: the gzip stream is cut short: it ends inside a member after 63 compressed bytes
      help: the compressed input is damaged or cut short: fetch it again
    ");
}
