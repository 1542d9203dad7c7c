//! The documents say what is true: every command in a `sh` block of README.md runs, in order, in a
//! folder that holds what a clone holds, and ends well.

use crate::project::{Project, finish, repository};

/// The lines of all fenced blocks that are marked `sh`.
fn commands(markdown: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in markdown.lines() {
        match line.trim_end() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() => found.push(command.to_owned()),
            _ => {}
        }
    }
    found
}

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).unwrap()
}

#[test]
fn every_command_of_the_readme_runs() {
    let project = Project::new();
    // Pipelines write beside themselves, so they are copied.
    std::os::unix::fs::symlink(repository().join("fixtures"), project.path("fixtures")).unwrap();
    for entry in std::fs::read_dir(repository().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        project.write(&format!("pipelines/{name}"), std::fs::read(&path).unwrap());
    }
    let commands = commands(&readme());
    assert_eq!(
        commands
            .iter()
            .filter(|c| !c.starts_with("gristmill "))
            .count(),
        2,
        "exactly two set-up commands"
    );
    let mut ran = 0;
    for command in &commands {
        let Some(words) = command
            .strip_prefix("cargo run --release -- ")
            .or(command.strip_prefix("gristmill "))
        else {
            assert_eq!(command, "./scripts/test");
            continue;
        };
        let words: Vec<&str> = words.split_whitespace().collect();
        finish(&mut project.command(&words)).expect(0);
        ran += 1;
    }
    assert!(ran > 8, "only {ran} commands were found");
}

#[test]
fn the_readme_lists_the_exit_codes_that_the_help_lists() {
    let help = finish(&mut Project::new().command(&["--help"]))
        .expect(0)
        .stdout;
    let listed = help.split("Exit codes:").nth(1).unwrap();
    let readme = readme();
    for code in [0, 1, 2, 65, 66, 69, 70, 73, 75, 77, 78, 99, 124, 130, 143] {
        assert!(
            listed
                .split(|c: char| !c.is_ascii_digit())
                .any(|n| n == code.to_string()),
            "{code} in --help"
        );
        let row = readme.lines().any(|l| {
            l.strip_prefix("| ")
                .and_then(|l| l.split(" |").next())
                .is_some_and(|cell| cell.split(", ").any(|n| n == code.to_string()))
        });
        assert!(row, "{code} in README.md");
    }
}
