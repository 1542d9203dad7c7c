//! What is asked of the service about one transform job. Several are watched together by the
//! [`crate::stages::fleet`].

use std::time::Duration;

use gristmill_cloud::{
    CloudError, CloudErrorKind, CreateTransformJob, JobInfo, JobStatus, Transforms,
};
use gristmill_plan::spec::OnInterrupt;

use crate::entry::Entry;
use crate::error::RunError;
use crate::event::Level;
use crate::exit_code::ExitCode;
use crate::session::Session;
use crate::state::Launched;

/// Against the service: its Describe calls are throttled at about two a second for an account.
const POLL_FIRST: Duration = Duration::from_secs(10);
const POLL_MOST: Duration = Duration::from_secs(30);
/// Against the embedded service.
const LOCAL_POLL_FIRST: Duration = Duration::from_millis(50);
const LOCAL_POLL_MOST: Duration = Duration::from_secs(1);
/// How long a job that was told to stop may take to say that it has.
const STOP_LIMIT: Duration = Duration::from_secs(600);
/// The same of the embedded service, which only has to end a process or two.
const LOCAL_STOP_LIMIT: Duration = Duration::from_secs(5);

/// How a job ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) status: JobStatus,
    pub(crate) reason: Option<String>,
}

/// What came of asking for a job.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is there, and recorded.
    Yes,
    /// There is no room for it just now, or too much was asked for at once.
    NotNow(CloudError),
}

/// Creates the job, or adopts the one that an interrupted attempt created from the same request.
///
/// # Errors
/// `Exists`, when a job of that name was created from another request; the service's, unless it says
/// not now.
pub(crate) async fn create_or_adopt(
    session: &Session,
    transforms: &Transforms,
    request: &CreateTransformJob,
) -> Result<Created, RunError> {
    let name = &request.transform_job_name;
    let answer = tokio::select! {
        biased;
        () = session.cancel.cancelled() => return Err(session.cancel.error()),
        answer = transforms.create_job(request) => answer,
    };
    let (arn, adopted) = match answer {
        Ok(arn) => (arn, false),
        Err(error) if error.kind == CloudErrorKind::NameInUse => {
            (adopt(session, transforms, request).await?, true)
        }
        Err(error) if is_not_now(&error) => return Ok(Created::NotNow(error)),
        Err(error) => return Err(error.into()),
    };
    if adopted {
        session.note(
            Level::Info,
            format!("job {name} was created before the interruption: going on with it"),
        );
    }
    session.record(&Entry::JobCreated {
        name: name.clone(),
        arn,
        adopted,
    })?;
    session.mirror().await?;
    Ok(Created::Yes)
}

/// `ResourceLimitExceeded`, and `ThrottlingException` after all attempts of the request.
fn is_not_now(error: &CloudError) -> bool {
    matches!(
        error.kind,
        CloudErrorKind::Quota | CloudErrorKind::Throttled
    )
}

/// Looks whether a job that was announced, and whose creation was not confirmed, is there; if so,
/// it is taken up.
///
/// # Errors
/// `Exists`, when a job of that name was created from another request; the service's.
pub(crate) async fn adopt_if_created(
    session: &Session,
    launched: &Launched,
) -> Result<bool, RunError> {
    let transforms = transforms(session)?;
    let name = launched.name();
    let info = session.cancel.guard(transforms.describe_job(name)).await?;
    if info.is_none() {
        return Ok(false);
    }
    let request: CreateTransformJob = serde_json::from_value(launched.request.clone())
        .map_err(|e| RunError::damaged(format!("the ledger's request of job {name}: {e}")))?;
    let arn = adopt(session, &transforms, &request).await?;
    session.record(&Entry::JobCreated {
        name: name.to_owned(),
        arn,
        adopted: true,
    })?;
    session.mirror().await?;
    Ok(true)
}

async fn adopt(
    session: &Session,
    transforms: &Transforms,
    request: &CreateTransformJob,
) -> Result<String, RunError> {
    let name = &request.transform_job_name;
    let info = session.cancel.guard(transforms.describe_job(name)).await?;
    let Some(info) = info else {
        return Err(RunError::new(
            ExitCode::Temporary,
            format!(
                "job {name}: the service says that the name is in use, and that there is no such job"
            ),
        ));
    };
    if is_ours(&info, request) {
        return Ok(info.arn);
    }
    Err(RunError::new(
        ExitCode::Exists,
        format!(
            "job {name} exists and was created from another request: it reads {} and writes {}",
            info.s3_input_uri, info.s3_output_path
        ),
    )
    .with_help("start a new run with --fresh"))
}

/// Model, input and output are together as unique as the run: the output prefix holds the run's id.
fn is_ours(info: &JobInfo, request: &CreateTransformJob) -> bool {
    info.model_name == request.model_name
        && info.s3_input_uri == request.transform_input.data_source.s3_data_source.s3_uri
        && info.s3_output_path == request.transform_output.s3_output_path
}

/// Whether somebody has stopped the job already: an interrupted attempt with `on_interrupt: stop`,
/// or a person.
pub(crate) fn is_stopped(info: &JobInfo) -> bool {
    matches!(info.status, JobStatus::Stopping | JobStatus::Stopped)
}

/// How long a job that was told to stop may take to say that it has.
pub(crate) fn stop_limit(local: bool) -> Duration {
    if local { LOCAL_STOP_LIMIT } else { STOP_LIMIT }
}

/// How long to wait before a job is described again, after a pause of `before`.
pub(crate) fn next_pause(before: Option<Duration>, local: bool) -> Duration {
    let (first, most) = if local {
        (LOCAL_POLL_FIRST, LOCAL_POLL_MOST)
    } else {
        (POLL_FIRST, POLL_MOST)
    };
    before.map_or(first, |pause| (pause * 3 / 2).min(most))
}

/// Seconds since the job's creation by the service's clock and ours.
pub(crate) fn age(info: &JobInfo) -> u64 {
    let seconds = (now() - info.creation_time).max(0.0);
    // Whole seconds are what the limit is given in; a negative or absurd clock gives 0 or the limit.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturating and not negative"
    )]
    let whole = seconds as u64;
    whole
}

/// The service's word for a status.
pub(crate) fn status_name(status: &JobStatus) -> &str {
    match status {
        JobStatus::InProgress => "InProgress",
        JobStatus::Completed => "Completed",
        JobStatus::Failed => "Failed",
        JobStatus::Stopping => "Stopping",
        JobStatus::Stopped => "Stopped",
        JobStatus::Unknown(other) => other,
    }
}

/// The status that the service calls so; of those in a ledger's `JobEnded`.
pub(crate) fn status_of(name: &str) -> JobStatus {
    let terminal = [JobStatus::Completed, JobStatus::Failed, JobStatus::Stopped];
    let known = terminal.into_iter().find(|s| status_name(s) == name);
    known.unwrap_or_else(|| JobStatus::Unknown(name.to_owned()))
}

/// Records how a job ended.
///
/// # Errors
/// The disk's; the store's.
pub(crate) async fn ended(session: &Session, info: JobInfo) -> Result<Ended, RunError> {
    let billed_seconds = billed_seconds(&info);
    let ended = Ended {
        name: info.name,
        status: info.status,
        reason: info.failure_reason,
    };
    session.record(&Entry::JobEnded {
        name: ended.name.clone(),
        status: status_name(&ended.status).to_owned(),
        reason: ended.reason.clone(),
        billed_seconds,
    })?;
    session.mirror().await?;
    Ok(ended)
}

/// From TransformStartTime to TransformEndTime; to now, while it is under way.
pub(crate) fn billed_seconds(info: &JobInfo) -> Option<f64> {
    let end = info.end_time.unwrap_or_else(now);
    Some((end - info.start_time?).max(0.0))
}

/// Seconds since 1970.
fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// Says what becomes of jobs that are under way when the attempt is interrupted, and does it.
pub(crate) async fn interrupted(
    session: &Session,
    transforms: &Transforms,
    names: &[String],
) -> RunError {
    let spec = session.spec.transform.as_ref();
    let stop = spec.is_some_and(|t| t.on_interrupt == OnInterrupt::Stop);
    for name in names {
        if session.cancel.was_requested() {
            session.note(
                Level::Info,
                format!("job {name} is stopped by `gristmill cancel`"),
            );
        } else if stop {
            let said = match transforms.stop_job(name).await {
                Ok(()) => format!("job {name} was told to stop (on_interrupt: stop)"),
                Err(e) => format!("job {name} could not be stopped: {e}"),
            };
            session.note(Level::Warn, said);
        } else {
            session.note(
                Level::Warn,
                format!("job {name} is left running; the same command finds it again"),
            );
        }
    }
    session.cancel.error()
}

/// What to do about a job that was told to stop and does not.
pub(crate) const NOT_STOPPED_YET: &str =
    "it was told to stop and has not said that it did: look at it in the console";

/// Tells a job to stop. Whether it has ended already, which is recorded: the service refuses to stop
/// what ended a moment ago.
///
/// # Errors
/// The service's, when it cannot be told.
pub(crate) async fn tell_to_stop(
    session: &Session,
    transforms: &Transforms,
    name: &str,
) -> Result<bool, CloudError> {
    let Err(e) = transforms.stop_job(name).await else {
        return Ok(false);
    };
    let info = transforms.describe_job(name).await.ok().flatten();
    match info.filter(|i| i.status.is_terminal()) {
        Some(info) => Ok(ended(session, info).await.is_ok()),
        None => Err(e),
    }
}

/// Waits, for [`stop_limit`] at most, until a job that was told to stop has ended, which is recorded.
/// Whether it has.
pub(crate) async fn until_stopped(session: &Session, transforms: &Transforms, name: &str) -> bool {
    let begun = std::time::Instant::now();
    while begun.elapsed() < stop_limit(session.local) {
        match transforms.describe_job(name).await {
            Ok(Some(info)) if info.status.is_terminal() => {
                let _ = ended(session, info).await;
                return true;
            }
            Ok(Some(_)) => {}
            Err(e) if e.kind == CloudErrorKind::Throttled => {}
            Ok(None) | Err(_) => break,
        }
        let pause = if session.local {
            LOCAL_POLL_MOST
        } else {
            POLL_FIRST
        };
        tokio::select! {
            () = session.cancel.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    false
}

/// The transform service.
///
/// # Errors
/// A bug, when nothing asked for it.
pub(crate) fn transforms(session: &Session) -> Result<Transforms, RunError> {
    session
        .cloud
        .as_ref()
        .map(gristmill_cloud::Cloud::transforms)
        .ok_or_else(|| RunError::bug("no transform service was connected"))
}
