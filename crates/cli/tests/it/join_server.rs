//! `transform.join: server`: the service puts ids beside answers, and each is compared.

use serde_json::{Value, json};

use crate::lab::{Lab, ROWS, sums, wait_until};

fn lab() -> Lab {
    let lab = Lab::new();
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 1h\n  join: server\n  answer_columns: 1",
    );
    lab
}

/// The request of the last job in the ledger.
fn request(lab: &Lab) -> Value {
    let ledger = std::fs::read_to_string(lab.ledger().unwrap()).unwrap();
    let line = ledger
        .lines()
        .rfind(|l| l.contains("\"launching\""))
        .unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    line["entry"]["request"].clone()
}

#[test]
fn the_service_joins_and_the_output_is_the_same() {
    let lab = Lab::new();
    let wanted = lab.published(&lab.run(&["-p", "out=local"]).expect(0).json());
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 1h\n  join: server\n  answer_columns: 1\n  jobs: 2",
    );
    let done = lab.run(&["-p", "out=server"]).expect(0).json();
    assert_eq!(lab.published(&done), wanted);
    let made = json!({ "InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]" });
    assert_eq!(request(&lab)["DataProcessing"], made);
    let run = done["run_id"].as_str().unwrap();
    let keys = lab.keys("state").into_iter();
    let outputs: Vec<String> = keys
        .filter(|k| k.contains(run) && k.ends_with("-00000.csv.out"))
        .collect();
    let stored = lab.object("state", &outputs[0]);
    assert!(stored.starts_with(b"r0,0.0\nr1,1.5\n"));
}

#[test]
fn plan_says_what_goes_where() {
    let lab = lab();
    let told = lab.project.run(&["plan", "pipeline.yaml", "--local"]);
    let told = told.expect(0).stdout;
    assert!(told.contains("to the model  a, b\n"), "{told}");
    assert!(
        told.contains("to the service id, which it keeps from the model and joins\n"),
        "{told}"
    );
    assert!(told.contains("\"InputFilter\": \"$[1:]\""), "{told}");
}

#[test]
fn refused_rows_are_left_out_and_the_others_compared() {
    let lab = lab();
    lab.edit(
        "job_timeout: 1h",
        "job_timeout: 1h\n  on_refused_row: quarantine",
    );
    lab.answer("refuse:15,225");
    let done = lab.run(&[]).expect(0).json();
    let mut wanted = sums(0..ROWS);
    wanted.retain(|(_, sum)| ![15.0, 225.0].contains(sum));
    assert_eq!(lab.scores(&done), wanted);
    assert_eq!(done["quarantine"], json!({ "refused": 2 }));
}

#[test]
fn an_id_that_needs_quotes_is_refused_before_a_job() {
    let lab = lab();
    let text = std::fs::read_to_string(lab.project.path("rows.csv")).unwrap();
    lab.project
        .write("rows.csv", text.replace("r120,", "\"r1,20\","));
    let told = lab.refusal(lab.run(&[]), 65);
    assert!(
        told.contains("rows.csv, record 121: the id `\"r1` holds a quote, a comma or a line break"),
        "{told}"
    );
    assert_eq!(lab.jobs(), Vec::<String>::new());
}

/// Answers that are all there, and beside other rows than their own: no count finds that.
#[test]
fn an_answer_beside_another_row_is_refused() {
    let lab = lab();
    lab.edit("max_rows: 100", "max_rows: 2");
    lab.skip_probe();
    let call = || lab.run(&["--limit-rows", "6", "--no-wait"]);
    std::fs::remove_file(lab.project.path("go")).unwrap();
    call().expect(75);
    lab.let_go();
    wait_until("the job's end", || lab.job_states()[0].is_terminal());
    let mut keys = lab.keys("state").into_iter();
    let key = keys.rfind(|k| k.ends_with("-00001.csv.out"));
    let key = key.unwrap();
    assert_eq!(lab.object("state", &key), b"r2,3.0\nr3,4.5\n");
    lab.put("state", &key, "r3,4.5\nr2,3.0\n");
    let told = lab.refusal(call(), 69);
    assert!(
        told.contains(
            "-00001.csv, rows 3 to 4: row 3 was sent with the id `r2` and came back with `r3`"
        ),
        "{told}"
    );
    lab.put("state", &key, "r2,3.0\nr3,4.5\n");
    let done = call().expect(0).json();
    assert_eq!((lab.scores(&done), lab.jobs().len()), (sums(0..6), 1));
}
