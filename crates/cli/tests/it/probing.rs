//! The probe: two rows go to the model's container before the first job, and two must come back.

use std::fs;

use insta::assert_snapshot;

use crate::lab::{Lab, ROWS, rows, sums};

/// A lab whose model answers so.
fn lab(answer: &str) -> Lab {
    let lab = Lab::new();
    lab.answer(answer);
    lab
}

/// Refused by the probe: no job was created, and nothing was uploaded but what begins a run.
#[track_caller]
fn refused(lab: &Lab) -> String {
    let told = lab.refusal(lab.run(&[]), 69);
    assert_eq!(lab.jobs(), Vec::<String>::new());
    let shards = lab.keys("state").into_iter().filter(|k| k.contains(".csv"));
    assert_eq!(shards.collect::<Vec<_>>(), Vec::<String>::new());
    let ledger = fs::read_to_string(lab.ledger().unwrap()).unwrap();
    assert!(!ledger.contains("shard_sealed") && !ledger.contains("probed"));
    told
}

/// How many probes went well, by the ledger.
fn probed(lab: &Lab) -> usize {
    let ledger = fs::read_to_string(lab.ledger().unwrap()).unwrap();
    ledger.matches("\"kind\":\"probed\"").count()
}

#[test]
fn a_model_that_answers_every_row_is_asked_once() {
    let lab = lab("sum");
    let faults = ".gristmill/local/faults.json";
    // Faults are of jobs: the probe is none.
    let rule = r#"[{"fault":"end","status":"Stopped","jobs":1},{"fault":"status","skip_jobs":1}]"#;
    lab.project.write(faults, rule);
    let stopped = lab.run(&[]).expect(69);
    let line = "2 rows went to the model and came back (text/csv)";
    assert!(stopped.stderr.contains(line), "{}", stopped.stderr);
    assert_eq!((probed(&lab), lab.jobs().len()), (1, 1));
    lab.project.write(faults, "[]");
    let done = lab.run(&[]).expect(0);
    assert!(!done.stderr.contains("probe"), "{}", done.stderr);
    assert_eq!(lab.scores(&done.json()), sums(0..ROWS));
    assert_eq!((probed(&lab), lab.jobs().len()), (1, 2));
    let run = lab.ledger().unwrap();
    assert!(!run.with_file_name("probe").exists());
}

#[test]
fn rows_that_are_lost_or_made_up_are_refused_before_a_job() {
    let short = lab("short");
    assert_snapshot!(refused(&short), @r##"
    the model was asked before the first job: 2 rows of text/csv went to it in one request, and 1 answer came back. It is text/csv: "0.0\n". Nothing was cut or uploaded, and no job was created
    help: the container does not score every row of a request: mend it, or let each be a request of its own with `batch_strategy: single_record`; one document for all rows is read with `accept: application/json`, and `assemble.answers` says what it holds; `transform.probe: off` goes on without asking
    "##);
    // Mended, the same command goes on.
    short.answer("sum");
    let done = short.run(&[]).expect(0).json();
    assert_eq!(short.scores(&done), sums(0..ROWS));
    assert_snapshot!(refused(&lab("header")), @r##"
    the model was asked before the first job: 2 rows of text/csv went to it in one request, and 3 answers came back; the first line is "score": a header is no answer. It is text/csv: "score\n0.0\n1.5\n". Nothing was cut or uploaded, and no job was created
    help: the container answers more than its rows, such as a header: mend it; `transform.probe: off` goes on without asking
    "##);
}

/// aws/sagemaker-tensorflow-training-toolkit#174: "just takes the first row of CSV".
#[test]
fn a_container_that_scores_the_first_row_of_a_request() {
    let lab = lab("first");
    let told = refused(&lab);
    assert!(
        told.contains("1 answer came back") && told.contains("`batch_strategy: single_record`"),
        "{told}"
    );
    lab.edit("multi_record", "single_record");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    // Of one row, it scores every row.
    let lab = self::lab("first");
    lab.project.write("rows.csv", rows(7..8));
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(7..8));
    assert_eq!(probed(&lab), 1);
}

#[test]
fn another_content_type_than_was_asked_for() {
    assert_snapshot!(refused(&lab("media:text/html; charset=utf-8")), @r##"
    the model was asked before the first job: 2 rows of text/csv went to it in one request, and its answer is not of the content type that `transform.accept` asks for (text/csv). It is text/html; charset=utf-8: "0.0\n1.5\n". Nothing was cut or uploaded, and no job was created
    help: state `accept: text/html` if that is how it answers, or let its Content-Type be what the Accept of the request says; `transform.probe: off` goes on without asking
    "##);
    let fine = lab("media:text/csv; charset=utf-8");
    fine.run(&[]).expect(0);
}

/// aws/sagemaker-tensorflow-serving-container#154: one document for all rows of a request.
#[test]
fn one_document_for_all_rows() {
    let lab = lab("as:predictions");
    let told = refused(&lab);
    assert!(told.contains("`accept: application/json`"), "{told}");
    lab.edit("accept: text/csv", "accept: application/json");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    lab.answer("as:batch");
    lab.edit("name: sums", "name: lists");
    let told = refused_again(&lab);
    assert!(told.contains("`assemble.answers: batches`"), "{told}");
}

/// As [`refused`], where an earlier run had a job.
fn refused_again(lab: &Lab) -> String {
    let before = lab.jobs().len();
    let told = lab.told(lab.run(&["-p", "out=again"]), 69);
    assert_eq!(lab.jobs().len(), before);
    told
}

/// The service's own join needs an answer a record, and a request of Parquet is a whole shard.
#[test]
fn of_every_format_and_join() {
    let joined = lab("first");
    joined.edit(
        "  job_timeout: 1h\n",
        "  job_timeout: 1h\n  join: server\n  answer_columns: 1\n",
    );
    let told = refused(&joined);
    let why = "cannot be filtered or joined: ClientError: the algorithm answered 1 records to a request \
               of 2";
    assert!(told.contains(why), "{told}");
    joined.answer("sum");
    let done = joined.run(&[]).expect(0).json();
    assert_eq!((joined.scores(&done), probed(&joined)), (sums(0..ROWS), 1));
    let packed = lab("first");
    packed.edit(
        "format: csv, max_rows: 100",
        "format: csv.gz, max_rows: 100",
    );
    assert!(refused(&packed).contains("1 answer came back"));
    packed.answer("sum");
    let done = packed.run(&[]).expect(0).json();
    assert_eq!((packed.scores(&done), probed(&packed)), (sums(0..ROWS), 1));
}

#[test]
fn columns_that_no_answer_has() {
    let lab = lab("sum");
    lab.edit("prediction[0]", "prediction[3]");
    assert_snapshot!(refused(&lab), @r##"
    the model was asked before the first job: 2 rows of text/csv went to it in one request, and its answer is not what `assemble.columns` takes from it: shard probe-00000.csv, line 1: prediction[3]: expected a line of at least 4 cells, found "0.0". It is text/csv: "0.0\n1.5\n". Nothing was cut or uploaded, and no job was created
    help: `from` and `type` must fit what the model answers; `transform.probe: off` goes on without asking
    "##);
    let lab = self::lab("text:high");
    assert!(refused(&lab).contains("expected a finite number, found \"high\""));
}

#[test]
fn a_container_that_does_not_come_up() {
    let ended = lab("sum");
    ended.edit("judges/container.py", "judges/no-container.py");
    let told = refused(&ended);
    assert!(
        told.contains("did not come up: the container ended")
            && told.contains("it printed last:")
            && told.contains("no-container.py"),
        "{told}"
    );
    let silent = lab("sum");
    fs::remove_file(silent.project.path("go")).unwrap();
    silent.edit(
        "  job_timeout: 1h\n",
        "  job_timeout: 1h\n  environment: { GRISTMILL_PING_LIMIT_SECONDS: \"1\" }\n",
    );
    assert_snapshot!(refused(&silent), @r"
    the model's container did not come up: GET /ping was not answered with 200 within 1 s (last: client error (Connect)). Nothing was cut or uploaded, and no job was created
    help: it printed nothing
    ");
}

/// Whether a request that fails is a row that is refused, or a moment that passes, the job finds out.
#[test]
fn a_request_that_fails_is_left_to_the_job() {
    let lab = lab("flaky-once:1");
    let done = lab.run(&[]).expect(0);
    let warning = "warning: the probe of the model settled nothing, the job decides: Bad HTTP status \
                   received from algorithm: 500: not yet";
    assert!(done.stderr.contains(warning), "{}", done.stderr);
    assert_eq!(lab.scores(&done.json()), sums(0..ROWS));
    assert_eq!(probed(&lab), 0);
}

#[test]
fn off_asks_nothing() {
    let lab = Lab::unprobed();
    lab.answer("short");
    let told = lab.refusal(lab.run(&[]), 69);
    assert!(told.contains("ended as Completed"), "{told}");
    assert_eq!((probed(&lab), lab.jobs().len()), (0, 1));
}

#[test]
fn nobody_is_asked_elsewhere_than_under_local() {
    let lab = lab("short");
    let services = lab.serve(&[]);
    let mut command = lab.project.command(&["run", "pipeline.yaml", "--no-wait"]);
    let done = crate::project::finish(command.envs(lab.on_aws())).expect(75);
    assert!(!done.stderr.contains("probe"), "{}", done.stderr);
    assert_eq!((probed(&lab), lab.jobs().len()), (0, 1));
    crate::lab::signal(&services, "TERM");
    crate::lab::wait(services);
}

#[test]
fn plan_says_what_is_asked() {
    let line = "probe         2 rows before launch";
    let plan = |lab: &Lab, more: &[&str]| {
        let args = [&["plan", "pipeline.yaml"], more].concat();
        lab.project.run(&args).expect(0).stdout
    };
    let lab = Lab::new();
    assert!(plan(&lab, &["--local"]).contains(line));
    assert!(!plan(&lab, &[]).contains(line));
    assert!(!plan(&Lab::unprobed(), &["--local"]).contains(line));
}
