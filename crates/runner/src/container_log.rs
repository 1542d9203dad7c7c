//! What the service's batch driver said about single objects, from a job's data-log.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::local_services;
use crate::session::Session;

/// What stands before the object's name in a line.
const DRIVER: &str = "[sagemaker logs]: ";
/// Characters that are kept of what was said about an object.
const MOST_CHARS: usize = 300;
/// Objects whose lines are kept.
const MOST_OBJECTS: usize = 100_000;

/// By the object's base name, what was said; empty where the logs cannot be read from here: those of the
/// service itself are in CloudWatch.
pub(crate) fn by_object(session: &Session, job: &str) -> BTreeMap<String, String> {
    let mut said = BTreeMap::new();
    if !session.local {
        return said;
    }
    let folder = local_services::folder(session.work.root());
    let folder = folder.join("sagemaker/logs").join(job);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in files.map(|e| e.path()) {
        read(&file, &mut said);
    }
    said
}

fn read(file: &Path, said: &mut BTreeMap<String, String>) {
    let Ok(file) = std::fs::File::open(file) else {
        return;
    };
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        if let Some((name, text)) = about_object(&line) {
            add(said, name, text);
        }
    }
}

/// `…:[sagemaker logs]: <bucket>/<key>: <text>`: the key's base name and the text.
fn about_object(line: &str) -> Option<(&str, &str)> {
    let (_, line) = line.split_once(DRIVER)?;
    let (object, text) = line.split_once(": ")?;
    let (_, name) = object.rsplit_once('/')?;
    let text = text.trim();
    (!text.is_empty() && text != "Message:").then_some((name, text))
}

fn add(said: &mut BTreeMap<String, String>, name: &str, text: &str) {
    if said.len() >= MOST_OBJECTS && !said.contains_key(name) {
        return;
    }
    let all = said.entry(name.to_owned()).or_default();
    let left = MOST_CHARS.saturating_sub(all.chars().count());
    if left > 0 && !all.contains(text) {
        all.push_str(if all.is_empty() { "" } else { ": " });
        all.extend(text.chars().take(left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_by_object() {
        let mut said = BTreeMap::new();
        for line in [
            "1 2021-03-14T23:56:26.474:[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=1",
            "2 …:[sagemaker logs]: b/in/a.csv: Bad HTTP status received from algorithm: 400",
            "3 …:[sagemaker logs]: b/in/a.csv: ",
            "4 …:[sagemaker logs]: b/in/a.csv: Message:",
            "5 …:[sagemaker logs]: b/in/a.csv: no: such thing",
            "6 …:[sagemaker logs]: b/in/b.csv: ClientError: 413",
        ] {
            if let Some((name, text)) = about_object(line) {
                add(&mut said, name, text);
            }
        }
        let a = "Bad HTTP status received from algorithm: 400: no: such thing";
        assert_eq!(said.get("a.csv").map(String::as_str), Some(a));
        assert_eq!(
            said.get("b.csv").map(String::as_str),
            Some("ClientError: 413")
        );
        assert_eq!(said.len(), 2);
    }
}
