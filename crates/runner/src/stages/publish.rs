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
use crate::inventory::{blocking, hash_file};
use crate::manifest::{
    CLAIM, MANIFEST, MANIFEST_SCHEMA, MAX_MANIFEST_BYTES, Manifest, SUCCESS, listed_files,
    sha256_hex,
};
use crate::session::Session;
use crate::stages::assemble::parts_folder;
use crate::stages::claim::{self, Held};
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
    let foreign = session.cancel.guard(foreign_names(session, target)).await?;
    match foreign.first() {
        None => Ok(()),
        Some(first) => Err(not_empty(target, first, foreign.len())),
    }
}

/// What is at the destination and is not this run's own, from an attempt that was cut off.
async fn foreign_names(session: &Session, target: &Target) -> Result<Vec<String>, RunError> {
    let there = target.names(session.cloud.as_ref()).await?;
    if there.is_empty() {
        return Ok(there);
    }
    if let Target::File(path) = target {
        let parts = session.state(|s| s.assembled.as_ref().map(|a| a.parts.clone()));
        let made = parts.and_then(|p| p.first().map(|p| p.sha256.clone()));
        let ours = made.is_some_and(|sha256| is_file(path, &sha256).unwrap_or(false));
        return Ok(if ours { Vec::new() } else { there });
    }
    let place = target.destination(session.cloud.as_ref(), &session.run_id)?;
    let ours = claim::own_files(session, &place).await?;
    Ok(there.into_iter().filter(|n| !ours.contains(n)).collect())
}

/// A destination on this machine that could not be written is found before anything is done or
/// paid for. Leaves nothing behind: what is tried is the nearest folder that exists.
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
    let there = folder.ancestors().find(|f| f.exists());
    let there = there.unwrap_or(Path::new("/"));
    tempfile::tempfile_in(there).map(drop).map_err(refused)
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

async fn to_place(
    session: &Arc<Session>,
    target: &Target,
    parts: &Path,
    manifest: &Manifest,
    text: Vec<u8>,
    mode: PublishMode,
) -> Result<(), RunError> {
    let place = target.destination(session.cloud.as_ref(), &session.run_id)?;
    let taking = claim::take(session, &place, target, mode, all_names(session, manifest));
    let held = session.cancel.guard(taking).await?;
    let there = session.cancel.guard(place.names()).await?;
    let foreign = |n: &&String| !held.ours.contains(*n) && *n != CLAIM;
    if let (PublishMode::Error, Some(first)) = (mode, there.iter().find(foreign)) {
        let error = not_empty(target, first, there.iter().filter(foreign).count());
        if held.is_new {
            claim::release(session, &place).await?;
        }
        return Err(error);
    }
    session.record(&Entry::Publishing {
        uri: target.to_string(),
        files: manifest.names().into_iter().collect(),
    })?;
    session.mirror().await?;
    let before = place.get(MANIFEST, MAX_MANIFEST_BYTES).await?;
    claim::check_held(session, &place, target).await?;
    session.cancel.guard(place.delete(SUCCESS)).await?;
    put_parts(session, &place, target, parts, manifest).await?;
    // Listed now: a run that was overtaken may have put one more file meanwhile.
    for name in stale_names(session, &place, target, manifest, &held, before).await? {
        claim::check_held(session, &place, target).await?;
        session.cancel.guard(place.delete(&name)).await?;
    }
    check_sizes(&place, target, manifest).await?;
    claim::check_held(session, &place, target).await?;
    place.put_bytes(MANIFEST, Bytes::from(text)).await?;
    claim::check_held(session, &place, target).await?;
    place.put_bytes(SUCCESS, Bytes::new()).await?;
    claim::release(session, &place).await
}

/// Every name that may be left at the destination if this attempt is cut off.
fn all_names(session: &Session, manifest: &Manifest) -> BTreeSet<String> {
    let names = manifest.names();
    let claim = [CLAIM.to_owned()];
    let whole = names.iter().cloned().chain(claim);
    let partial = whole.clone().map(|n| partial_name(&n, &session.run_id));
    whole.clone().chain(partial).collect()
}

async fn put_parts(
    session: &Arc<Session>,
    place: &Destination,
    target: &Target,
    parts: &Path,
    manifest: &Manifest,
) -> Result<(), RunError> {
    let progress = session.progress(Stage::Publish);
    for file in &manifest.files {
        claim::check_held(session, place, target).await?;
        let from = parts.join(&file.name);
        let put = place.put_file(&file.name, &from);
        if let Err(error) = session.cancel.guard(put).await {
            // A run that took the place over removes what it finds half-made: that is the cause.
            claim::check_held(session, place, target).await?;
            return Err(error);
        }
        progress.add(file.rows, file.bytes);
    }
    Ok(())
}

/// What lies there must be what was put there, before the manifest says so.
async fn check_sizes(
    place: &Destination,
    target: &Target,
    manifest: &Manifest,
) -> Result<(), RunError> {
    let there = place.sizes().await?;
    let other = manifest
        .files
        .iter()
        .find(|f| there.get(&f.name) != Some(&f.bytes));
    match other {
        None => Ok(()),
        Some(file) => Err(RunError::new(
            ExitCode::Temporary,
            format!(
                "{} at {target} is not what was put there ({} bytes): another run writes there too",
                file.name, file.bytes
            ),
        )),
    }
}

/// What is there and has to go: files of an earlier attempt of this run, of the run whose claim was
/// replaced, or of the manifest that is replaced, which the new manifest does not list.
async fn stale_names(
    session: &Session,
    place: &Destination,
    target: &Target,
    manifest: &Manifest,
    held: &Held,
    before: Option<Bytes>,
) -> Result<Vec<String>, RunError> {
    let there = place.names().await?;
    let mut replaced: BTreeSet<String> = held.ours.union(&held.replaced).cloned().collect();
    replaced.extend(before.map(|bytes| listed_files(&bytes)).unwrap_or_default());
    let kept = manifest.names();
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
    session.record(&Entry::Publishing {
        uri: Target::File(path.to_owned()).to_string(),
        files: vec![file.name.clone()],
    })?;
    let (from, to, sha256) = (parts.join(&file.name), path.to_owned(), file.sha256.clone());
    let run = session.run_id.clone();
    blocking(move || {
        if mode == PublishMode::Overwrite {
            return copy_durably(&from, &to, &run);
        }
        if copy_if_absent(&from, &to, &run)? || is_file(&to, &sha256)? {
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
    let place = target.destination(session.cloud.as_ref(), &session.run_id)?;
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
