//! Answers in every form that is read, end to end: the same rows are published. And outputs in doubt:
//! what is certain is put right, anything else is refused, with nothing published.

use insta::assert_snapshot;

use crate::lab::{Lab, ROWS, sums};

/// A lab whose model answers in a form, of which the score is taken so.
fn lab(form: &str, accept: &str, from: &str) -> Lab {
    let lab = Lab::new();
    lab.answer(&format!("as:{form}"));
    lab.edit("accept: text/csv", &format!("accept: {accept}"));
    lab.edit("from: \"prediction[0]\"", &format!("from: \"{from}\""));
    lab
}

const CSV: &str = "text/csv";
const LINES: &str = "application/jsonlines";
const JSON: &str = "application/json";

fn published_alike(forms: &[(&str, &str, &str)]) {
    for (form, accept, from) in forms {
        let lab = lab(form, accept, from);
        if *form == "batch" {
            lab.edit(
                "  format: csv\n  columns",
                "  format: csv\n  answers: batches\n  columns",
            );
        }
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(lab.scores(&done), sums(0..ROWS), "{form}");
    }
}

#[test]
fn answers_in_lines_of_text() {
    published_alike(&[
        ("pairs", CSV, "prediction[0]"),
        ("python", CSV, "prediction[0]"),
        ("numpy-", CSV, "prediction[0]"),
    ]);
}

#[test]
fn answers_in_json_a_row() {
    published_alike(&[
        ("list", LINES, "prediction[0]"),
        ("object-", LINES, "prediction.of[0].score"),
        ("glued", JSON, "prediction['of'][0].score"),
    ]);
}

#[test]
fn answers_in_json_a_request() {
    published_alike(&[
        ("predictions", JSON, "prediction[0]"),
        ("named-", LINES, "prediction.score"),
        ("batch", JSON, "prediction[0]"),
    ]);
}

/// Documents are their own ends: nothing is added between them, or something is, and it is the same.
#[test]
fn documents_one_behind_the_other() {
    for (form, more) in [
        ("predictions-", "multi_record"),
        ("named-", "single_record"),
    ] {
        let lab = lab(
            form,
            JSON,
            if form == "named-" {
                "prediction.score"
            } else {
                "prediction[0]"
            },
        );
        lab.edit("assemble_with: line", "assemble_with: none");
        lab.edit(
            "batch_strategy: multi_record",
            &format!("batch_strategy: {more}"),
        );
        let done = lab.run(&["--limit-rows", "20"]).expect(0).json();
        assert_eq!(lab.scores(&done), sums(0..20), "{form}");
    }
}

#[test]
fn what_cannot_be_put_right_is_refused_with_its_counts() {
    let told = |lab: &Lab| {
        let told = lab.refusal(lab.run(&[]), 69);
        told.lines().next().unwrap().to_owned()
    };
    let with = |answer: &str| {
        let lab = Lab::unprobed();
        lab.edit("format: csv, max_rows: 100", "format: csv");
        lab.answer(answer);
        lab
    };
    assert_snapshot!(told(&with("header")), @r#"job sums-HASH-a1 ended as Completed. 1 of 1 shards have no usable output (RUN-00000.csv, rows 1 to 250: 250 rows were sent and 251 came back; the first line is "score": a header is no answer). Nothing was published"#);
    let json = told(&with("as:predictions"));
    assert!(
        json.contains("250 rows were sent and 254 came back; the first line begins with a brace"),
        "{json}"
    );
    // Each list is one row's, unless it is stated that it is a request's.
    let lists = lab("batch", JSON, "prediction[0]");
    lists.skip_probe();
    assert!(told(&lists).contains("state `assemble.answers: batches`"));
    // Stated, the answers that are there count: they are not paid for again.
    lists.edit(
        "  format: csv\n  columns",
        "  format: csv\n  answers: batches\n  columns",
    );
    let done = lists.run(&[]).expect(0).json();
    assert_eq!(
        (lists.scores(&done), lists.jobs().len()),
        (sums(0..ROWS), 1)
    );
    // A number that a brace may have followed.
    let broken = with("text:{\"a\":1");
    broken.edit("accept: text/csv", "accept: application/json");
    assert!(told(&broken).contains("its output cannot be read"));
}

/// Where a job writes, others left outputs of the same names before: beside its own, and in the place
/// of one that it does not have.
#[test]
fn outputs_that_were_there_before_the_job_are_not_its_own() {
    let lab = Lab::new();
    lab.answer("status:500");
    let first = lab.run(&[]).expect(69).json();
    let id = first["run_id"].as_str().unwrap();
    let theirs: &'static str = "1\n".repeat(100).leak();
    for name in [
        "out/a2/sub/ID-00000.csv.out",
        "out/a2/ID-00001.csv.out",
        "out/a2/theirs.out",
    ] {
        lab.put(
            "state",
            &format!("runs/{id}/{}", name.replace("ID", id)),
            theirs,
        );
    }
    // Row 150 is in the second shard.
    lab.answer("refuse:225");
    let second = lab.run(&[]);
    for told in [
        "lie where the job writes since before",
        "/sub/",
        "theirs.out",
    ] {
        assert!(second.stderr.contains(told), "{}", second.stderr);
    }
    let told = lab.refusal(second, 69);
    assert!(
        told.contains("1 of 3 shards have no usable output"),
        "{told}"
    );
    lab.answer("sum");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    let shards: Vec<u64> = done["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["shards"].as_u64().unwrap())
        .collect();
    assert_eq!(shards, [3, 3, 1, 1]);
}

/// One output lost its end within the last number: the others show that there was one.
#[test]
fn an_output_that_may_be_cut_off_is_not_taken() {
    let lab = Lab::new();
    lab.edit("assemble_with: line", "assemble_with: none");
    lab.answer("cut-at:373.5");
    let told = lab.refusal(lab.run(&[]), 69);
    assert_snapshot!(told.lines().next().unwrap(), @"job sums-HASH-a1 ended as Completed. 1 of 3 shards have no usable output (RUN-00002.csv, rows 201 to 250: the last line of its output has no end, unlike all others: it may be cut off within its last value). Nothing was published");
    // A model that writes no end never does, and is believed.
    let lab = Lab::new();
    lab.edit("assemble_with: line", "assemble_with: none");
    lab.answer("as:pairs-");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
}

/// Days and times, as constants and as answers: not refused by a run what `validate` takes.
#[test]
fn days_and_times() {
    let lab = Lab::new();
    lab.edit("select: [a, b]", "select: [a]");
    lab.answer("text:2024-12-31");
    lab.edit(
        "{ name: score, from: \"prediction[0]\", type: float64 }",
        "{ name: day, from: \"prediction[0]\", type: date }\n    \
         - { name: on, value: 2024-02-29, type: date }\n    \
         - { name: at, value: \"2024-02-29T23:59:59+02:00\", type: timestamp_utc }\n    \
         - { name: local, value: \"2024-02-29 23:59\", type: timestamp }",
    );
    let done = lab.run(&["--limit-rows", "2"]).expect(0).json();
    let published = lab.published(&done);
    let text = String::from_utf8(published[0].1.clone()).unwrap();
    assert_snapshot!(text, @r"
    id,day,on,at,local
    r0,2024-12-31,2024-02-29,2024-02-29T21:59:59Z,2024-02-29T23:59:00
    r1,2024-12-31,2024-02-29,2024-02-29T21:59:59Z,2024-02-29T23:59:00
    ");
}
