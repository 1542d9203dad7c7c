//! Transform jobs at SageMaker: create, look, stop, list. Watching one to its end is the runner's.

use crate::attempts::Attempts;
use crate::error::{CloudError, CloudErrorKind};
use crate::store::not_found_is_none;
use crate::transform_job::{CreateTransformJob, JobInfo, JobSummary, Tag};
use crate::transform_wire::{fill, job_info, job_summary};
use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::config::retry::RetryConfig;
use aws_sdk_sagemaker::operation::list_transform_jobs::ListTransformJobsOutput;
use std::collections::HashSet;
use std::fmt;

/// Jobs on one page, at most (SageMaker API reference).
const LIST_PAGE_MAX: i32 = 100;

/// SageMaker, or what answers as SageMaker. Cheap to clone, safe to share.
///
/// Throttling is real at about two describing calls a second: callers poll slowly, with jitter.
#[derive(Clone)]
pub struct Transforms {
    pub(crate) client: Client,
}

/// Without the client: its own would show the access key id.
impl fmt::Debug for Transforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transforms").finish_non_exhaustive()
    }
}

impl Transforms {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Creates a job and returns its ARN.
    ///
    /// # Errors
    /// [`CloudErrorKind::NameInUse`] if a job of that name exists, which after more than one
    /// attempt may be this very one (its answer was lost): describe it, compare by
    /// [`CreateTransformJob::differences`], and adopt it or not.
    /// [`CloudErrorKind::NotFound`] if the model does not exist, [`CloudErrorKind::Quota`] for
    /// `ResourceLimitExceeded`, [`CloudErrorKind::Throttled`] after all attempts, or any of a
    /// request.
    pub async fn create_job(&self, job: &CreateTransformJob) -> Result<String, CloudError> {
        const ACTION: &str = "sagemaker CreateTransformJob";
        let name = &job.transform_job_name;
        let attempts = Attempts::default();
        let output = fill(self.client.create_transform_job(), job)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, name, &attempts, &e))?;
        arn(ACTION, name, output.transform_job_arn())
    }

    /// A job as it stands, or nothing if there is none of that name.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request, [`CloudErrorKind::NotFound`] excepted.
    pub async fn describe_job(&self, name: &str) -> Result<Option<JobInfo>, CloudError> {
        self.describe(name, None).await
    }

    /// As [`Transforms::describe_job`], in one request that is not sent again: for a poller that
    /// keeps a pace of its own and asks again later anyway.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request, [`CloudErrorKind::NotFound`] excepted.
    pub async fn describe_job_once(&self, name: &str) -> Result<Option<JobInfo>, CloudError> {
        let once = RetryConfig::standard().with_max_attempts(1);
        self.describe(name, Some(once)).await
    }

    async fn describe(
        &self,
        name: &str,
        retry: Option<RetryConfig>,
    ) -> Result<Option<JobInfo>, CloudError> {
        let attempts = Attempts::default();
        let request = self
            .client
            .describe_transform_job()
            .transform_job_name(name)
            .customize()
            .interceptor(attempts.counter());
        let request = match retry {
            Some(retry) => {
                request.config_override(aws_sdk_sagemaker::Config::builder().retry_config(retry))
            }
            None => request,
        };
        match request.send().await {
            Ok(output) => Ok(Some(job_info(&output))),
            Err(e) => not_found_is_none(CloudError::from_sdk(
                "sagemaker DescribeTransformJob",
                name,
                &attempts,
                &e,
            )),
        }
    }

    /// Asks the service to stop a job. It goes by `Stopping` to `Stopped` and stores no output; a
    /// job that has ended is left alone.
    ///
    /// # Errors
    /// [`CloudErrorKind::NotFound`], [`CloudErrorKind::Invalid`] if the service refuses because it
    /// has ended, or any of a request.
    pub async fn stop_job(&self, name: &str) -> Result<(), CloudError> {
        let attempts = Attempts::default();
        self.client
            .stop_transform_job()
            .transform_job_name(name)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk("sagemaker StopTransformJob", name, &attempts, &e))?;
        Ok(())
    }

    /// Every job whose name contains the text (at most 63 characters of `a-z A-Z 0-9 -`), newest
    /// first.
    ///
    /// Pages may be empty while more follow (aws-cli#7596): only a missing token ends the list.
    ///
    /// # Errors
    /// [`CloudErrorKind::Corrupt`] if the service repeats a token, or any of a request.
    pub async fn list_jobs(&self, name_contains: &str) -> Result<Vec<JobSummary>, CloudError> {
        let (mut jobs, mut tokens, mut token) = (Vec::new(), HashSet::new(), None::<String>);
        loop {
            let page = self.list_page(name_contains, token.clone()).await?;
            jobs.extend(page.transform_job_summaries().iter().map(job_summary));
            token = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            let Some(next) = &token else { return Ok(jobs) };
            if !tokens.insert(next.clone()) {
                let text = "the service repeated a token: the listing would never end";
                return Err(CloudError::new(
                    CloudErrorKind::Corrupt,
                    LIST,
                    name_contains,
                    text,
                ));
            }
        }
    }

    async fn list_page(
        &self,
        name_contains: &str,
        token: Option<String>,
    ) -> Result<ListTransformJobsOutput, CloudError> {
        let attempts = Attempts::default();
        self.client
            .list_transform_jobs()
            .set_name_contains((!name_contains.is_empty()).then(|| name_contains.to_owned()))
            .max_results(LIST_PAGE_MAX)
            .set_next_token(token)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(LIST, name_contains, &attempts, &e))
    }

    /// The tags of a job or a model, which no description shows.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`] of a request; [`CloudErrorKind::Corrupt`] for a repeated token.
    pub async fn list_tags(&self, arn: &str) -> Result<Vec<Tag>, CloudError> {
        const ACTION: &str = "sagemaker ListTags";
        let (mut tags, mut tokens, mut token) = (Vec::new(), HashSet::new(), None::<String>);
        loop {
            let attempts = Attempts::default();
            let page = self
                .client
                .list_tags()
                .resource_arn(arn)
                .set_next_token(token)
                .customize()
                .interceptor(attempts.counter())
                .send()
                .await
                .map_err(|e| CloudError::from_sdk(ACTION, arn, &attempts, &e))?;
            tags.extend(page.tags().iter().map(|tag| Tag {
                key: tag.key().unwrap_or_default().to_owned(),
                value: tag.value().unwrap_or_default().to_owned(),
            }));
            token = page
                .next_token()
                .filter(|t| !t.is_empty())
                .map(str::to_owned);
            let Some(next) = &token else { return Ok(tags) };
            if !tokens.insert(next.clone()) {
                let text = "the service repeated a token: the listing would never end";
                return Err(CloudError::new(CloudErrorKind::Corrupt, ACTION, arn, text));
            }
        }
    }
}

const LIST: &str = "sagemaker ListTransformJobs";

/// An ARN that the model requires.
pub(crate) fn arn(
    action: &'static str,
    name: &str,
    given: Option<&str>,
) -> Result<String, CloudError> {
    given.map(str::to_owned).ok_or_else(|| {
        CloudError::new(
            CloudErrorKind::Service,
            action,
            name,
            "the service gave no ARN",
        )
    })
}
