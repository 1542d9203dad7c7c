//! What transform jobs write to CloudWatch Logs: for messages, so a few lines and a bounded effort.
//!
//! The group and its streams are in the developer guide, "logging-cloudwatch": a stream
//! `<job>/<instance>-<epoch>` for what the container prints, and one that ends in `/data-log` for what
//! the service's batch driver says.

use std::collections::HashSet;
use std::fmt;

use aws_sdk_cloudwatchlogs::Client;

use crate::attempts::Attempts;
use crate::error::CloudError;
use crate::redact::clean;
use crate::store::not_found_is_none;

/// The log group of transform jobs.
pub const TRANSFORM_LOG_GROUP: &str = "/aws/sagemaker/TransformJobs";
/// Pages of one search at most: a page has up to 1 MB or 10,000 events (FilterLogEvents).
const MAX_PAGES: usize = 40;

/// CloudWatch Logs, or what answers as it. Cheap to clone.
#[derive(Clone)]
pub struct JobLogs {
    client: Client,
}

/// Without the client: its own would show the access key id.
impl fmt::Debug for JobLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobLogs").finish_non_exhaustive()
    }
}

impl JobLogs {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Lines of a job's streams that contain a text without quotes, oldest first, at most `most`; each
    /// made fit to be shown by [`clean`]. None where the job has no logs.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`](crate::CloudErrorKind) of a request, most often
    /// [`AccessDenied`](crate::CloudErrorKind::AccessDenied): it needs
    /// `logs:FilterLogEvents`.
    pub async fn containing(
        &self,
        job: &str,
        text: &str,
        most: usize,
    ) -> Result<Vec<String>, CloudError> {
        let (mut lines, mut tokens, mut token) = (Vec::new(), HashSet::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let attempts = Attempts::default();
            let page = self
                .client
                .filter_log_events()
                .log_group_name(TRANSFORM_LOG_GROUP)
                .log_stream_name_prefix(format!("{job}/"))
                .filter_pattern(format!("\"{text}\""))
                .set_next_token(token)
                .customize()
                .interceptor(attempts.counter())
                .send()
                .await;
            let page =
                page.map_err(|e| CloudError::from_sdk("logs FilterLogEvents", job, &attempts, &e));
            let page = match page {
                Ok(page) => page,
                Err(e) => return not_found_is_none::<()>(e).map(|_| lines),
            };
            let found = page.events().iter().filter_map(|e| e.message());
            lines.extend(found.take(most.saturating_sub(lines.len())).map(clean));
            token = page.next_token().map(str::to_owned);
            let is_new = token.clone().is_some_and(|t| tokens.insert(t));
            if !is_new || lines.len() >= most {
                break;
            }
        }
        Ok(lines)
    }

    /// The last lines of each stream of a job, at most `lines` of at most `streams`, streams by their
    /// names; each made fit to be shown by [`clean`]. None where the job has no logs.
    ///
    /// # Errors
    /// Any [`CloudErrorKind`](crate::CloudErrorKind) of a request, most often
    /// [`AccessDenied`](crate::CloudErrorKind::AccessDenied): it needs
    /// `logs:DescribeLogStreams` and `logs:GetLogEvents`.
    pub async fn last(
        &self,
        job: &str,
        streams: usize,
        lines: usize,
    ) -> Result<Vec<Vec<String>>, CloudError> {
        let attempts = Attempts::default();
        let described = self
            .client
            .describe_log_streams()
            .log_group_name(TRANSFORM_LOG_GROUP)
            .log_stream_name_prefix(format!("{job}/"))
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        let described = described
            .map_err(|e| CloudError::from_sdk("logs DescribeLogStreams", job, &attempts, &e));
        let described = match described {
            Ok(described) => described,
            Err(e) => return not_found_is_none::<()>(e).map(|_| Vec::new()),
        };
        let names = described.log_streams().iter();
        let names = names.filter_map(|s| s.log_stream_name()).take(streams);
        let mut last = Vec::new();
        for name in names {
            last.push(self.end_of(name, lines).await?);
        }
        Ok(last)
    }

    async fn end_of(&self, stream: &str, lines: usize) -> Result<Vec<String>, CloudError> {
        let attempts = Attempts::default();
        let events = self
            .client
            .get_log_events()
            .log_group_name(TRANSFORM_LOG_GROUP)
            .log_stream_name(stream)
            .start_from_head(false)
            .limit(i32::try_from(lines).unwrap_or(i32::MAX))
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk("logs GetLogEvents", stream, &attempts, &e))?;
        let messages = events.events().iter().filter_map(|e| e.message());
        Ok(messages.map(clean).collect())
    }
}
