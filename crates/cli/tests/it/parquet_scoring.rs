//! Rows on their way to the model in Parquet or JSON Lines, and from sources in them: what is
//! published is what CSV publishes, to the byte, with bad rows among them and under faults.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::lab::{Lab, ROWS, sums};
use crate::project::{Done, Project, finish, judge, repository};
use crate::resume::killed_at_lines;

/// The shards' format in the pipeline, and its media type.
const TEXT_FORMATS: [(&str, &str); 3] = [
    ("csv.gz", "text/csv"),
    ("jsonl", "application/jsonlines"),
    ("jsonl.gz", "application/jsonlines"),
];

/// Settings of Parquet shards: few or many, each codec, one row group a shard or several.
const PARQUET_SHARDS: [&str; 5] = [
    "max_rows: 5000",
    "max_bytes: 20KB",
    "max_bytes: 30KB, row_group_rows: 1024",
    "compression: zstd, max_rows: 9001",
    "compression: none, max_bytes: 45MB",
];

fn pipeline(file: &str) -> String {
    let text = std::fs::read_to_string(repository().join("pipelines").join(file)).unwrap();
    let fixtures = repository().join("fixtures").display().to_string();
    text.replace("../fixtures", &fixtures)
}

/// The pipeline with another source.
fn from(text: &str, source: &str) -> String {
    let line = text.lines().find(|l| l.contains("flights-{{")).unwrap();
    text.replace(line, &format!("  uri: {source}"))
}

/// The pipeline with other shards, given as the inside of a flow mapping.
fn with_shards(text: &str, shards: &str) -> String {
    let begin = text.find("\nshards:\n").unwrap();
    let end = begin + text[begin..].find("\n\n").unwrap();
    format!("{}\nshards: {{ {shards} }}{}", &text[..begin], &text[end..])
}

/// The flights with bad rows among them, and their fixture's pipelines at work on them.
struct Flights {
    project: Project,
    planted: Value,
}

impl Flights {
    fn new() -> Self {
        let project = Project::new();
        let script = repository().join("fixtures/flights/plant_bad_rows.py");
        let python = std::env::var("GRISTMILL_PYTHON").unwrap();
        let mut command = std::process::Command::new(python);
        let done = finish(command.arg(script).arg(project.path("flights.csv"))).expect(0);
        Self {
            planted: serde_json::from_str(&done.stdout).unwrap(),
            project,
        }
    }

    /// Runs a pipeline text under a key and to a destination of its own.
    fn run(&self, name: &str, text: &str) -> Done {
        let to = text.lines().find(|l| l.contains("s3://gristmill-scores/"));
        let text = text.replace(to.unwrap(), &format!("  to: s3://gristmill-scores/{name}/"));
        self.project.write("pipeline.yaml", text);
        let args = "run pipeline.yaml --local --output json --run-key";
        let args: Vec<&str> = args.split(' ').chain([name]).collect();
        self.project.run(&args)
    }

    /// The published bytes, of a run that must have told all the bad rows.
    fn scored(&self, name: &str, text: &str) -> Vec<u8> {
        let done = self.run(name, text).expect(0).json();
        assert_eq!(
            done["rows"]["source"], self.planted["rows_source"],
            "{name}"
        );
        assert_eq!(done["quarantine"], self.planted["bad"], "{name}");
        published(&done)
    }
}

/// The one part that a run published.
fn published(done: &Value) -> Vec<u8> {
    assert_eq!(done["output"]["files"], json!(["part-00000.parquet"]));
    std::fs::read(folder(done).join("part-00000.parquet")).unwrap()
}

fn folder(done: &Value) -> std::path::PathBuf {
    done["output"]["path"].as_str().unwrap().into()
}

/// The main job by CSV shards: its text, and what it publishes.
fn by_csv(flights: &Flights) -> (String, Value) {
    let source = flights.project.path("flights.csv").display().to_string();
    let text = from(&pipeline("nightly-scoring.yaml"), &source);
    let done = flights.run("csv", &text).expect(0).json();
    (text, done)
}

#[test]
fn parquet_shards_publish_what_csv_does() {
    let flights = Flights::new();
    let (_, done) = by_csv(&flights);
    let golden = repository().join("fixtures/flights/golden-scores-2013-01.csv");
    judge(
        "compare_scores.py",
        &[folder(&done).to_str().unwrap(), golden.to_str().unwrap()],
    )
    .expect(0);
    let wanted = published(&done);
    let source = flights.project.path("flights.csv").display().to_string();
    let parquet = from(&pipeline("nightly-scoring-parquet.yaml"), &source);
    for (n, shards) in PARQUET_SHARDS.iter().enumerate() {
        let text = with_shards(&parquet, &format!("format: parquet, {shards}"));
        let found = flights.scored(&format!("parquet-{n}"), &text);
        assert!(found == wanted, "{shards}");
    }
}

#[test]
fn shards_of_other_text_publish_what_csv_does() {
    let flights = Flights::new();
    let (csv, done) = by_csv(&flights);
    for (format, media) in TEXT_FORMATS {
        let text = with_shards(&csv, &format!("format: {format}, max_bytes: 50KB"))
            .replace("content_type: text/csv", &format!("content_type: {media}"));
        assert!(
            flights.scored(format, &text) == published(&done),
            "{format}"
        );
    }
}

/// The same rows in Parquet and in JSON Lines, by CSV shards and by Parquet shards.
#[test]
fn sources_in_parquet_and_json_lines_publish_what_csv_does() {
    let project = Flights::new();
    let csv = repository().join("fixtures/flights/flights-2013-01.csv");
    let by = |name: &str, pipeline: &str, source: &str| {
        let done = project.run(name, &from(&self::pipeline(pipeline), source));
        published(&done.expect(0).json())
    };
    let wanted = by("csv", "nightly-scoring.yaml", csv.to_str().unwrap());
    for name in ["in.parquet", "in.jsonl", "in.jsonl.zst", "in.csv.snappy"] {
        let csv = csv.to_str().unwrap();
        project.project.run(&["convert", csv, name]).expect(0);
        for pipeline in ["nightly-scoring.yaml", "nightly-scoring-parquet.yaml"] {
            let published = by(&format!("{pipeline}-{name}"), pipeline, name);
            assert!(published == wanted, "{name} by {pipeline}");
        }
    }
}

/// A lab whose rows travel in Parquet, read by pyarrow in the model.
fn lab(max_rows: usize) -> Lab {
    let lab = Lab::new();
    in_parquet(&lab, max_rows);
    lab
}

fn in_parquet(lab: &Lab, max_rows: usize) {
    lab.edit(
        "format: csv, max_rows: 100",
        &format!("format: parquet, max_rows: {max_rows}"),
    );
    lab.edit(
        "content_type: text/csv",
        "content_type: application/x-parquet",
    );
    lab.edit("split_type: line", "split_type: none");
    lab.edit("  batch_strategy: multi_record\n", "");
    lab.edit("assemble_with: line", "assemble_with: none");
}

#[test]
fn pyarrow_reads_the_shards_that_the_model_gets() {
    for max_rows in [1000, 100, 7] {
        let lab = lab(max_rows);
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(lab.scores(&done), sums(0..ROWS), "{max_rows} rows a shard");
        assert_eq!(lab.jobs().len(), 1);
    }
}

/// Every kind of bad row, newlines in ids, nulls and tokens of null in what the model gets.
#[test]
fn messy_rows_publish_the_same_by_every_format() {
    let messy = repository().join("fixtures/messy/messy.csv");
    let mut wanted = None;
    let text = TEXT_FORMATS.iter().map(|(format, media)| (*format, *media));
    let all = std::iter::once(("csv", "text/csv")).chain(text);
    for (format, media) in all.chain([("parquet", "application/x-parquet")]) {
        let lab = Lab::new();
        lab.edit("uri: rows.csv", &format!("uri: {}", messy.display()));
        lab.edit("on_bad_row: fail", "on_bad_row: quarantine");
        lab.edit(
            "id: [id], select: [a, b]",
            "id: [code, \"名前\", note, day, at], select: [id, amount, flag]",
        );
        lab.edit(
            "    - id\n",
            "    - code\n    - \"名前\"\n    - note\n    - day\n    - at\n",
        );
        lab.edit("format: csv\n  columns", "format: parquet\n  columns");
        if format == "parquet" {
            in_parquet(&lab, 7);
        } else {
            lab.edit(
                "format: csv, max_rows: 100",
                &format!("format: {format}, max_rows: 7"),
            );
            lab.edit("content_type: text/csv", &format!("content_type: {media}"));
        }
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(done["rows"]["published"], 240, "{format}");
        assert_eq!(
            done["quarantine"],
            json!({ "ragged": 5, "quote": 3, "encoding": 4 })
        );
        let found = published(&done);
        assert!(
            *wanted.get_or_insert_with(|| found.clone()) == found,
            "{format}"
        );
    }
}

#[test]
fn parquet_shards_killed_at_lines_of_the_ledger_1() {
    let lab = lab(50);
    killed_at_lines(&lab, 1, 4);
}

#[test]
fn parquet_shards_killed_at_lines_of_the_ledger_2() {
    let lab = lab(50);
    killed_at_lines(&lab, 3, 4);
}

/// The request of the last job, as it was sent.
fn request(lab: &Lab) -> Value {
    let ledger = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let line = ledger
        .lines()
        .rfind(|l| l.contains("\"kind\":\"launching\""));
    let line = line.unwrap();
    let entry: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    entry
        .pointer("/entry/request")
        .or(entry.get("request"))
        .unwrap()
        .clone()
}

/// A shard is one request; that is said by SplitType alone, since a strategy that has nothing to
/// split may be refused.
#[test]
fn a_service_that_refuses_a_strategy_without_a_split_takes_the_job() {
    let lab = lab(100);
    let mut services = lab.serve(&["--assume", "strategy-without-split=refuse"]);
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    let request = request(&lab);
    assert_eq!(request.get("BatchStrategy"), None);
    assert_eq!(request["TransformInput"]["SplitType"], "None");
    assert_eq!(request["TransformOutput"]["AssembleWith"], "None");
    services.kill().unwrap();
    services.wait().unwrap();
}

#[test]
fn a_shard_with_a_row_too_few_is_named_and_only_it_is_scored_again() {
    let lab = lab(100);
    lab.answer("short-at:225");
    let told = lab.refusal(lab.run(&[]), 69);
    assert_snapshot!(told.lines().next().unwrap(), @"job sums-HASH-a1 ended as Completed. 1 of 3 shards have no usable output (RUN-00001.parquet, rows 101 to 200: 100 rows were sent and 99 came back). Nothing was published");
    lab.answer("sum");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(done["jobs"][1]["shards"], 1);
}

#[test]
fn a_model_that_cannot_read_parquet_says_so_in_the_help() {
    let lab = lab(100);
    lab.answer("csv-only");
    let told = lab.refusal(lab.run(&[]), 69);
    assert_snapshot!(told.lines().next().unwrap(), @"job sums-HASH-a1 ended as Failed: ClientError: See job logs for more information. 3 of 3 shards have no usable output (RUN-00000.parquet, rows 1 to 100: no output, Bad HTTP status received from algorithm: 415: This predictor only supports CSV data, not application/x-parquet; RUN-00001.parquet, rows 101 to 200: no output, Bad HTTP status received from algorithm: 415: This predictor only supports CSV data, not application/x-parquet; RUN-00002.parquet, rows 201 to 250: no output, Bad HTTP status received from algorithm: 415: This predictor only supports CSV data, not application/x-parquet). Nothing was published");
    let said = "This predictor only supports CSV data, not application/x-parquet";
    assert!(told.contains(said), "{told}");
}

/// Answers that get lost and requests that are turned away, of shards, sidecars and outputs.
#[test]
fn a_store_that_fails_now_and_then_publishes_the_same() {
    let rule = |method: &str, skip: u32, what: Value| {
        let mut rule =
            json!({ "method": method, "path": "/state/runs/", "skip": skip, "times": 1 });
        rule.as_object_mut()
            .unwrap()
            .extend(what.as_object().unwrap().clone());
        rule
    };
    let slow = json!({ "status": 503, "code": "SlowDown", "message": "Reduce your request rate." });
    let rules = [
        rule("PUT", 1, slow.clone()),
        rule("PUT", 5, json!({ "lost": true })),
        rule("PUT", 9, json!({})),
        rule("GET", 1, slow),
        rule("GET", 3, json!({ "lost": true })),
    ];
    let lab = lab(50);
    lab.project
        .write(".gristmill/local/faults.json", json!(rules).to_string());
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(lab.jobs().len(), 1);
}

/// The folder of the last run.
fn run_folder(lab: &Lab) -> std::path::PathBuf {
    lab.ledger().unwrap().parent().unwrap().to_owned()
}

/// Names in the run's folder that begin with a dot: files before they are whole.
fn hidden(lab: &Lab) -> Vec<String> {
    let entries = std::fs::read_dir(run_folder(lab)).into_iter().flatten();
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with('.')).collect()
}

/// A lab whose rows lie in the store as Parquet; the arguments that show them there.
fn from_the_store() -> (Lab, [&'static str; 2]) {
    let lab = lab(100);
    std::fs::create_dir(lab.project.path("raw")).unwrap();
    let convert = ["convert", "rows.csv", "raw/rows.parquet"];
    lab.project.run(&convert).expect(0);
    lab.edit("uri: rows.csv", "uri: s3://raw/day/rows.parquet");
    (lab, ["--local-map", "s3://raw/day/=raw"])
}

/// Parquet of a store is copied to the run's folder, since its reader has to seek.
#[test]
fn the_copy_of_an_object_goes_with_the_attempt_that_made_it_or_the_next() {
    let (lab, map) = from_the_store();
    lab.skip_probe();
    std::fs::remove_file(lab.project.path("go")).unwrap();
    let mut run = lab.start(&map);
    lab.wait_for("job_created");
    let copies = hidden(&lab);
    assert_eq!(copies.len(), 1, "{copies:?}");
    let copy = std::fs::metadata(run_folder(&lab).join(&copies[0])).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.permissions());
    assert_eq!(mode & 0o777, 0o600);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(hidden(&lab), copies);
    lab.let_go();
    let done = lab.run(&map).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(hidden(&lab), Vec::<String>::new());
    assert_eq!(lab.jobs().len(), 1);
}

/// A look at an object is no reason to copy it.
#[test]
fn a_plan_for_parquet_in_the_store_copies_nothing() {
    let (lab, map) = from_the_store();
    lab.run(&map).expect(0);
    let args = ["plan", "pipeline.yaml", "--local", "--output", "json"];
    let args: Vec<&str> = args.into_iter().chain(map).collect();
    let nowhere = lab.project.write("nowhere", "").join("tmp");
    let mut command = lab.project.command(&args);
    let planned = finish(command.env("TMPDIR", nowhere)).expect(0);
    let plan = planned.json();
    assert_eq!(plan["estimate"]["rows"], ROWS, "{plan}");
}
