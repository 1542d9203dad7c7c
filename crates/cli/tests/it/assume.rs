//! The switches of the embedded services as their users meet them: the list, the flag, the variable,
//! and services that run already.

use serde_json::Value;

use crate::lab::{Lab, ROWS, sums};
use crate::project::{Project, finish};

#[test]
fn the_list_names_every_switch_with_its_values_and_what_is_unknown() {
    let project = Project::new();
    let text = project.run(&["local", "--assume", "list"]).expect(0).stdout;
    let json = project
        .run(&["local", "--assume", "list", "--output", "json"])
        .expect(0)
        .json();
    let switches = json["switches"].as_array().unwrap();
    assert_eq!(switches.len(), 25);
    for switch in switches {
        let name = switch["name"].as_str().unwrap();
        let line = format!("\n{name}: {}\n", switch["unknown"].as_str().unwrap());
        assert!(text.contains(&line), "{line}");
        let values = switch["values"].as_array().unwrap();
        assert!(values.len() > 1, "{name}");
        for (index, value) in values.iter().enumerate() {
            assert_eq!(value["default"], index == 0, "{name}");
            let mark = if index == 0 { "  * " } else { "    " };
            let told = format!("\n{mark}{} ", value["value"].as_str().unwrap());
            assert!(text.contains(&told), "{told}");
        }
        // Each value that is listed is taken, and shown by the services.
        let last = values.last().unwrap()["value"].as_str().unwrap();
        let pair = format!("{name}={last}");
        let args = [
            "local",
            "--dir",
            name,
            "--assume",
            &pair,
            "--idle-exit",
            "0",
        ];
        let said = project.run(&[&args[..], &["--output", "json"]].concat());
        assert_eq!(said.expect(0).json()["assume"][name], last);
    }
    project
        .run(&["local", "--assume", "list,crlf=keep"])
        .expect(2);
}

#[test]
fn what_there_is_not_is_a_usage_error_that_names_what_there_is() {
    let project = Project::new();
    let wrong = [
        "--assume",
        "slice-ends=inclusive",
        "--assume",
        "blank-lines=skp",
    ];
    let done = project.run(&[&["local"][..], &wrong].concat()).expect(2);
    insta::assert_snapshot!(done.stderr, @r#"
    error: --assume: there is no switch "slice-ends"; did you mean slice-end?
    blank-lines cannot be "skp": it is send or skip; did you mean skip?
    "#);
    let lab = Lab::new();
    let mut command = lab.project.command(&["run", "pipeline.yaml", "--local"]);
    let done = finish(command.env("GRISTMILL_ASSUME", "blank-lines")).expect(2);
    insta::assert_snapshot!(done.stderr, @r#"error: GRISTMILL_ASSUME: expected NAME=VALUE, found "blank-lines"; `gristmill local --assume list` shows what there is"#);
    assert!(lab.project.endpoint(".gristmill").is_none());
}

/// The services' own list of what they assume.
fn assumed(lab: &Lab) -> Value {
    lab.project.endpoint(".gristmill").unwrap()["assume"].clone()
}

#[test]
fn the_variable_reaches_the_services_that_a_run_starts() {
    let lab = Lab::new();
    let run = |assume: &str, key: &str| {
        let out = format!("out={key}");
        let args = [
            "run",
            "pipeline.yaml",
            "--local",
            "--output",
            "json",
            "-p",
            &out,
        ];
        finish(lab.project.command(&args).env("GRISTMILL_ASSUME", assume))
    };
    let done = run("assemble-line=always,distribution=queue", "first")
        .expect(0)
        .json();
    assert_eq!(lab.scores(&done), sums(0..ROWS));
    assert_eq!(
        (&assumed(&lab)["assemble-line"], &assumed(&lab)["crlf"]),
        (&"always".into(), &"keep".into())
    );
    // Those that run already are used by who says nothing, or nothing else.
    run("", "second").expect(0);
    run("crlf=keep,distribution=queue", "third").expect(0);
    let told = run("crlf=strip,distribution=one,bom=keep", "fourth")
        .expect(2)
        .json();
    let pid = lab.project.endpoint(".gristmill").unwrap()["pid"].to_string();
    let folder = lab.project.path(".gristmill/local").display().to_string();
    let plain = told["error"]
        .to_string()
        .replace(&pid, "PID")
        .replace(&folder, "DIR");
    insta::assert_snapshot!(plain, @"");
}

#[test]
fn the_help_tells_of_faults() {
    let project = Project::new();
    let help = project.run(&["local", "--help"]).expect(0).stdout;
    for word in [
        "faults.json",
        "drop_row",
        "unknown_status",
        "GRISTMILL_ASSUME",
        "per_second",
    ] {
        assert!(help.contains(word), "{word}");
    }
}
