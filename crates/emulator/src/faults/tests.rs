#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    faults: Faults,
}

impl Bench {
    fn new(rules: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("faults.json"), rules).unwrap();
        let faults = Faults::new(dir.path());
        Self { dir, faults }
    }

    fn call(&self, target: Option<&'static str>, running: u64) -> Option<Fault> {
        let mut headers = HeaderMap::new();
        if let Some(target) = target {
            headers.insert("x-amz-target", target.parse().unwrap());
        }
        let mut call = Call::new(&Method::PUT, "/b/k", &headers);
        call.running = running;
        self.faults.for_call(call)
    }

    fn put(&self) -> Option<Fault> {
        self.call(None, 0)
    }

    fn said(&self) -> String {
        match self.put() {
            Some(Fault::Answer {
                status: 500,
                code,
                message,
            }) if code == "InvalidFaults" => message,
            other => panic!("{other:?}"),
        }
    }

    fn hits(&self, job: &str, object: &str, batch: u64) -> bool {
        let spot = Spot {
            job,
            object: Some(object),
            batch: Some(batch),
        };
        self.faults
            .first(spot, |f| matches!(f, JobFault::Status { .. }).then_some(()))
            .is_some()
    }
}

fn code(fault: Option<Fault>) -> String {
    match fault {
        Some(Fault::Answer { code, .. }) => code,
        other => format!("{other:?}"),
    }
}

#[test]
fn a_rule_answers_after_its_skips_and_as_often_as_it_says() {
    let bench = Bench::new("[]");
    assert_eq!(bench.put(), None);
    let rules = r#"[{"method":"PUT","path":"/b/","skip":1,"times":1,"lost":true}]"#;
    std::fs::write(bench.dir.path().join("faults.json"), rules).unwrap();
    assert_eq!(
        [bench.put(), bench.put(), bench.put()],
        [None, Some(Fault::Lost), None]
    );
    let reset = r#"[{"method":"get"},{"path":"/b/","times":1},{"delay_ms":5}]"#;
    std::fs::write(bench.dir.path().join("faults.json"), reset).unwrap();
    assert_eq!(bench.put(), Some(Fault::Reset));
    assert_eq!(bench.put(), Some(Fault::Delay(Duration::from_millis(5))));
}

#[test]
fn a_share_is_spread_evenly() {
    let bench = Bench::new(r#"[{"fault":"throttle","share":0.1}]"#);
    let list = Some("SageMaker.ListModels");
    let hit: Vec<usize> = (1..=30).filter(|_| bench.call(list, 0).is_some()).collect();
    assert_eq!(hit, [10, 20, 30]);
    assert_eq!(bench.put(), None);
    assert_eq!(code(bench.call(list, 0)), "None");
}

#[test]
fn throttling_limits_and_slow_downs_are_answers_of_the_services() {
    let bench = Bench::new(
        r#"[{"fault":"limit","running":2},{"fault":"throttle","method":"PUT","path":"/b/"},
            {"fault":"throttle","per_second":2}]"#,
    );
    let create = Some("SageMaker.CreateTransformJob");
    assert_eq!(code(bench.call(create, 2)), "ResourceLimitExceeded");
    assert_eq!(code(bench.put()), "SlowDown");
    let calls: Vec<String> = (0..3).map(|_| code(bench.call(create, 1))).collect();
    assert_eq!(calls, ["None", "None", "ThrottlingException"]);
}

#[test]
fn jobs_objects_and_batches_are_chosen_by_name_and_number() {
    let bench = Bench::new(
        r#"[{"fault":"status","job":"scores-*","object":["*-3.csv","in/x"],"batch":2,"skip_jobs":1,"jobs":1}]"#,
    );
    // The first job is let through, whatever of it fits.
    assert!(!bench.hits("scores-a", "in/other", 1));
    assert!(!bench.hits("other", "in/s-3.csv", 2));
    assert!(!bench.hits("scores-a", "in/s-3.csv", 2));
    for _ in 0..3 {
        assert!(bench.hits("scores-b", "in/s-3.csv", 2));
        assert!(bench.hits("scores-b", "in/x", 2));
        assert!(!bench.hits("scores-b", "in/s-3.csv", 1));
    }
    assert!(!bench.hits("scores-c", "in/s-3.csv", 2));
}

#[test]
fn all_mistakes_are_said_by_their_rule() {
    let bench = Bench::new(
        r#"[{"fault":"drop_rows"},{"fault":"drop_row","batch":1},{"fault":"drop_row","row":0},{"lots":true},
            {"status":200,"lost":true},{"fault":"end","status":"Gone"},{"fault":"status","object":3},7,{"share":2}]"#,
    );
    insta::assert_snapshot!(bench.said().replace("; line", "\nline"), @r#"
    faults.json: line 1, rule 1: there is no fault "drop_rows"; did you mean "drop_row"?
    line 1, rule 2: drop_row takes no "batch"; it takes job, skip_jobs, jobs, object, skip, times, share, row
    line 1, rule 3: "row" must be a whole number from 1, found 0
    line 1, rule 4: a rule without "fault" takes no "lots"; did you mean "lost"?
    line 2, rule 5: "status", "lost" and "delay_ms" exclude each other
    line 2, rule 6: "status" must be Completed, Failed or Stopped, found "Gone"
    line 2, rule 7: "object" must be a text or a list of texts, found 3
    line 2, rule 8: expected an object
    line 2, rule 9: "share" must be above 0 and at most 1, found 2
    "#);
    let damaged = Bench::new("[{}");
    assert!(
        damaged.said().starts_with("faults.json: EOF"),
        "{}",
        damaged.said()
    );
}

#[test]
fn the_help_names_every_kind_and_its_fields() {
    let help = faults_help();
    for kind in kinds::KINDS {
        assert!(
            help.contains(&format!("\n  {:<15}", kind.name)),
            "{}",
            kind.name
        );
        assert!(
            kind.fields
                .iter()
                .chain(kind.group.fields())
                .all(|f| help.contains(f))
        );
    }
}
