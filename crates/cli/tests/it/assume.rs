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
    let text = |key: &str| told["error"][key].as_str().unwrap();
    let plain = format!("{}\n{}", text("message"), text("help"));
    let plain = plain.replace(&pid, "PID").replace(&folder, "DIR");
    insta::assert_snapshot!(plain, @r#"
    GRISTMILL_ASSUME is "crlf=strip,distribution=one,bom=keep", but the embedded services in DIR run already and assume crlf=keep, distribution=queue
    end them with `kill PID` (what they hold is kept), or take another --work-dir
    "#);
}

/// A mistake in the list of faults ends a run at once, whether it starts the services or finds them.
#[test]
fn a_mistake_among_the_faults_is_told_with_its_line() {
    let lab = Lab::new();
    let faults = ".gristmill/local/faults.json";
    let rules = "[\n  { \"fault\": \"drop_row\" },\n  { \"fault\": \"drop_rows\" }\n]\n";
    lab.project.write(faults, rules);
    let told = lab.told(lab.run(&[]), 2);
    insta::assert_snapshot!(told, @r##"
    the embedded services in DIR/.gristmill/local answer nothing: faults.json: line 3, rule 2: there is no fault "drop_rows"; did you mean "drop_row"?
    help: mend DIR/.gristmill/local/faults.json, or remove it; `gristmill local --help` tells what stands in it
    "##);
    assert_eq!(lab.told(lab.run(&[]), 2), told);
    lab.project.write(faults, "[ { ]");
    insta::assert_snapshot!(lab.told(lab.run(&[]), 2), @r"
    the embedded services in DIR/.gristmill/local answer nothing: faults.json: key must be a string at line 1 column 5
    help: mend DIR/.gristmill/local/faults.json, or remove it; `gristmill local --help` tells what stands in it
    ");
    lab.project.write(faults, "[]");
    lab.run(&[]).expect(0);
}

/// What the services say when they cannot start is what the run says, with their exit code.
#[test]
fn services_that_do_not_start_say_why() {
    let lab = Lab::new();
    lab.project.write(".gristmill/local/keys.json", "{");
    insta::assert_snapshot!(lab.told(lab.run(&[]), 1), @r"
    the embedded services in DIR/.gristmill/local did not start: DIR/.gristmill/local/keys.json is damaged: EOF while parsing an object at line 1 column 1
    help: `gristmill local --dir` with that folder shows why in the foreground
    ");
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
