//! Everything that a run refuses: the exit code, the message with its place and its remedy, and that
//! nothing was published.

use insta::assert_snapshot;

use crate::lab::{Lab, ROWS, kill, rows, signal, sums, wait};

#[test]
fn a_missing_file_is_no_input() {
    let lab = Lab::new();
    lab.edit("uri: rows.csv", "uri: gone.csv");
    assert_snapshot!(lab.refusal(lab.run(&[]), 66), @r"
    DIR/gone.csv: no such file or object
    help: check source.uri; patterns such as *.csv may match nothing, a plain name must exist
    ");
    lab.edit("uri: gone.csv", "uri: gone-*.csv");
    assert_snapshot!(lab.refusal(lab.run(&[]), 66), @r"
    nothing matches source.uri
    help: if that is as it should be, say so: source.on_empty: skip, or ok
    ");
    lab.edit("on_empty: fail", "on_empty: skip");
    assert_snapshot!(lab.refusal(lab.run(&[]), 99), @"nothing matches source.uri: skipped (on_empty: skip)");
}

#[test]
fn a_missing_pipeline_is_no_input() {
    let lab = Lab::new();
    let done = lab
        .project
        .run(&["run", "gone.yaml", "--local", "--output", "json"]);
    assert_snapshot!(lab.refusal(done, 66), @r"
    cannot read the pipeline gone.yaml: No such file or directory (os error 2)
    help: give the path of a pipeline file, such as pipelines/nightly-scoring.yaml
    ");
}

#[test]
fn an_input_without_rows_is_as_on_empty_says() {
    for (name, content) in [("nothing at all", ""), ("a header only", "id,a,b\n")] {
        let lab = Lab::new();
        lab.project.write("rows.csv", content);
        let told = lab.refusal(lab.run(&[]), 66);
        assert!(told.contains("on_empty: skip"), "{name}: {told}");
        lab.edit("on_empty: fail", "on_empty: skip");
        let skipped = lab.run(&[]).expect(99).json();
        assert_eq!(
            (&skipped["status"], &skipped["exit"]),
            (&"skipped".into(), &99.into()),
            "{name}"
        );
        lab.nothing_is_published();
        lab.edit("on_empty: skip", "on_empty: ok");
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(
            (&done["status"], &done["rows"]["published"]),
            (&"succeeded".into(), &0.into()),
            "{name}"
        );
        assert_eq!(lab.jobs(), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn yaml_that_is_none_is_a_pipeline_error() {
    let lab = Lab::new();
    lab.edit("prepare: { id: [id]", "prepare: { id: [id");
    assert_snapshot!(lab.refusal(lab.run(&[]), 78), @r"
    pipeline.yaml:12:1 syntax: not valid YAML: invalid indentation in flow construct
    the pipeline file has 1 mistake
    ");
}

#[test]
fn every_mistake_of_the_pipeline_is_told_at_once() {
    let lab = Lab::new();
    lab.edit("  columns: infer\n", "  colums: infer\n");
    lab.edit("max_rows: 100", "max_rows: many");
    lab.edit("instance_count: 1", "instance_count: 0");
    lab.edit(
        "batch_strategy: multi_record",
        "batch_strategy: multi_records",
    );
    assert_snapshot!(lab.refusal(lab.run(&[]), 78), @r"
    pipeline.yaml:8:3 unknown-key: unknown key `colums` in `source`
      help: did you mean `columns`?
    pipeline.yaml:12:34 wrong-type: `shards.max_rows`: expected an integer of at least 1, found the text `many`
    pipeline.yaml:16:19 bad-value: `transform.instance_count`: expected an integer from 1 to 100, found 0
    pipeline.yaml:20:19 bad-value: `transform.batch_strategy`: expected `multi_record` or `single_record`, found `multi_records`
      help: did you mean `multi_record`?
    the pipeline file has 4 mistakes
    ");
}

#[test]
fn snappy_csv_cannot_be_split_by_the_service() {
    let lab = Lab::new();
    lab.edit("format: csv, max_rows", "format: csv.sz, max_rows");
    assert_snapshot!(lab.refusal(lab.run(&[]), 78), @r"
    pipeline.yaml:12:19 snappy-with-line-split: `shards.format: csv.sz` cannot be split: with `split_type: line` the service cuts at newlines, and it decompresses only gzip, never Snappy
      help: use `format: csv` or `csv.gz`; Snappy CSV is for storage
    the pipeline file has 1 mistake
    ");
}

#[test]
fn a_shard_above_the_payload_and_the_100_mb_product_are_refused() {
    let lab = Lab::new();
    lab.edit("split_type: line", "split_type: none");
    lab.edit("max_rows: 100", "max_rows: 100, max_bytes: 2MB");
    lab.edit(
        "max_payload_in_mb: 1\n",
        "max_payload_in_mb: 1\n  environment: {}\n",
    );
    let first = lab.refusal(lab.run(&[]), 78);
    assert!(first.contains("payload"), "{first}");
    lab.edit("max_payload_in_mb: 1\n", "max_payload_in_mb: 60\n");
    assert_snapshot!(lab.refusal(lab.run(&[]), 78), @r"
    pipeline.yaml:20:19 batch-without-split: `batch_strategy` needs a `split_type` of line, recordio or tfrecord
      help: with `split_type: none` a shard is one request: remove `batch_strategy`
    pipeline.yaml:24:30 payload-product: `max_concurrent_transforms` × `max_payload_in_mb` is 2 × 60 = 120; the service takes at most 100
      help: with 60 MB at most 1 at once
    the pipeline file has 2 mistakes
    ");
}

#[test]
fn parameters_that_are_wrong_missing_or_unknown_are_usage_errors() {
    let lab = Lab::new();
    lab.edit(
        "default: sums }",
        "default: sums }\n  day: { type: date, required: true }",
    );
    assert_snapshot!(lab.refusal(lab.run(&[]), 2), @r"
    parameter `day` is required: give it with `-p day=<a date (YYYY-MM-DD)>`
    help: parameters are declared under `params:` in the pipeline and given with -p name=value or in a --params-file
    ");
    assert_snapshot!(lab.refusal(lab.run(&["-p", "day=yesterday"]), 2), @r"
    parameter `day`: expected a date (YYYY-MM-DD), found `yesterday`
    help: parameters are declared under `params:` in the pipeline and given with -p name=value or in a --params-file
    ");
    assert_snapshot!(lab.refusal(lab.run(&["-p", "day=2026-01-01", "-p", "dya=2026-01-01"]), 2), @r"
    parameter `dya` is not declared by this pipeline; did you mean `day`?
    help: parameters are declared under `params:` in the pipeline and given with -p name=value or in a --params-file
    ");
    assert_snapshot!(lab.refusal(lab.run(&["-p", "day=2026-01-01", "-p", "day=2026-01-02"]), 2), @r#"parameter "day" is given twice"#);
}

#[test]
fn a_model_that_answers_500_fails_and_is_not_paid_twice_for_what_it_did() {
    let lab = Lab::new();
    lab.answer("status:500");
    let told = lab.refusal(lab.run(&[]), 69);
    assert_snapshot!(told.lines().next().unwrap(), @"job sums-HASH-a1 ended as Failed: AlgorithmError: See job logs for more information. 3 of 3 shards have no usable output (RUN-00000.csv, rows 1 to 100: no output, Bad HTTP status received from algorithm: 500: told to; RUN-00001.csv, rows 101 to 200: no output, Bad HTTP status received from algorithm: 500: told to; RUN-00002.csv, rows 201 to 250: no output, Bad HTTP status received from algorithm: 500: told to). Nothing was published");
    // What the container said is in the help, from its log.
    assert!(told.contains("told to"), "{told}");
    assert_eq!(lab.jobs().len(), 1);
    lab.answer("sum");
    let mended = lab.run(&[]).expect(0).json();
    assert_eq!(
        (&mended["attempt"], mended["jobs"].as_array().unwrap().len()),
        (&2.into(), 2)
    );
    assert_eq!(lab.scores(&mended), sums(0..ROWS));
}

#[test]
fn one_row_too_few_is_never_published() {
    let lab = Lab::unprobed();
    lab.answer("short");
    let told = lab.refusal(lab.run(&[]), 69);
    assert_snapshot!(told.lines().next().unwrap(), @"job sums-HASH-a1 ended as Completed. 3 of 3 shards have no usable output (RUN-00000.csv, rows 1 to 100: 100 rows were sent and 99 came back; RUN-00001.csv, rows 101 to 200: 100 rows were sent and 99 came back; RUN-00002.csv, rows 201 to 250: 50 rows were sent and 49 came back). Nothing was published");
}

#[test]
fn one_row_too_many_is_never_published() {
    let lab = Lab::unprobed();
    lab.answer("long");
    let told = lab.refusal(lab.run(&[]), 69);
    assert!(
        told.contains("100 rows were sent and 101 came back"),
        "{told}"
    );
}

#[test]
fn an_answer_that_is_no_number_is_never_published() {
    for answer in ["text:oops", "text:", "text:[]"] {
        let lab = Lab::unprobed();
        lab.answer(answer);
        let told = lab.refusal(lab.run(&[]), 69);
        if answer == "text:oops" {
            assert_snapshot!(told, @r#"
            shard RUN-00000.csv, line 1: prediction[0]: expected a finite number, found "oops"
            help: the pipeline's `from` and `type` must fit what the model answers; nothing was published. A model that was mended under its old name scores again with --fresh
            "#);
        }
        lab.answer("sum");
        let mended = lab.run(&["--fresh"]).expect(0).json();
        assert_eq!(lab.scores(&mended), sums(0..ROWS), "{answer}");
    }
}

#[test]
fn answers_as_python_lists_are_taken() {
    let lab = Lab::unprobed();
    lab.answer("text:[0.25, 0.75]");
    lab.edit("from: \"prediction[0]\"", "from: \"prediction[1]\"");
    let done = lab.run(&[]).expect(0).json();
    assert!(lab.scores(&done).iter().all(|(_, score)| *score == 0.75));
    lab.edit("from: \"prediction[1]\"", "from: \"prediction[2]\"");
    let told = lab.told(lab.run(&["--fresh", "--overwrite"]), 69);
    assert_snapshot!(told, @r#"
    shard RUN-00000.csv, line 1: prediction[2]: expected a line of at least 3 cells, found "[0.25, 0.75]"
    help: the pipeline's `from` and `type` must fit what the model answers; nothing was published. A model that was mended under its old name scores again with --fresh
    "#);
}

/// What lies among the outputs and is none of ours is told and left alone; two that claim to be one
/// shard's are not chosen from.
#[test]
fn foreign_objects_among_the_outputs() {
    for (name, content) in [("theirs.out", "1\n"), ("sub/SHARD.out", "1\n")] {
        let lab = Lab::waiting();
        let run = lab.start(&[]);
        lab.wait_for("job_created");
        let id = lab
            .ledger()
            .unwrap()
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let name = name.replace("SHARD", &format!("{id}-00001.csv"));
        lab.put("state", &format!("runs/{id}/out/a1/{name}"), content);
        lab.let_go();
        if name == "theirs.out" {
            let done = wait(run).expect(0);
            assert!(
                done.stderr
                    .contains("\"theirs.out\" lies among the job's outputs"),
                "{}",
                done.stderr
            );
            assert_eq!(lab.scores(&done.json()), sums(0..ROWS));
        } else {
            let told = lab.refusal(wait(run), 69);
            assert!(
                told.contains("1 of 3 shards") && told.contains("2 objects claim to be its output"),
                "{told}"
            );
            // One shard is scored again, by a manifest; the others are not paid for twice.
            let done = lab.run(&[]).expect(0).json();
            assert_eq!(
                (&done["jobs"][1]["shards"], lab.scores(&done)),
                (&1.into(), sums(0..ROWS))
            );
        }
    }
}

#[test]
fn a_row_larger_than_the_payload_is_the_datas_fault() {
    let lab = Lab::new();
    let long = format!("{}r999,{},1\n", rows(0..ROWS), "9".repeat(1 << 20));
    lab.project.write("rows.csv", long);
    lab.edit("columns: infer", "columns: text");
    assert_snapshot!(lab.refusal(lab.run(&[]), 65), @r"
    bad row: DIR/rows.csv:252: record 251 (byte 3317): expected a row of at most 990000 bytes with its line end, found 1048579 bytes
    help: raise transform.max_payload_in_mb or source.max_record, or set such rows aside: on_bad_row: quarantine
    ");
    assert_eq!(lab.jobs(), Vec::<String>::new());
}

#[test]
fn a_bad_row_fails_the_run_and_so_do_too_many_in_quarantine() {
    let lab = Lab::new();
    lab.project
        .write("rows.csv", format!("{}r999,1\n", rows(0..ROWS)));
    assert_snapshot!(lab.refusal(lab.run(&[]), 65), @r"
    bad row: DIR/rows.csv:252: record 251 (byte 3317): expected 3 fields, found 2 fields
    help: mend the row, or set bad rows aside: on_bad_row: quarantine (--on-bad-row quarantine)
    ");
    lab.edit(
        "on_bad_row: fail",
        "on_bad_row: { action: quarantine, max_ratio: 0.001 }",
    );
    assert_snapshot!(lab.refusal(lab.run(&["--fresh"]), 65), @r"
    1 of 251 rows are bad, more than the limit of 0.1 % of rows; the first is DIR/rows.csv:252: record 251 (byte 3317): expected 3 fields, found 2 fields
    help: `gristmill convert IN OUT --on-bad-row quarantine --bad-rows FILE` lists every bad row with its place; then mend them, or raise max_ratio or max_rows
    ");
}

#[test]
fn what_is_at_the_destination_is_neither_replaced_nor_touched() {
    let lab = Lab::new();
    let mut services = lab.serve(&[]);
    lab.put("scores", "sums/theirs.csv", "theirs");
    assert_snapshot!(lab.told(lab.run(&[]), 73), @r#"
    the destination s3://scores/sums/ is not empty: it holds "theirs.csv"
    help: choose another destination, or replace what is there: mode: overwrite, or --overwrite
    "#);
    assert_eq!(
        (lab.keys("scores"), lab.jobs()),
        (vec!["sums/theirs.csv".to_owned()], vec![])
    );
    let done = lab.run(&["--overwrite"]).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert!(lab.keys("scores").contains(&"sums/theirs.csv".to_owned()));
    // Over what is ours from another run: nothing of it stays.
    lab.project.write("rows.csv", rows(0..ROWS - 10));
    let again = lab.run(&["--overwrite", "--fresh"]).expect(0).json();
    assert_eq!(lab.scores(&again), sums(0..ROWS - 10));
    signal(&services, "TERM");
    services.wait().unwrap();
}

#[test]
fn a_key_used_with_other_data_or_parameters_is_refused() {
    let lab = Lab::new();
    lab.run(&["--run-key", "k"]).expect(0);
    let before = lab.keys("scores");
    lab.project.write("rows.csv", rows(0..ROWS + 1));
    let told = lab.told(lab.run(&["--run-key", "k"]), 73);
    assert!(
        told.contains("rows.csv changed: ") && told.contains("--fresh"),
        "{told}"
    );
    assert_snapshot!(lab.told(lab.run(&["--run-key", "k", "-p", "out=other"]), 73), @r#"
    run key "k" was used with no parameters, and now with -p out=other
    help: use another --run-key, or start over under this one with --fresh
    "#);
    assert_snapshot!(lab.told(lab.run(&["--run-key", "k", "--limit-rows", "5"]), 73), @r#"
    run key "k" was used with all rows, and now with --limit-rows 5
    help: use another --run-key, or start over under this one with --fresh
    "#);
    lab.project.write("rows.csv", rows(0..ROWS));
    lab.edit("select: [a, b]", "select: [b, a]");
    assert_snapshot!(lab.told(lab.run(&["--run-key", "k"]), 73), @r#"
    run RUN under key "k" is done, and the pipeline was changed since: the stage `shards` differs (prepare, shards, or the columns that assemble carries)
    help: run it anew with --fresh, or under a key of its own with --run-key
    "#);
    assert_eq!((lab.keys("scores"), lab.jobs().len()), (before, 1));
}

#[test]
fn two_runs_of_a_key_at_once_are_one() {
    let lab = Lab::waiting();
    let first = lab.start(&["--run-key", "k"]);
    lab.wait_for("job_created");
    assert_snapshot!(lab.refusal(lab.run(&["--run-key", "k"]), 75), @r#"
    another process is working on run key "k" (lock DIR/.gristmill/locks/HASH.lock)
    help: `gristmill wait` waits for it; then call again. Or give this run a key of its own with --run-key
    "#);
    let status = lab
        .project
        .run(&["status", "k", "--output", "json"])
        .expect(75)
        .json();
    assert_eq!(status["status"], "running");
    lab.let_go();
    let first = wait(first).expect(0).json();
    assert_eq!((lab.scores(&first), lab.jobs().len()), (sums(0..ROWS), 1));
}

/// With no services yet: they are started once, whoever comes first; each run waits or defers.
#[test]
fn eight_runs_at_once_are_one_or_eight() {
    let lab = Lab::new();
    let same: Vec<_> = (0..8).map(|_| lab.start(&["--run-key", "k"])).collect();
    let codes: Vec<i32> = same.into_iter().map(|run| wait(run).code).collect();
    assert!(
        codes.contains(&0) && codes.iter().all(|c| [0, 75].contains(c)),
        "{codes:?}"
    );
    assert_eq!(lab.jobs().len(), 1);
    let lab = Lab::new();
    let keys: Vec<String> = (0..8).map(|i| format!("out=k{i}")).collect();
    let runs: Vec<_> = keys.iter().map(|k| lab.start(&["-p", k])).collect();
    for run in runs {
        assert_eq!(lab.scores(&wait(run).expect(0).json()), sums(0..ROWS));
    }
    assert_eq!(lab.jobs().len(), 8);
}

#[test]
fn the_standard_input_is_a_source_and_other_data_under_its_key_is_refused() {
    let lab = Lab::new();
    lab.edit("uri: rows.csv", "uri: \"-\"");
    let args = ["run", "pipeline.yaml", "--local", "--output", "json"];
    let run = |range| lab.project.run_with_input(&args, rows(range).as_bytes());
    let done = run(0..120).expect(0).json();
    assert_eq!(lab.scores(&done), sums(0..120));
    assert_eq!(run(0..120).expect(0).json()["reused"], true);
    let told = lab.told(run(0..121), 73);
    assert!(told.contains("stdin changed: "), "{told}");
    assert_eq!(lab.jobs().len(), 1);
}

#[test]
fn a_job_past_its_timeout_is_stopped() {
    let lab = Lab::waiting();
    lab.edit("job_timeout: 1h", "job_timeout: 1s");
    assert_snapshot!(lab.refusal(lab.run(&[]), 124), @r"
    job sums-HASH-a1 ran longer than job_timeout (1 s)
    help: it was stopped; a stopped job stores no output
    ");
    let answer = lab
        .project
        .run(&["status", "--output", "json"])
        .expect(124)
        .json();
    assert_eq!(answer["jobs"][0]["status"], "Stopped");
}

#[test]
fn signals_end_a_run_that_can_be_gone_on_with() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let lab = Lab::waiting();
        let run = lab.start(&[]);
        lab.wait_for("job_created");
        signal(&run, name);
        let told = lab.refusal(wait(run), code);
        assert!(told.contains("kept") && told.contains("goes on"), "{told}");
        let status = lab
            .project
            .run(&["status", "--output", "json"])
            .expect(code)
            .json();
        assert_eq!(status["status"], "interrupted");
        lab.let_go();
        let done = lab.run(&[]).expect(0).json();
        assert_eq!(
            (lab.scores(&done), lab.jobs().len()),
            (sums(0..ROWS), 1),
            "{name}"
        );
    }
}

#[test]
fn an_interrupt_while_the_standard_input_is_silent_ends_the_run() {
    let lab = Lab::new();
    lab.edit("uri: rows.csv", "uri: \"-\"");
    let mut command = lab
        .project
        .command(&["run", "pipeline.yaml", "--local", "--output", "json"]);
    let piped = std::process::Stdio::piped;
    let mut run = command
        .stdin(piped())
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    let silent = run.stdin.take();
    lab.wait_for("opened");
    // The handler is there from before the ledger's first line.
    signal(&run, "INT");
    let told = lab.refusal(wait(run), 130);
    assert!(told.contains("interrupted"), "{told}");
    drop(silent);
}

#[test]
fn on_interrupt_stop_stops_the_job() {
    let lab = Lab::waiting();
    lab.edit("job_timeout: 1h", "job_timeout: 1h\n  on_interrupt: stop");
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    signal(&run, "INT");
    lab.refusal(wait(run), 130);
    lab.let_go();
    let done = lab.run(&[]).expect(0).json();
    let states: Vec<&str> = done["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|j| j["status"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["Stopped", "Completed"]);
    assert_eq!(lab.scores(&done), sums(0..ROWS));
}

#[test]
fn services_that_went_away_are_a_temporary_failure() {
    let lab = Lab::waiting();
    let run = lab.start(&[]);
    lab.wait_for("job_created");
    let pid = lab.project.endpoint(".gristmill").unwrap()["pid"]
        .as_u64()
        .unwrap();
    kill(pid, "KILL");
    let done = wait(run).expect(75);
    assert_eq!(done.json()["status"], "deferred");
    lab.let_go();
    let done = lab.run(&[]).expect(0).json();
    assert_eq!((lab.scores(&done), lab.jobs().len()), (sums(0..ROWS), 1));
}
