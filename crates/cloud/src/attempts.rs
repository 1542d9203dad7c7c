//! How many requests one call sent: for messages, and to know whether a write may have happened
//! before the answer that we saw.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

/// Counts the attempts of one call. Made anew for each, given to it by [`Attempts::counter`].
#[derive(Debug, Default)]
pub(crate) struct Attempts(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    count: AtomicU32,
    server: OnceLock<String>,
}

impl Attempts {
    pub(crate) fn counter(&self) -> AttemptCounter {
        AttemptCounter(Arc::clone(&self.0))
    }

    /// Requests that were sent so far.
    pub(crate) fn count(&self) -> u32 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Where the first was sent: scheme, host and port, such as `http://127.0.0.1:9000`. No more of
    /// the URL, which could hold what is secret.
    pub(crate) fn server(&self) -> Option<&str> {
        self.0.server.get().map(String::as_str)
    }
}

/// The SDK's side of [`Attempts`].
#[derive(Debug)]
pub(crate) struct AttemptCounter(Arc<Seen>);

impl Intercept for AttemptCounter {
    fn name(&self) -> &'static str {
        "AttemptCounter"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        if let Some(server) = server_of(context.request().uri()) {
            self.0.server.get_or_init(|| server);
        }
        Ok(())
    }
}

fn server_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_only_the_server_is_told() {
        for (uri, server) in [
            (
                "http://127.0.0.1:9/b/k?X-Amz-Signature=s",
                Some("http://127.0.0.1:9"),
            ),
            ("https://me:secret@host?q", Some("https://host")),
            (
                "https://b.s3.amazonaws.com",
                Some("https://b.s3.amazonaws.com"),
            ),
            ("/b/k", None),
        ] {
            assert_eq!(server_of(uri).as_deref(), server);
        }
    }
}
