//! The main job: raw CSV to verified predictions beside their rows.

use crate::project::{Project, judge, repository};

#[test]
fn the_main_job_scores_every_row_and_is_reused() {
    let project = Project::new();
    let pipeline = repository().join("pipelines/nightly-scoring.yaml");
    let args = [
        "run",
        pipeline.to_str().unwrap(),
        "--local",
        "--output",
        "json",
    ];
    let first = project.run(&args).expect(0).json();
    assert_eq!(
        (&first["status"], &first["reused"]),
        (&"succeeded".into(), &false.into())
    );
    assert_eq!(first["rows"]["published"], 27_004);
    let path = first["output"]["path"].as_str().unwrap();
    let golden = repository().join("fixtures/flights/golden-scores-2013-01.csv");
    judge("compare_scores.py", &[path, golden.to_str().unwrap()]).expect(0);
    let second = project.run(&args).expect(0).json();
    assert_eq!(
        (&second["reused"], &second["run_id"]),
        (&true.into(), &first["run_id"])
    );
}
