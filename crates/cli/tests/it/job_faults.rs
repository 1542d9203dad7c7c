//! What may go wrong in a job, one thing at a time: the same bytes are published as without it, or the
//! run is refused with a message that says what is wrong, and nothing is published.

use serde_json::{Value, json};

use crate::lab::{Lab, ROWS, sums, wait};
use crate::project::Done;

/// What comes of a fault.
enum End {
    /// The bytes of a calm run, by so many jobs.
    Same(usize),
    /// This exit code, and these words in the message; the same command then scores what was refused.
    Refused(i32, &'static [&'static str]),
    /// The same, where the answers were taken for such before: a new attempt is needed.
    RefusedLate(i32, &'static [&'static str]),
}

/// A lab that has published once, and what.
struct Calm {
    lab: Lab,
    wanted: Vec<(String, Vec<u8>)>,
}

impl Calm {
    fn new(edits: &[(&str, &str)]) -> Self {
        let lab = Lab::new();
        for (from, to) in edits {
            lab.edit(from, to);
        }
        let calm = lab.run(&["-p", "out=calm"]).expect(0).json();
        assert_eq!(lab.scores(&calm), sums(0..ROWS));
        let wanted = lab.published(&calm);
        Self { lab, wanted }
    }

    /// Runs under rules; then, without them, the same command comes to its end.
    fn under(&self, name: &str, rules: &Value, end: &End) {
        self.lab.project.write(FAULTS, rules.to_string());
        let out = format!("out={name}");
        let args = ["-p", out.as_str(), "--run-key", name];
        let done = self.lab.run(&args);
        self.comes_to(name, &args, done, end);
    }

    /// As [`Calm::under`], with a timeout that a job which never ends comes to.
    fn in_a_hurry(&self, name: &str, rules: &Value, end: &End) {
        let lab = &self.lab;
        lab.project.write(FAULTS, rules.to_string());
        let out = format!("out={name}");
        let args = ["-p", out.as_str(), "--run-key", name];
        lab.edit("job_timeout: 1h", "job_timeout: 1s");
        let done = lab.run(&args);
        lab.edit("job_timeout: 1s", "job_timeout: 1h");
        self.comes_to(name, &args, done, end);
    }

    /// Holds a run under rules to what is expected; without them, the same command comes to its end.
    fn comes_to(&self, name: &str, args: &[&str], done: Done, end: &End) {
        let lab = &self.lab;
        lab.project.write(FAULTS, "[]");
        match end {
            End::Same(jobs) => {
                let done = done.expect(0).json();
                assert_eq!(lab.published(&done), self.wanted, "{name}");
                assert_eq!(done["jobs"].as_array().unwrap().len(), *jobs, "{name}");
            }
            End::Refused(code, words) | End::RefusedLate(code, words) => {
                let answer = done.expect(*code).json();
                let told = answer["error"]["message"].as_str().unwrap().to_owned();
                for word in *words {
                    assert!(told.contains(word), "{name}: {word:?} is not in {told:?}");
                }
                let there = lab.keys("scores").into_iter();
                let there: Vec<String> = there
                    .filter(|k| k.starts_with(&format!("{name}/")))
                    .collect();
                assert_eq!(there, Vec::<String>::new(), "{name}");
                // Mended, it is gone on with, and nothing that was refused is taken.
                let late = matches!(end, End::RefusedLate(..));
                let again = [args, if late { &["--fresh"] } else { &[] }].concat();
                let mended = lab.run(&again).expect(0).json();
                assert_eq!(lab.published(&mended), self.wanted, "{name}, mended");
            }
        }
    }

    fn under_all(&self, cases: &[(&str, Value, End)]) {
        for (name, rules, end) in cases {
            self.under(name, rules, end);
        }
    }
}

/// The rules of the lab's services.
const FAULTS: &str = ".gristmill/local/faults.json";

/// The second of three shards.
const SECOND: &str = "*-00001.csv";

#[test]
fn rows_that_are_lost_doubled_or_made_up() {
    Calm::new(&[]).under_all(&[
        (
            "drop",
            json!([{ "fault": "drop_row", "object": SECOND, "row": 7, "jobs": 1 }]),
            End::Refused(69, &["1 of 3 shards", "-00001.csv, rows 101 to 200", "100 rows were sent and 99 came back"]),
        ),
        (
            "double",
            json!([{ "fault": "double_row", "object": SECOND, "row": 100, "jobs": 1 }]),
            End::Refused(69, &["-00001.csv, rows 101 to 200", "100 rows were sent and 101 came back"]),
        ),
        (
            "header",
            json!([{ "fault": "header_row", "object": SECOND, "jobs": 1 }]),
            End::Refused(69, &["100 rows were sent and 101 came back", "the first line is \"score\""]),
        ),
        (
            "header-for-row",
            json!([{ "fault": "header_row", "object": SECOND, "jobs": 1 }, { "fault": "drop_row", "object": SECOND, "jobs": 1 }]),
            End::RefusedLate(69, &["-00001.csv, line 1", "expected a finite number, found \"score\""]),
        ),
    ]);
}

#[test]
fn newlines_that_are_lost_or_doubled() {
    Calm::new(&[]).under_all(&[
        (
            "blank",
            json!([{ "fault": "blank_line" }]),
            End::Same(1),
        ),
        (
            "drop-and-blank",
            json!([{ "fault": "blank_line", "object": SECOND, "jobs": 1 }, { "fault": "drop_row", "object": SECOND, "jobs": 1 }]),
            End::Refused(69, &["100 rows were sent and 99 came back, and 1 blank line"]),
        ),
        (
            "last-newline",
            json!([{ "fault": "glue", "object": SECOND, "jobs": 1 }]),
            End::Refused(69, &["-00001.csv", "may be cut off"]),
        ),
    ]);
    let single = [
        ("multi_record", "single_record"),
        ("max_rows: 100", "max_rows: 125"),
    ];
    Calm::new(&single).under_all(&[(
        "glued",
        json!([{ "fault": "glue", "object": SECOND, "batch": 3, "jobs": 1 }]),
        End::Refused(
            69,
            &[
                "-00001.csv, rows 126 to 250",
                "125 rows were sent and 124 came back",
            ],
        ),
    )]);
}

#[test]
fn outputs_that_are_cut_missing_or_others() {
    Calm::new(&[]).under_all(&[
        (
            "half",
            json!([{ "fault": "truncate", "object": SECOND, "jobs": 1 }]),
            End::Refused(69, &["-00001.csv, rows 101 to 200: 100 rows were sent and "]),
        ),
        (
            // 150.0 to 298.5: six bytes each.
            "last-digit",
            json!([{ "fault": "truncate", "object": SECOND, "bytes": 598, "jobs": 1 }]),
            End::Refused(69, &["-00001.csv", "may be cut off"]),
        ),
        (
            "empty",
            json!([{ "fault": "truncate", "object": SECOND, "bytes": 0, "jobs": 1 }]),
            End::Refused(69, &["100 rows were sent and 0 came back"]),
        ),
        (
            "missing",
            json!([{ "fault": "missing_output", "object": SECOND, "jobs": 1 }]),
            End::Refused(69, &["ended as Completed", "-00001.csv, rows 101 to 200: no output"]),
        ),
        (
            "foreign",
            json!([{ "fault": "foreign", "name": "theirs.csv.out", "text": "1\n" }]),
            End::Same(1),
        ),
        (
            "twin",
            json!([{ "fault": "foreign", "object": SECOND, "name": "sub/{object}.out", "text": "1\n", "jobs": 1 }]),
            End::Refused(69, &["2 objects claim to be its output", "/sub/"]),
        ),
    ]);
}

#[test]
fn requests_that_fail() {
    Calm::new(&[]).under_all(&[
        (
            "status",
            json!([{ "fault": "status", "object": SECOND, "jobs": 1 }]),
            End::Same(2),
        ),
        (
            "no-response",
            json!([{ "fault": "no_response", "object": SECOND, "jobs": 1 }]),
            End::Same(2),
        ),
        (
            "every-job",
            json!([{ "fault": "status", "object": SECOND, "status": 413, "jobs": 2 }]),
            End::Refused(
                69,
                &[
                    "1 of 3 shards",
                    "-00001.csv, rows 101 to 200: no output, Bad HTTP status received from algorithm: 413",
                ],
            ),
        ),
        (
            "slow",
            json!([{ "fault": "slow", "ms": 200 }]),
            End::Same(1),
        ),
    ]);
}

#[test]
fn jobs_that_end_otherwise() {
    let reason = "InternalServerError: We encountered an internal error.  Please try again.";
    Calm::new(&[]).under_all(&[
        (
            "internal",
            json!([{ "fault": "end", "status": "Failed", "reason": reason, "jobs": 1 }]),
            End::Same(2),
        ),
        (
            "nothing",
            json!([{ "fault": "end", "status": "Completed", "jobs": 1 }]),
            End::Refused(69, &["ended as Completed", "3 of 3 shards have no usable output"]),
        ),
        (
            "failed",
            json!([{ "fault": "end", "status": "Failed", "reason": "AlgorithmError: \u{1b}[31mno\u{202e}", "jobs": 1 }]),
            End::Refused(69, &["AlgorithmError: \\u{1b}[31mno\\u{202e}"]),
        ),
        (
            "stopped",
            json!([{ "fault": "end", "status": "Stopped", "jobs": 1 }]),
            End::Refused(69, &["ended as Stopped"]),
        ),
        (
            "unknown",
            json!([{ "fault": "unknown_status", "status": "Pondering", "times": 2 }]),
            End::Same(1),
        ),
        (
            "ping",
            json!([{ "fault": "ping", "jobs": 1 }]),
            End::Refused(69, &["failed to respond to ping"]),
        ),
    ]);
}

#[test]
fn calls_that_fail() {
    Calm::new(&[]).under_all(&[
        (
            "throttled",
            json!([{ "fault": "throttle", "times": 3 }]),
            End::Same(1),
        ),
        (
            "lost",
            json!([{ "target": "SageMaker.CreateTransformJob", "times": 1, "lost": true }]),
            End::Same(1),
        ),
        (
            "slow-down",
            json!([{ "fault": "throttle", "method": "GET", "times": 3 }]),
            End::Same(1),
        ),
        // The logs are for messages only.
        (
            "no-logs",
            json!([
                { "target": "Logs_20140328.FilterLogEvents", "status": 400, "code": "AccessDeniedException", "message": "no" },
                { "fault": "missing_output", "object": SECOND, "jobs": 1 }
            ]),
            End::Refused(69, &["-00001.csv, rows 101 to 200: no output"]),
        ),
    ]);
}

/// Our own timeout ends it, and whoever calls again gets another job.
#[test]
fn a_job_that_never_ends() {
    Calm::new(&[]).in_a_hurry(
        "stuck",
        &json!([{ "fault": "stuck", "jobs": 1 }]),
        &End::Refused(124, &["ran longer than job_timeout (1 s)"]),
    );
}

/// It may still write, so that only a new run is safe.
#[test]
fn a_job_that_does_not_stop() {
    Calm::new(&[]).in_a_hurry(
        "stopping",
        &json!([{ "fault": "stuck", "jobs": 1 }, { "fault": "stopping", "jobs": 1 }]),
        &End::RefusedLate(124, &["ran longer than job_timeout (1 s)"]),
    );
}

#[test]
fn a_job_that_somebody_stops() {
    let calm = Calm::new(&[]);
    let lab = &calm.lab;
    let before = lab.jobs();
    lab.project
        .write(FAULTS, json!([{ "fault": "stuck", "jobs": 1 }]).to_string());
    let args = ["-p", "out=stopped", "--run-key", "stopped"];
    let run = lab.start(&args);
    lab.wait_for_job(&before);
    lab.stop_jobs();
    let end = End::Refused(
        69,
        &["ended as Stopped", "3 of 3 shards have no usable output"],
    );
    calm.comes_to("stopped", &args, wait(run), &end);
}

/// What it did is not known, so that only a new run is safe.
#[test]
fn a_job_that_vanishes() {
    Calm::new(&[]).under_all(&[(
        "vanish",
        json!([{ "fault": "vanish", "jobs": 1 }]),
        End::RefusedLate(69, &["is no longer known to the service"]),
    )]);
}

#[test]
fn an_account_without_room() {
    Calm::new(&[]).under_all(&[(
        "limit",
        json!([{ "fault": "limit", "times": 3 }]),
        End::Same(1),
    )]);
    let brief = [("job_timeout: 1h", "job_timeout: 1h\n  capacity_wait: 1s")];
    Calm::new(&brief).under_all(&[(
        "no-room",
        json!([{ "fault": "limit" }]),
        End::Refused(75, &["was not let in", "ResourceLimitExceeded"]),
    )]);
}
