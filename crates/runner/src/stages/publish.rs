//! The last stage: data files, then `_manifest.json`, then `_SUCCESS`, at the destination.
//!
//! A claim (`_publishing.json`, created only where there is none) keeps two runs from writing one
//! destination at once. What is there already is refused unless it is ours from an interrupted
//! attempt, or the pipeline says `mode: overwrite`. An overwrite replaces the files that the manifest
//! it finds lists; files that no manifest lists are left alone, with a warning.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gristmill_plan::spec::PublishMode;

use crate::destination::{Destination, copy_durably, copy_if_absent, partial_name};
use crate::entry::{Entry, PartRecord};
use crate::error::RunError;
use crate::event::{Level, Stage};
use crate::exit_code::ExitCode;
use crate::folder::KeyRecord;
use crate::inventory::{blocking, hash_file};
use crate::manifest::{
    CLAIM, MANIFEST, MANIFEST_SCHEMA, MAX_MANIFEST_BYTES, Manifest, SUCCESS, listed_files,
    sha256_hex,
};
use crate::session::Session;
use crate::stages::assemble::parts_folder;
use crate::state::{Assembled, Published};
use crate::target::Target;
use crate::words::counted;

/// Refuses a destination that holds something, before any work is done.
///
/// # Errors
/// `Exists`, naming what is there; the store's.
pub(crate) async fn check_destination(
    session: &Session,
    target: &Target,
    mode: PublishMode,
) -> Result<(), RunError> {
    if let Some(path) = target.local_path() {
        check_can_write(target, &path)?;
    }
    if mode == PublishMode::Overwrite {
        return Ok(());
    }
    let there = session
        .cancel
        .guard(target.names(session.cloud.as_ref()))
        .await?;
    let ours = our_names(session, target);
    let foreign: Vec<&String> = there.iter().filter(|name| !ours.contains(*name)).collect();
    match foreign.first() {
        None => Ok(()),
        Some(first) => Err(not_empty(target, first, foreign.len())),
    }
}

/// A destination on this machine that could not be written is found before anything is done or
/// paid for. Makes the folder.
fn check_can_write(target: &Target, path: &Path) -> Result<(), RunError> {
    let folder = match target {
        Target::File(_) => path.parent().unwrap_or(Path::new("/")),
        _ => path,
    };
    let refused = |e: std::io::Error| {
        let exit = match e.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                ExitCode::Permission
            }
            _ => ExitCode::Exists,
        };
        RunError::new(exit, format!("cannot publish to {target}: {e}"))
            .with_help("make the destination writable, or name another in assemble.to or shards.to")
    };
    std::fs::create_dir_all(folder).map_err(refused)?;
    tempfile::tempfile_in(folder).map(drop).map_err(refused)
}

fn not_empty(target: &Target, first: &str, count: usize) -> RunError {
    let message = match (target, count) {
        (Target::File(path), _) => format!("the destination {} exists", path.display()),
        (_, 1) => format!("the destination {target} is not empty: it holds {first:?}"),
        (_, n) => format!(
            "the destination {target} is not empty: it holds {first:?} and {} more",
            n - 1
        ),
    };
    RunError::new(ExitCode::Exists, message).with_help(
        "choose another destination, or replace what is there: mode: overwrite, or --overwrite",
    )
}

/// Every name that this run may have left at the destination in an earlier attempt.
fn our_names(session: &Session, target: &Target) -> BTreeSet<String> {
    session.state(|s| {
        s.publishing
            .get(&target.to_string())
            .cloned()
            .unwrap_or_default()
    })
}

/// Publishes the parts, or finds that an earlier attempt did. Returns the seconds it took.
///
/// # Errors
/// `Exists`; the disk's; the store's.
pub(crate) async fn run(
    session: &Arc<Session>,
    target: &Target,
    mode: PublishMode,
) -> Result<f64, RunError> {
    let uri = target.to_string();
    let assembled = session
        .state(|s| s.assembled.clone())
        .ok_or_else(|| RunError::bug("nothing was assembled"))?;
    let manifest = manifest_of(session, &assembled);
    let text = manifest.to_bytes()?;
    let published = Published {
        uri: uri.clone(),
        manifest_sha256: sha256_hex(&text),
    };
    if session.state(|s| s.published.as_ref() == Some(&published))
        && missing(session, target, &published, &assembled.parts)
            .await?
            .is_none()
    {
        session.reused(Stage::Publish, format!("{uri} was published before"));
        return Ok(0.0);
    }
    let bytes: u64 = manifest.files.iter().map(|f| f.bytes).sum();
    let clock = session.begin(Stage::Publish, Some(bytes), Some(manifest.rows));
    check_destination(session, target, mode).await?;
    let parts = parts_folder(session, &assembled.fingerprint);
    match target {
        Target::File(path) => to_file(session, path, &parts, &manifest, mode).await?,
        other => to_place(session, other, &parts, &manifest, text, mode).await?,
    }
    session.record(&Entry::Published {
        uri,
        manifest_sha256: published.manifest_sha256,
    })?;
    Ok(clock.finish(format!(
        "{} in {} at {target}",
        counted(manifest.rows, "row"),
        counted(manifest.files.len() as u64, "file")
    )))
}

fn manifest_of(session: &Session, assembled: &Assembled) -> Manifest {
    Manifest {
        schema: MANIFEST_SCHEMA.to_owned(),
        pipeline: session.spec.name.clone(),
        run_id: session.run_id.clone(),
        run_key: session.run_key.clone(),
        rows: assembled.parts.iter().map(|f| f.rows).sum(),
        files: assembled.parts.clone(),
    }
}

/// Announces every name that may be left at the destination if this attempt is cut off.
async fn announce(
    session: &Session,
    target: &Target,
    names: BTreeSet<String>,
) -> Result<(), RunError> {
    let partial = names.iter().map(|n| partial_name(n));
    let files = partial.chain(names.iter().cloned()).collect();
    session.record(&Entry::Publishing {
        uri: target.to_string(),
        files,
    })?;
    session.mirror().await
}

async fn to_place(
    session: &Arc<Session>,
    target: &Target,
    parts: &Path,
    manifest: &Manifest,
    text: Vec<u8>,
    mode: PublishMode,
) -> Result<(), RunError> {
    let place = target.destination(session.cloud.as_ref())?;
    let mut names = manifest.names();
    names.insert(CLAIM.to_owned());
    announce(session, target, names).await?;
    session
        .cancel
        .guard(claim(session, &place, target, mode))
        .await?;
    if let Err(error) = check_destination(session, target, mode).await {
        place.delete(CLAIM).await?;
        return Err(error);
    }
    let stale = stale_names(session, &place, target, manifest).await?;
    session.cancel.guard(place.delete(SUCCESS)).await?;
    let progress = session.progress(Stage::Publish);
    for file in &manifest.files {
        let from = parts.join(&file.name);
        session
            .cancel
            .guard(place.put_file(&file.name, &from))
            .await?;
        progress.add(file.rows, file.bytes);
    }
    for name in stale {
        session.cancel.guard(place.delete(&name)).await?;
    }
    place.put_bytes(MANIFEST, Bytes::from(text)).await?;
    place.put_bytes(SUCCESS, Bytes::new()).await?;
    place.delete(CLAIM).await
}

/// Makes the destination this run's alone. A claim of another run stands for one that publishes
/// just now, or was cut off while it did.
async fn claim(
    session: &Session,
    place: &Destination,
    target: &Target,
    mode: PublishMode,
) -> Result<(), RunError> {
    let record = KeyRecord {
        run_key: session.run_key.clone(),
        run_id: session.run_id.clone(),
    };
    let bytes = Bytes::from(serde_json::to_vec(&record).map_err(|e| RunError::bug(e.to_string()))?);
    if place.create(CLAIM, bytes.clone()).await? {
        return Ok(());
    }
    let there = place.get(CLAIM, 64 * 1024).await?.unwrap_or_default();
    let holder: Option<KeyRecord> = serde_json::from_slice(&there).ok();
    if holder.as_ref() == Some(&record) {
        return Ok(());
    }
    let holder = holder.map_or_else(|| "another run".to_owned(), |h| format!("run {}", h.run_id));
    if mode == PublishMode::Overwrite {
        session.note(
            Level::Warn,
            format!(
                "{holder} publishes at {target} just now, or was cut off: its claim is replaced"
            ),
        );
        return place.put_bytes(CLAIM, bytes).await;
    }
    Err(RunError::new(
        ExitCode::Exists,
        format!("{holder} publishes at {target} just now, or was cut off while it did"),
    )
    .with_help(
        "continue that run with `gristmill resume`, choose another destination, or replace what is \
         there with --overwrite",
    ))
}

/// What is there and has to go: files of an earlier attempt of this run, or of the manifest that is
/// replaced, which the new manifest does not list.
async fn stale_names(
    session: &Session,
    place: &Destination,
    target: &Target,
    manifest: &Manifest,
) -> Result<Vec<String>, RunError> {
    let before = place.get(MANIFEST, MAX_MANIFEST_BYTES).await?;
    let mut replaced = our_names(session, target);
    replaced.extend(before.map(|bytes| listed_files(&bytes)).unwrap_or_default());
    let kept = manifest.names();
    let there = place.names().await?;
    let (stale, others): (Vec<String>, Vec<String>) = there
        .into_iter()
        .filter(|n| !kept.contains(n) && n != CLAIM)
        .partition(|n| replaced.contains(n));
    let data: Vec<&String> = others
        .iter()
        .filter(|n| !n.starts_with(['_', '.']))
        .collect();
    if let Some(first) = data.first() {
        session.note(
            Level::Warn,
            format!(
                "{target} holds {} files that no manifest lists, {first:?} among them: they are left, \
                 and readers of the whole folder will see them too",
                data.len()
            ),
        );
    }
    Ok(stale)
}

async fn to_file(
    session: &Arc<Session>,
    path: &Path,
    parts: &Path,
    manifest: &Manifest,
    mode: PublishMode,
) -> Result<(), RunError> {
    let file = manifest
        .files
        .first()
        .ok_or_else(|| RunError::bug("no file was made"))?;
    let target = Target::File(path.to_owned());
    announce(session, &target, BTreeSet::from([file.name.clone()])).await?;
    let (from, to, sha256) = (parts.join(&file.name), path.to_owned(), file.sha256.clone());
    blocking(move || {
        if mode == PublishMode::Overwrite {
            return copy_durably(&from, &to);
        }
        if copy_if_absent(&from, &to)? || is_file(&to, &sha256)? {
            return Ok(());
        }
        Err(not_empty(&Target::File(to.clone()), "", 1))
    })
    .await
}

fn is_file(path: &Path, sha256: &str) -> Result<bool, RunError> {
    Ok(path.is_file() && hash_file(path)? == format!("sha256:{sha256}"))
}

/// What of a publication is not there any more, in words; `None` when all of it is.
///
/// # Errors
/// The disk's or the store's.
pub(crate) async fn missing(
    session: &Session,
    target: &Target,
    published: &Published,
    parts: &[PartRecord],
) -> Result<Option<String>, RunError> {
    if let Target::File(path) = target {
        let (path, parts) = (path.clone(), parts.to_vec());
        return blocking(move || {
            let whole = parts
                .first()
                .map(|p| is_file(&path, &p.sha256))
                .transpose()?;
            let gone = whole != Some(true);
            Ok(gone.then(|| format!("{} is not the file that was published", path.display())))
        })
        .await;
    }
    let place = target.destination(session.cloud.as_ref())?;
    let there = session.cancel.guard(place.sizes()).await?;
    let names = parts.iter().map(|p| p.name.as_str());
    if let Some(gone) = names
        .chain([MANIFEST, SUCCESS])
        .find(|n| !there.contains_key(*n))
    {
        return Ok(Some(format!("{gone} is gone from {target}")));
    }
    if let Some(part) = parts.iter().find(|p| there.get(&p.name) != Some(&p.bytes)) {
        return Ok(Some(format!(
            "{} at {target} has another size than the {} bytes that were published",
            part.name, part.bytes
        )));
    }
    let manifest = place
        .get(MANIFEST, MAX_MANIFEST_BYTES)
        .await?
        .unwrap_or_default();
    let same = sha256_hex(&manifest) == published.manifest_sha256;
    Ok((!same).then(|| format!("{target} was overwritten by another run")))
}
