//! `_publishing.json`: which run writes a destination just now, and which files it may leave there.
//!
//! It is created only where there is none, so of several runs one writes. A run that was cut off finds
//! its own claim again, and by it the files that are its own. `--overwrite` may replace the claim of
//! another run, which then stops at its next file.

use std::collections::BTreeSet;

use bytes::Bytes;
use gristmill_plan::spec::PublishMode;
use serde::{Deserialize, Serialize};

use crate::destination::{Destination, partial_name};
use crate::error::RunError;
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::manifest::{CLAIM, MANIFEST, MAX_MANIFEST_BYTES, Manifest, is_plain_name};
use crate::session::Session;
use crate::target::Target;

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    run_id: String,
    run_key: String,
    files: BTreeSet<String>,
}

impl Claim {
    fn is_of(&self, session: &Session) -> bool {
        self.run_id == session.run_id
    }

    fn to_bytes(&self) -> Result<Bytes, RunError> {
        let bytes = serde_json::to_vec(self).map_err(|e| RunError::bug(e.to_string()))?;
        Ok(Bytes::from(bytes))
    }
}

/// A claim that was taken.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Files there that are this run's own, from an earlier attempt.
    pub(crate) ours: BTreeSet<String>,
    /// Files that an earlier attempt, or the run whose claim was replaced, may have left.
    pub(crate) replaced: BTreeSet<String>,
    /// No claim of ours was there before.
    pub(crate) is_new: bool,
}

/// The claim that is there. One that cannot be read is nobody's.
async fn read(place: &Destination) -> Result<Option<Claim>, RunError> {
    let Some(bytes) = place.get(CLAIM, MAX_MANIFEST_BYTES).await? else {
        return Ok(None);
    };
    let nobody = || Claim {
        run_id: String::new(),
        run_key: String::new(),
        files: BTreeSet::new(),
    };
    let mut claim: Claim = serde_json::from_slice(&bytes).unwrap_or_else(|_| nobody());
    claim.files.retain(|name| is_plain_name(name));
    Ok(Some(claim))
}

/// Files at a destination that are this run's own: those of its claim or of its manifest. Where the
/// manifest of another run lies there, that run's files may have the same names: then only what bears
/// this run's id is its own.
///
/// # Errors
/// The disk's or the store's.
pub(crate) async fn own_files(
    session: &Session,
    place: &Destination,
) -> Result<BTreeSet<String>, RunError> {
    let claim = read(place).await?;
    let manifest = place.get(MANIFEST, MAX_MANIFEST_BYTES).await?;
    let manifest: Option<Manifest> = manifest.and_then(|b| serde_json::from_slice(&b).ok());
    let mut own = BTreeSet::from([partial_name(CLAIM, &session.run_id)]);
    let claimed = claim.as_ref().is_some_and(|c| c.is_of(session));
    if claimed {
        own.insert(CLAIM.to_owned());
    }
    match manifest {
        Some(m) if m.run_id != session.run_id => {
            let partial = format!(".{}.partial", session.run_id);
            let files = claim
                .filter(|_| claimed)
                .map(|c| c.files)
                .unwrap_or_default();
            own.extend(files.into_iter().filter(|n| n.ends_with(&partial)));
        }
        Some(m) if claim.is_none() => own.extend(m.names()),
        _ if claimed => own.extend(claim.map(|c| c.files).unwrap_or_default()),
        _ => {}
    }
    Ok(own)
}

/// Makes the destination this run's alone, announcing the files that it will write.
///
/// # Errors
/// `Exists`, when another run holds it and `mode` is not overwrite; the disk's or the store's.
pub(crate) async fn take(
    session: &Session,
    place: &Destination,
    target: &Target,
    mode: PublishMode,
    files: BTreeSet<String>,
) -> Result<Held, RunError> {
    let ours = own_files(session, place).await?;
    let before = read(place).await?.filter(|c| c.is_of(session));
    let announced = before.map(|c| c.files).unwrap_or_default();
    let claim = Claim {
        run_id: session.run_id.clone(),
        run_key: session.run_key.clone(),
        files: files
            .into_iter()
            .chain(announced)
            .chain(ours.clone())
            .collect(),
    };
    if place.create(CLAIM, claim.to_bytes()?).await? {
        return Ok(Held {
            ours,
            is_new: true,
            ..Held::default()
        });
    }
    let there = read(place).await?;
    let own = there.as_ref().is_some_and(|c| c.is_of(session));
    if !own && mode == PublishMode::Error {
        return Err(held_by_another(target, there.as_ref()));
    }
    if !own {
        let who = holder(there.as_ref());
        session.note(
            Level::Warn,
            format!("{who} publishes at {target} just now, or was cut off: its claim is replaced"),
        );
    }
    place.put_bytes(CLAIM, claim.to_bytes()?).await?;
    Ok(Held {
        ours,
        replaced: there.map(|c| c.files).unwrap_or_default(),
        is_new: !own,
    })
}

fn holder(claim: Option<&Claim>) -> String {
    match claim {
        Some(claim) if !claim.run_id.is_empty() => format!("run {}", claim.run_id),
        _ => "another run".to_owned(),
    }
}

fn held_by_another(target: &Target, claim: Option<&Claim>) -> RunError {
    RunError::new(
        ExitCode::Exists,
        format!(
            "{} publishes at {target} just now, or was cut off while it did",
            holder(claim)
        ),
    )
    .with_help(
        "continue that run with `gristmill resume`, choose another destination, or replace what is \
         there with --overwrite",
    )
}

/// Whether the destination is still this run's; asked before each file.
///
/// # Errors
/// Temporary, when another run has taken it over.
pub(crate) async fn check_held(
    session: &Session,
    place: &Destination,
    target: &Target,
) -> Result<(), RunError> {
    let there = read(place).await?;
    if there.as_ref().is_some_and(|c| c.is_of(session)) {
        return Ok(());
    }
    Err(RunError::new(
        ExitCode::Temporary,
        format!(
            "{} has taken {target} over while this run published there",
            holder(there.as_ref())
        ),
    )
    .with_help("when that run has ended, call again with --overwrite to replace what it published"))
}

/// Gives the destination up, if it is this run's.
///
/// # Errors
/// The disk's or the store's.
pub(crate) async fn release(session: &Session, place: &Destination) -> Result<(), RunError> {
    match read(place).await? {
        Some(claim) if claim.is_of(session) => place.delete(CLAIM).await,
        _ => Ok(()),
    }
}
