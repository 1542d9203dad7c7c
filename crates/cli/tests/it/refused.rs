//! `on_refused_row: quarantine`: the rows that a model refuses are found, set aside with their places,
//! and everything else is published.

use serde_json::{Value, json};

use crate::lab::{Lab, ROWS, rows, sums};
use crate::project::Done;
use crate::resume::kill_at_line;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 1h\n  on_refused_row: quarantine",
    );
    lab
}

/// Shards and pieces of each job.
fn jobs(done: &Value) -> Vec<(u64, u64)> {
    let of = |j: &Value| {
        (
            j["shards"].as_u64().unwrap(),
            j["pieces"].as_u64().unwrap_or(0),
        )
    };
    done["jobs"].as_array().unwrap().iter().map(of).collect()
}

/// The rows of the quarantine.
fn quarantine(done: &Value) -> Vec<Value> {
    let file = done["quarantine_file"].as_str().unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// The data records of refused rows.
fn records(done: &Value) -> Vec<u64> {
    let rows = quarantine(done).into_iter();
    rows.map(|r| r["record"].as_u64().unwrap()).collect()
}

#[test]
fn five_of_27_004_rows_are_found_by_three_more_jobs() {
    let lab = lab();
    lab.project.write("rows.csv", rows(0..27_004));
    lab.edit("max_rows: 100", "max_rows: 27004");
    // The sums of rows 0, 5,000, 5,001, 20,000 and 27,003.
    lab.answer("refuse:0,7500,7501.5,30000,40504.5");
    let done = lab.run(&[]).expect(0);
    let told =
        "the model refuses 5 rows, first row 1: Bad HTTP status received from algorithm: 400";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    let done = done.json();
    let wanted = [0, 5_000, 5_001, 20_000, 27_003];
    let mut answered = sums(0..27_004);
    for row in wanted.iter().rev() {
        answered.remove(*row);
    }
    assert_eq!(lab.scores(&done), answered);
    assert_eq!(records(&done), wanted.map(|r| r as u64 + 1));
    assert_eq!(
        (&done["rows"]["quarantined"], &done["quarantine"]["refused"]),
        (&5.into(), &5.into())
    );
    assert_eq!(done["rows"]["published"], 26_999);
    let jobs = jobs(&done);
    assert_eq!((jobs.len(), jobs[0], jobs[1]), (4, (1, 0), (1, 32)));
    let row = &quarantine(&done)[1];
    assert_eq!(
        (&row["reason"], &row["raw"]),
        (&"refused".into(), &"5000,2500.0".into())
    );
    assert_eq!(
        (&row["first_row"], &row["last_row"]),
        (&5_001.into(), &5_001.into())
    );
    assert!(
        row["shard"].as_str().unwrap().ends_with("-00000.csv"),
        "{row}"
    );
    assert!(
        row["found"]
            .as_str()
            .unwrap()
            .contains("cannot score 7500.0"),
        "{row}"
    );
    let left = lab.keys("state");
    assert!(!left.iter().any(|k| k.contains("/pieces/")), "{left:?}");
    let again = lab.run(&[]).expect(0).json();
    assert_eq!((&again["reused"], records(&again).len()), (&true.into(), 5));
}

#[test]
fn bad_rows_of_the_source_and_refused_ones_are_in_one_quarantine() {
    let lab = lab();
    lab.edit(
        "format: csv, max_rows: 100",
        "format: csv.gz, max_rows: 100",
    );
    lab.edit("on_bad_row: fail", "on_bad_row: quarantine");
    let all = rows(0..ROWS);
    let (head, rest) = all.split_once("r10,").unwrap();
    lab.project
        .write("rows.csv", format!("{head}bad\nr10,{rest}"));
    lab.answer("refuse:15,300");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(jobs(&done), [(3, 0), (2, 150)]);
    assert_eq!(lab.scores(&done).len(), ROWS - 2);
    assert_eq!(
        (
            &done["quarantine"]["ragged"],
            &done["quarantine"]["refused"]
        ),
        (&1.into(), &2.into())
    );
    // Places are those of the input, whatever was left out before.
    assert_eq!(records(&done), [11, 12, 202]);
    assert_eq!(quarantine(&done)[1]["first_row"], 11);
}

#[test]
fn a_model_that_refuses_everything_is_broken_and_goes_on_once_it_is_mended() {
    let lab = lab();
    lab.project.write("rows.csv", rows(0..40));
    lab.edit("max_rows: 100", "max_rows: 20");
    lab.answer("status:500");
    let told = lab.refusal(lab.run(&[]), 69);
    assert!(
        told.contains("2 of 2 shards have no usable output"),
        "{told}"
    );
    assert_eq!(lab.jobs().len(), 2);
    lab.answer("sum");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!((lab.scores(&done), jobs(&done).len()), (sums(0..40), 3));
    assert_eq!(done["rows"]["quarantined"], 0);
}

/// Rows that are lost within an output are not refused ones: nobody knows which they are.
#[test]
fn lost_rows_are_not_looked_for() {
    let lab = lab();
    lab.skip_probe();
    lab.answer("short");
    lab.refusal(lab.run(&[]), 69);
    assert_eq!(lab.jobs().len(), 1);
}

/// Killed wherever its ledger has a line from the first job on: as many jobs, and the same bytes.
#[test]
fn killed_between_the_cuts() {
    let lab = lab();
    lab.project.write("rows.csv", rows(0..60));
    lab.edit("max_rows: 100", "max_rows: 20");
    lab.answer("refuse:15,60");
    let rows_of = |done: &Value| {
        let mut rows = quarantine(done);
        rows.iter_mut().for_each(|r| r["shard"] = Value::Null);
        rows
    };
    let calm = lab.run(&["-p", "out=calm"]).expect(0).json();
    let (wanted, refused) = (lab.published(&calm), rows_of(&calm));
    assert_eq!((refused.len(), jobs(&calm)), (2, vec![(3, 0), (2, 40)]));
    let text = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let first = text
        .lines()
        .position(|l| l.contains("job_created"))
        .unwrap();
    let (mut killed, mut runs) = (0, 0);
    for at in (first..text.lines().count()).step_by(4) {
        let (key, out) = (format!("key-{at}"), format!("out=storm-{at}"));
        killed += usize::from(kill_at_line(&lab, &key, &out, at));
        runs += 1;
        let done = lab.run(&["--run-key", &key, "-p", &out]).expect(0).json();
        assert_eq!(lab.published(&done), wanted, "killed at line {at}");
        assert_eq!(
            (rows_of(&done), jobs(&done)),
            (refused.clone(), jobs(&calm)),
            "killed at line {at}"
        );
    }
    assert!(
        killed * 2 > runs,
        "only {killed} of {runs} runs were killed before their end"
    );
}

/// What was set aside is asked for again where the pipeline does not allow that any more.
#[test]
fn fail_after_quarantine_publishes_no_part() {
    let lab = lab();
    lab.answer("refuse:15");
    let run = lab.start(&[]);
    crate::lab::wait_until("the cut", || lab.has_entry("pieces_answered"));
    crate::resume::kill_9(run);
    lab.edit("on_refused_row: quarantine", "on_refused_row: fail");
    let told = lab.refusal(lab.run(&[]), 69);
    assert!(
        told.contains("1 of 3 shards have no usable output"),
        "{told}"
    );
}

#[test]
fn plan_shows_how_many_jobs_there_may_be() {
    let lab = lab();
    let plan = |lab: &Lab| -> Done {
        lab.project
            .run(&["plan", "pipeline.yaml", "--local"])
            .expect(0)
    };
    let told = plan(&lab).stdout;
    assert!(
        told.contains("  jobs          1, and up to 3 more over pieces"),
        "{told}"
    );
    lab.edit("on_refused_row: quarantine", "max_attempts: 1");
    let told = plan(&lab).stdout;
    assert!(told.contains("  jobs          1\n"), "{told}");
}

fn faults(lab: &Lab, rules: &Value) {
    let file = ".gristmill/local/faults.json";
    lab.project.write(file, rules.to_string());
}

/// Shards whose only row, or whose every row, is refused: nothing in their job is answered but rows that were
/// answered before.
#[test]
fn shards_that_hold_refused_rows_alone() {
    let lab = lab();
    lab.project.write("rows.csv", rows(0..7));
    lab.edit("max_rows: 100", "max_rows: 2");
    // Rows 4, 5 and 6: the third shard, and the last one, which has one row.
    lab.answer("refuse:6,7.5,9");
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..4));
    assert_eq!(records(&done), [5, 6, 7]);
    assert_eq!(jobs(&done), [(4, 0), (2, 3)]);
}

/// A row that fails once where it is alone is asked for once more, unless the container says that the
/// request was bad.
#[test]
fn a_container_that_stumbles_sets_no_row_aside() {
    let lab = lab();
    lab.answer("refuse:15");
    let once =
        |object: &str| json!({ "fault": "status", "object": object, "skip_jobs": 1, "jobs": 1 });
    let rules = [
        once("*-00000-r00000003-1.csv"),
        once("*-00000-r00000099-1.csv"),
    ];
    faults(&lab, &json!(rules));
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(
        (lab.scores(&done).len(), records(&done)),
        (ROWS - 1, vec![11])
    );
    assert_eq!(jobs(&done), [(3, 0), (1, 100), (1, 2)]);
}

/// What the service lost of an output is no row that the model refused, not for a later call either.
#[test]
fn a_row_that_was_lost_is_not_set_aside() {
    let lab = lab();
    lab.answer("refuse:15");
    faults(
        &lab,
        &json!([{ "fault": "drop_row", "object": "*-00000-r00000003-1.csv", "times": 2 }]),
    );
    for _ in 0..2 {
        let told = lab.refusal(lab.run(&[]), 69);
        assert!(told.contains("1 rows were sent and 0 came back"), "{told}");
    }
    let done = lab.run(&[]).expect(0).json();
    assert_eq!(
        (lab.scores(&done).len(), records(&done)),
        (ROWS - 1, vec![11])
    );
}

/// So many refused rows that each piece of the first cut holds one.
#[test]
fn refused_rows_everywhere() {
    let lab = lab();
    lab.project.write("rows.csv", rows(0..2_000));
    lab.edit("max_rows: 100", "max_rows: 2000");
    let bad = |row: &usize| row % 50 == 7;
    let refused: Vec<String> = (0..2_000)
        .filter(bad)
        .map(|r| (r as f64 * 1.5).to_string())
        .collect();
    lab.answer(&format!("refuse:{}", refused.join(",")));
    let done = lab.run(&[]).expect(0).json();
    assert_eq!((lab.scores(&done).len(), records(&done).len()), (1_960, 40));
    assert!(records(&done).iter().all(|r| bad(&(*r as usize - 1))));
    assert!(jobs(&done).len() <= 4);
}
