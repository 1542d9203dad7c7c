//! A folder of a test's own, with the binary at hand. Embedded services that were started in it are
//! ended with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The last line of standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|e| panic!("{e}: {line:?}\nstderr:\n{}", self.stderr))
    }

    /// Panics with everything that was said unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

/// A temporary folder.
pub(crate) struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The folder, or something in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The binary, to be run in this folder, with no setting of the caller's.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gristmill"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("GRISTMILL_") || name.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        finish(&mut self.command(args))
    }

    /// Runs the binary to its end with `input` on its standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Done {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let out = child.wait_with_output().unwrap();
        writer.join().unwrap();
        done(&out)
    }

    /// Starts the binary and does not wait.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The endpoint file of the embedded services under a work folder of this project.
    pub(crate) fn endpoint(&self, work_dir: &str) -> Option<Value> {
        let text = std::fs::read(self.path(work_dir).join("local/endpoint.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            end_services(&folder);
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            let below = entries.flatten().map(|e| e.path());
            folders
                .extend(below.filter(|p| p.is_dir() && !p.ends_with("s3") && !p.ends_with("runs")));
        }
    }
}

/// Ends the services whose endpoint file lies in `folder`, if any.
fn end_services(folder: &Path) {
    let Ok(text) = std::fs::read(folder.join("endpoint.json")) else {
        return;
    };
    let pid = serde_json::from_slice::<Value>(&text)
        .ok()
        .and_then(|v| v["pid"].as_u64());
    if let Some(pid) = pid {
        let _ = Command::new("kill")
            .arg(pid.to_string())
            .stderr(Stdio::null())
            .status();
    }
}

pub(crate) fn finish(command: &mut Command) -> Done {
    done(&command.output().unwrap())
}

fn done(out: &std::process::Output) -> Done {
    Done {
        code: out.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// A judge: a Python script of `judges/`, by the interpreter that has its packages
/// (`scripts/test` sets it up).
pub(crate) fn judge(script: &str, args: &[&str]) -> Done {
    finish(python(&format!("judges/{script}")).args(args))
}

/// A Python script of the repository, by the judges' interpreter.
pub(crate) fn python(script: &str) -> Command {
    let python = std::env::var("GRISTMILL_PYTHON").expect(
        "GRISTMILL_PYTHON is not set: run the tests by ./scripts/test, which installs the judges",
    );
    let mut command = Command::new(python);
    command.arg(repository().join(script));
    command
}
