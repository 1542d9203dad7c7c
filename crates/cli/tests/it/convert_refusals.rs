//! What `convert` refuses, interrupts or cannot write: its code, its words, and that nothing is left.

use crate::converting::{SMALL, january, names, read, said};
use crate::project::Project;

#[test]
fn what_is_no_utf_8_text_is_refused() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    project
        .run(&["convert", "in.csv", "table.parquet"])
        .expect(0);
    project.write("disguised.csv", read(&project, "table.parquet"));
    project.write("wide.csv", b"a\0,\0b\xff\0\n\0");
    project.write("latin.csv", b"name,v\ncaf\xe9,1\n");
    let refused = |file: &str| said(&project.run(&["convert", file, "x.parquet"]));
    insta::assert_snapshot!(refused("disguised.csv"), @r#"
    error: cannot read disguised.csv: expected plain text, found a Parquet file
      help: give its name the extension .parquet
    "#);
    insta::assert_snapshot!(refused("wide.csv"), @"error: wide.csv:1: header: the name of column 1 has a NUL byte in it: if the text is UTF-16, which has no mark here, name the encoding (source.encoding, --encoding utf-16le or utf-16be)");
    insta::assert_snapshot!(refused("latin.csv"), @r#"
    error: bad row: latin.csv:2: record 1 (byte 7): expected UTF-8, found byte 0xe9 after "caf"
      help: name the encoding, such as windows-1252 or cp932: source.encoding (--encoding), or set such rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    "#);
    project.write("marked.csv", b"\xef\xbb\xbfname,v\nZo\xc3\xab,1\n");
    let marked = [
        "convert",
        "marked.csv",
        "x.parquet",
        "--encoding",
        "windows-1252",
    ];
    let refused = project.run(&marked);
    assert_eq!(refused.code, 65);
    insta::assert_snapshot!(said(&refused), @r#"
    error: cannot read marked.csv: the text is said to be windows-1252 and begins with the byte order mark of utf-8
      help: name utf-8, or none: source.encoding (--encoding)
    "#);
    // One name and no row, as it would be in UTF-16.
    project.write("narrow.csv", "a,b\n1,2\n");
    let narrow = ["convert", "narrow.csv", "x.parquet", "--encoding", "utf-16"];
    let refused = project.run(&narrow);
    assert_eq!(refused.code, 65);
    insta::assert_snapshot!(said(&refused), @r#"
    error: cannot read narrow.csv: the text is said to be utf-16le, in which its first 8 bytes have no delimiter, line end or other ASCII character: they look like utf-8
      help: name utf-8, or none: source.encoding (--encoding)
    "#);
    assert!(!project.path("x.parquet").exists());
}

#[test]
fn what_is_refused_has_its_code_and_leaves_nothing() {
    let project = Project::new();
    project.write("in.csv", SMALL);
    project.write("empty.csv", "");
    project.write("ragged.csv", "a,b\n1,2\n\"x\ny\",4\n5\n");
    project.write("twice.csv", "a,a\n1,2\n");
    project.write("there.csv", "keep me");
    project.write("some.parquet", "PAR1");
    std::fs::create_dir(project.path("folder")).unwrap();
    let before = names(&project.path(""));
    let refused = |args: &[&str], code: i32| {
        let done = project.run(&[&["convert"], args].concat()).expect(code);
        assert_eq!(names(&project.path("")), before);
        said(&done)
    };
    insta::assert_snapshot!(refused(&["absent.csv", "x.csv.gz"], 66), @r"
    error: cannot open absent.csv: No such file or directory (os error 2)
      help: check the path of the input
    ");
    insta::assert_snapshot!(refused(&["folder", "x.csv"], 66), @r"
    error: cannot read folder: Is a directory (os error 21)
      help: it is a folder: name the files in it
    ");
    insta::assert_snapshot!(refused(&["empty.csv", "x.parquet"], 66), @"error: empty.csv: the file is empty: expected at least a header line");
    insta::assert_snapshot!(refused(&["in.csv", "there.csv"], 73), @r"
    error: there.csv exists already: choose another name, or allow it to be overwritten
      help: --overwrite replaces it
    ");
    assert_eq!(read(&project, "there.csv"), b"keep me");
    for output in ["x.csv.sz", "x.parquet", "-"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(refused(&["ragged.csv", output, "--to", "csv"], 65), @r"
            error: bad row: ragged.csv:5: record 3 (byte 16): expected 2 fields, found 1 field
              help: mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
            ");
        }
    }
    insta::assert_snapshot!(refused(&["twice.csv", "x.csv"], 65), @r#"error: twice.csv:1: header: columns 1 and 2 are both named "a": rename one of them, or read the file without a header (source.header: false, --header no)"#);
    insta::assert_snapshot!(refused(&["in.csv", "x.csv", "--max-rows", "1"], 2), @r"
    error: x.csv is the name of a file, and several files are asked for
      help: name a folder, with a slash at its end, and the format with --to
    ");
    insta::assert_snapshot!(refused(&["in.csv", "x.csv", "--split", "a=0.5,b=0.5", "--split-key", "id"], 2), @r"
    error: x.csv is the name of a file, and several files are asked for
      help: name a folder, with a slash at its end, and the format with --to
    ");
    insta::assert_snapshot!(refused(&["in.csv", "x.csv", "--label", "name", "--label-map", "x=1"], 65), @r#"
    error: bad row: in.csv:2: record 1 (byte 11), column "name": expected one of "x", as the label's map has them, found "Ada"
      help: add the text to the label's map, mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    "#);
    insta::assert_snapshot!(refused(&["in.csv", "x.xlsx"], 2), @r"
    error: x.xlsx: the name does not tell the format to write
      help: give --to: csv, csv.gz, csv.sz, csv.snappy, csv.zst, jsonl, jsonl.gz, jsonl.sz, jsonl.snappy, jsonl.zst, parquet
    ");
    insta::assert_snapshot!(refused(&["some.parquet", "x.csv"], 65), @r"
    error: some.parquet: cannot be read as Parquet: EOF: Parquet file too small. Size is 4 but need 8
      help: `gristmill inspect` says what the file is; where its name does not tell, --from (source.format) does
    ");
    insta::assert_snapshot!(refused(&["in.csv", "nowhere/x.csv"], 1), @r"
    error: cannot create nowhere/x.csv: No such file or directory (os error 2)
      help: make its folder first
    ");
    assert!(
        refused(&["in.csv", "x.csv", "--to", "xlsx"], 2)
            .contains("[possible values: csv, csv.gz, csv.sz, csv.snappy, csv.zst, jsonl, jsonl.gz, jsonl.sz, jsonl.snappy, jsonl.zst, parquet]")
    );
    assert!(refused(&["in.csv"], 2).contains("<IN... OUT>"));
}

#[test]
fn a_record_longer_than_the_limit_names_its_line() {
    let project = Project::new();
    project.write("long.csv", format!("a,b\n1,2\n3,{}\n", "x".repeat(5_000)));
    let done = project
        .run(&["convert", "long.csv", "x.parquet", "--max-record", "4KiB"])
        .expect(65);
    insta::assert_snapshot!(said(&done), @"error: long.csv:3: the record that starts here (byte 8) is longer than 4096 bytes; look for an unclosed quote, or raise max_record");
    assert!(!project.path("x.parquet").exists());
    project.run(&["convert", "long.csv", "x.parquet"]).expect(0);
}

#[test]
fn damaged_input_is_refused_whole() {
    let project = Project::new();
    project.write("in.csv", std::fs::read(january()).unwrap());
    for wrapped in ["w.csv.gz", "w.csv.sz"] {
        project.run(&["convert", "in.csv", wrapped]).expect(0);
        let whole = read(&project, wrapped);
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x10;
        let cuts = [1, 5, 9, 1000].map(|n| whole[..whole.len() - n].to_vec());
        for damaged in cuts.into_iter().chain([flipped]) {
            project.write(&format!("damaged-{wrapped}"), &damaged);
            for output in ["x.csv", "x.parquet"] {
                let done = project
                    .run(&["convert", &format!("damaged-{wrapped}"), output])
                    .expect(65);
                assert!(
                    done.stderr.contains(&format!("damaged-{wrapped}")),
                    "{}",
                    done.stderr
                );
                assert!(!project.path(output).exists());
            }
        }
    }
    let none_left = names(&project.path(""))
        .into_iter()
        .filter(|n| n.starts_with('.'))
        .count();
    assert_eq!(none_left, 0);
    project.write("cut.csv.sz", &read(&project, "w.csv.sz")[..50]);
    insta::assert_snapshot!(said(&project.run(&["convert", "cut.csv.sz", "x.csv"])), @r"
    error: cannot read cut.csv.sz: the framed Snappy stream is cut short: the chunk at compressed byte 10 ends at byte 50, too early
      help: the compressed input is damaged or cut short: fetch it again
    ");
    project.write("cut.csv.gz", &read(&project, "w.csv.gz")[..50]);
    insta::assert_snapshot!(said(&project.run(&["convert", "cut.csv.gz", "x.csv"])), @r"
    error: cannot read cut.csv.gz: the gzip stream is cut short: it ends inside a member after 50 compressed bytes
      help: the compressed input is damaged or cut short: fetch it again
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_named_and_nothing_is_claimed() {
    let project = Project::new();
    // A device that is always full.
    for format in [
        "csv",
        "csv.gz",
        "csv.sz",
        "csv.snappy",
        "csv.zst",
        "parquet",
    ] {
        let mut command = project.command(&["convert", &january(), "-", "--to", format]);
        command.stdout(
            std::fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap(),
        );
        let out = command.output().unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{format}: {stderr}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(stderr, @r"
            error: cannot write the output stream: No space left on device (os error 28)
              help: free space there, or write to another disk; nothing was left under the output's name
            ");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_nothing_under_the_final_name() {
    let project = Project::new();
    project.write("old.csv", "keep me");
    // The system refuses to let any file grow beyond 64 KiB, as a full disk would.
    // That it also sends a signal must not end the process.
    let limited = "ulimit -f 64; exec \"$0\" \"$@\"";
    for output in [
        "x.csv",
        "x.csv.gz",
        "x.csv.sz",
        "x.parquet",
        "parts/",
        "old.csv",
    ] {
        let out = std::process::Command::new("bash")
            .args([
                "-c",
                limited,
                env!("CARGO_BIN_EXE_gristmill"),
                "convert",
                &january(),
                output,
                "--overwrite",
            ])
            .args(if output == "parts/" {
                &["--to", "csv"][..]
            } else {
                &[]
            })
            .current_dir(project.path(""))
            .output()
            .unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{output}: {stderr}");
        assert!(
            stderr.contains(&format!("cannot write {output}")),
            "{stderr}"
        );
        assert_eq!(names(&project.path("")), ["old.csv"], "{output}");
    }
    assert_eq!(read(&project, "old.csv"), b"keep me");
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_is_not_replaced_by_a_file() {
    use std::os::unix::fs::FileTypeExt;
    let project = Project::new();
    project.write("in.csv", SMALL);
    let pipe = project.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let refused = project
        .run(&["convert", "in.csv", "pipe", "--to", "csv", "--overwrite"])
        .expect(73);
    insta::assert_snapshot!(said(&refused), @"error: cannot replace pipe: it is no file; for a stream write to -");
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
}

#[test]
fn more_columns_than_anybody_can_hold_are_refused() {
    let project = Project::new();
    let wide = |columns: usize| {
        let names: Vec<String> = (0..columns).map(|n| format!("c{n}")).collect();
        format!("{}\n{}\n", names.join(","), vec!["1"; columns].join(","))
    };
    project.write("wide.csv", wide(100_001));
    project.write("wider.csv", wide(500_001));
    let refused = |file: &str, output: &str, code: i32| {
        said(&project.run(&["convert", file, output]).expect(code))
    };
    insta::assert_snapshot!(refused("wide.csv", "x.parquet", 2), @"error: a Parquet file of 100001 columns: expected at most 100000; select some (--select), or turn the table");
    project.run(&["convert", "wide.csv", "x.csv.sz"]).expect(0);
    insta::assert_snapshot!(refused("wider.csv", "y.csv.sz", 65), @"error: wider.csv: expected at most 500000 columns, found 500001 in the first record: if the table lies on its side, turn it");
    assert_eq!(
        names(&project.path("")),
        ["wide.csv", "wider.csv", "x.csv.sz"]
    );
}

#[test]
fn bad_rows_are_kept_where_they_are_wanted() {
    let project = Project::new();
    project.write("in.csv", "a,b\n1,2\n3\n");
    // With --overwrite, an older file of bad rows does not outlive a conversion without any.
    project.write("bad.jsonl", "old");
    project.write("good.csv", "a,b\n1,2\n");
    project
        .run(&[
            "convert",
            "good.csv",
            "x.csv",
            "--overwrite",
            "--bad-rows",
            "bad.jsonl",
        ])
        .expect(0);
    assert!(!project.path("bad.jsonl").exists());
    project
        .run(&[
            "convert",
            "in.csv",
            "y.csv",
            "--on-bad-row",
            "quarantine",
            "--bad-rows",
            "bad.jsonl",
        ])
        .expect(0);
    insta::assert_snapshot!(String::from_utf8(read(&project, "bad.jsonl")).unwrap(), @r#"{"file":"in.csv","line":3,"record":2,"byte":8,"column":null,"reason":"ragged","expected":"2 fields","found":"1 field","raw":"3"}"#);
    assert_eq!(read(&project, "y.csv"), b"a,b\n1,2\n");
    // In a folder of their own; the file in the way is none.
    let blocked = [
        "convert",
        "in.csv",
        "z.csv",
        "--on-bad-row",
        "quarantine",
        "--bad-rows",
        "in.csv/bad.jsonl",
    ];
    let blocked = project.run(&blocked).expect(1);
    assert!(blocked.stderr.contains("in.csv"), "{}", blocked.stderr);
    assert!(!project.path("z.csv").exists());
}

#[test]
fn bad_rows_never_replace_the_input_or_a_file_that_is_there() {
    let project = Project::new();
    project.write("in.csv", "a,b\n1,2\n3\n");
    let args = [
        "convert",
        "in.csv",
        "out.parquet",
        "--on-bad-row",
        "quarantine",
        "--bad-rows",
    ];
    let with = |file: &'static str| [&args[..], &[file]].concat();
    let refused = project.run(&with("in.csv")).expect(2);
    assert!(
        refused.stderr.contains("is one of the inputs"),
        "{}",
        refused.stderr
    );
    project.write("kept.jsonl", "mine\n");
    project.run(&with("kept.jsonl")).expect(73);
    assert_eq!(
        std::fs::read(project.path("kept.jsonl")).unwrap(),
        b"mine\n"
    );
    assert_eq!(
        std::fs::read(project.path("in.csv")).unwrap(),
        b"a,b\n1,2\n3\n"
    );
    assert!(!project.path("out.parquet").exists());
    project.run(&with("new.jsonl")).expect(0);
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let project = Project::new();
    // Large enough that the signal comes while it works.
    let row = format!("{}\n", ["1234567890"; 20].join(","));
    let header = (0..20)
        .map(|i| format!("c{i}"))
        .collect::<Vec<_>>()
        .join(",");
    project.write("in.csv", format!("{header}\n{}", row.repeat(400_000)));
    std::fs::create_dir_all(project.path("out")).unwrap();
    let child = project.start(&["convert", "in.csv", "out/big.parquet", "--threads", "1"]);
    let pid = child.id().to_string();
    let begun = || {
        std::fs::read_dir(project.path("out"))
            .unwrap()
            .next()
            .is_some()
    };
    for _ in 0..500 {
        if begun() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        done.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(!begun(), "something was left");
}
