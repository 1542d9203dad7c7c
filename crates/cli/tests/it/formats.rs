//! Tables between formats, judged by other readers; inputs that are read only once.

use std::process::Command;

use crate::converting::{read, said};
use crate::project::{Project, judge};

fn judged(question: &str) {
    let project = Project::new();
    let folder = project.path("");
    let program = env!("CARGO_BIN_EXE_gristmill");
    judge(
        "read_formats.py",
        &[program, folder.to_str().unwrap(), question],
    )
    .expect(0);
}

#[test]
fn every_pair_of_formats_is_the_same_table_to_other_readers() {
    judged("pairs");
}

#[test]
fn parquet_of_other_writers_is_the_same_table() {
    judged("parquet");
}

#[test]
fn parts_of_a_split_are_those_of_the_documented_hash() {
    judged("split");
}

#[test]
fn a_named_pipe_is_read_as_a_file_is() {
    let project = Project::new();
    project.write("in.csv", "a,b\n1,x\n2,y\n");
    project.run(&["convert", "in.csv", "in.parquet"]).expect(0);
    for (source, output) in [("in.csv", "csv.jsonl"), ("in.parquet", "parquet.jsonl")] {
        let (source, pipe) = (project.path(source), project.path("pipe"));
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let to = pipe.clone();
        let writer = std::thread::spawn(move || std::fs::copy(source, to).unwrap());
        project.run(&["convert", "pipe", output]).expect(0);
        writer.join().unwrap();
        std::fs::remove_file(pipe).unwrap();
        assert_eq!(
            read(&project, output),
            b"{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n",
            "{output}"
        );
    }
}

#[test]
fn a_file_is_no_place_for_parts() {
    let project = Project::new();
    project.write("in.csv", "a,b\n1,x\n");
    project.write("out", "keep me");
    let args = ["convert", "in.csv", "out", "--to", "csv", "--max-rows", "1"];
    insta::assert_snapshot!(said(&project.run(&args).expect(73)), @r"
    error: out exists already: choose another name, or allow it to be overwritten
      help: --overwrite replaces it
    ");
    project
        .run(&[&args[..], &["--overwrite"]].concat())
        .expect(73);
    assert_eq!(read(&project, "out"), b"keep me");
}

#[test]
fn parts_replace_those_of_another_format() {
    let project = Project::new();
    project.write("in.csv", "a,b\n1,x\n2,y\n");
    project
        .run(&[
            "convert",
            "in.csv",
            "out/",
            "--to",
            "csv",
            "--max-rows",
            "1",
        ])
        .expect(0);
    project.write("out/notes.csv", "keep me");
    project
        .run(&[
            "convert",
            "in.csv",
            "out/",
            "--to",
            "parquet",
            "--overwrite",
        ])
        .expect(0);
    let names = crate::converting::names(&project.path("out"));
    assert_eq!(names, ["notes.csv", "part-00000.parquet"]);
}
