//! What is at the destination before, during and after: claims, leftovers, single files.

use crate::project::Project;

const ROWS: &str = "id,name\n1,a\n2,b\n3,c\n4,d\n";

fn project(to: &str, more: &str) -> Project {
    let project = Project::new();
    project.write("in.csv", ROWS);
    project.write(
        "p.yaml",
        format!(
            "version: 1\nname: publishing\nsource: {{ uri: in.csv }}\nshards: {{ to: {to}, format: csv{more} }}\n"
        ),
    );
    project
}

fn names(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.path("out")).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn one_file_is_published_reused_and_missed() {
    let project = project("out/all.csv", "");
    let first = project
        .run(&["run", "p.yaml", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(first["rows"]["published"], 4);
    assert_eq!(
        std::fs::read_to_string(project.path("out/all.csv")).unwrap(),
        ROWS
    );
    assert_eq!(names(&project), ["all.csv"]);
    let again = project
        .run(&["run", "p.yaml", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(again["reused"], true);
    std::fs::write(project.path("out/all.csv"), "other\n").unwrap();
    project.run(&["run", "p.yaml"]).expect(73);
    project.run(&["run", "p.yaml", "--fresh"]).expect(73);
    assert_eq!(
        std::fs::read_to_string(project.path("out/all.csv")).unwrap(),
        "other\n"
    );
    project
        .run(&["run", "p.yaml", "--fresh", "--overwrite"])
        .expect(0);
    assert_eq!(
        std::fs::read_to_string(project.path("out/all.csv")).unwrap(),
        ROWS
    );
}

#[test]
fn the_claim_of_another_run_is_respected_or_replaced_with_what_it_left() {
    for claim in [
        r#"{"run_id":"other","run_key":"k","files":["part-00007.csv","../up.csv"]}"#,
        "not a claim",
    ] {
        let project = project("out/", ", max_rows: 2");
        project.write("out/_publishing.json", claim);
        project.write("up.csv", "stays");
        let left = claim.starts_with('{');
        if left {
            project.write("out/part-00007.csv", "left by the other");
        }
        let refused = project.run(&["run", "p.yaml"]).expect(73);
        assert!(refused.stderr.contains("not empty"), "{}", refused.stderr);
        assert!(!project.path("out/_SUCCESS").exists());
        project.run(&["run", "p.yaml", "--overwrite"]).expect(0);
        assert_eq!(
            names(&project),
            [
                "_SUCCESS",
                "_manifest.json",
                "part-00000.csv",
                "part-00001.csv"
            ]
        );
        assert_eq!(
            std::fs::read_to_string(project.path("up.csv")).unwrap(),
            "stays"
        );
    }
}

#[test]
fn a_run_takes_its_own_claim_up_again_and_only_its_own() {
    let project = project("out/", ", max_rows: 2");
    let first = project
        .run(&["run", "p.yaml", "--output", "json"])
        .expect(0)
        .json();
    let run = first["run_id"].as_str().unwrap();
    // As if it had been cut off in the middle: the claim is there, one part and the end are not.
    let ledger = project.path(&format!(".gristmill/runs/{run}/ledger.jsonl"));
    let text = std::fs::read_to_string(&ledger).unwrap();
    let kept: Vec<&str> = text
        .lines()
        .take_while(|l| !l.contains(r#""kind":"published""#))
        .collect();
    std::fs::write(&ledger, kept.join("\n") + "\n").unwrap();
    let claim = format!(
        r#"{{"run_id":"{run}","run_key":"k","files":["part-00000.csv","part-00001.csv","part-00002.csv"]}}"#
    );
    project.write("out/_publishing.json", claim);
    project.write("out/part-00002.csv", "of an earlier cut");
    std::fs::remove_file(project.path("out/_SUCCESS")).unwrap();
    std::fs::remove_file(project.path("out/_manifest.json")).unwrap();
    let again = project
        .run(&["run", "p.yaml", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(
        (&again["run_id"], &again["attempt"]),
        (&first["run_id"], &2.into())
    );
    assert_eq!(
        names(&project),
        [
            "_SUCCESS",
            "_manifest.json",
            "part-00000.csv",
            "part-00001.csv"
        ]
    );
    // Another key at the same place is refused, whatever names it would write.
    project
        .run(&["run", "p.yaml", "--run-key", "other"])
        .expect(73);
}

#[test]
fn a_claim_of_its_own_does_not_let_a_run_replace_what_another_published() {
    let project = project("out/", ", max_rows: 2");
    let first = project
        .run(&["run", "p.yaml", "--output", "json"])
        .expect(0)
        .json();
    let published = std::fs::read(project.path("out/_manifest.json")).unwrap();
    let second = project
        .run(&["run", "p.yaml", "--run-key", "b", "--output", "json"])
        .expect(73)
        .json();
    // As if the second had been killed just after it claimed the place with --overwrite.
    let claim = format!(
        r#"{{"run_id":{},"run_key":"b","files":["part-00000.csv","part-00001.csv","_manifest.json","_SUCCESS"]}}"#,
        second["run_id"]
    );
    project.write("out/_publishing.json", claim);
    project.run(&["run", "p.yaml", "--run-key", "b"]).expect(73);
    assert_eq!(
        std::fs::read(project.path("out/_manifest.json")).unwrap(),
        published
    );
    let over = [
        "run",
        "p.yaml",
        "--run-key",
        "b",
        "--overwrite",
        "--output",
        "json",
    ];
    let over = project.run(&over).expect(0).json();
    assert_ne!(over["run_id"], first["run_id"]);
    assert_eq!(
        names(&project),
        [
            "_SUCCESS",
            "_manifest.json",
            "part-00000.csv",
            "part-00001.csv"
        ]
    );
    // What the first published is gone: it does not say that it is still there.
    project.run(&["run", "p.yaml"]).expect(73);
}

#[test]
fn a_claim_that_was_never_finished_is_the_runs_own() {
    let project = project("out/", ", max_rows: 2");
    project.write("out/keep", "in the way");
    let refused = project
        .run(&["run", "p.yaml", "--output", "json"])
        .expect(73)
        .json();
    std::fs::remove_file(project.path("out/keep")).unwrap();
    let run = refused["run_id"].as_str().unwrap();
    project.write(&format!("out/._publishing.json.{run}.partial"), "{");
    project.run(&["run", "p.yaml"]).expect(0);
    assert_eq!(
        names(&project),
        [
            "_SUCCESS",
            "_manifest.json",
            "part-00000.csv",
            "part-00001.csv"
        ]
    );
}
