//! Filters, order and pages of the List calls.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::constraints::{Constraints, NAME_CONTAINS, invalid};
use super::request::ListRequest;
use crate::error::ServiceError;

/// What is listed, apart from what is shown of it.
pub(crate) struct Item<'a> {
    pub(crate) name: &'a str,
    pub(crate) status: &'a str,
    /// Seconds since 1970.
    pub(crate) created: f64,
    /// Seconds since 1970.
    pub(crate) modified: f64,
}

/// The names of one page, in order, and the token of the next.
pub(crate) struct NamePage {
    pub(crate) names: Vec<String>,
    pub(crate) next_token: Option<String>,
}

/// Checks the request and picks a page. Order is by `SortBy` (default CreationTime), then name;
/// `SortOrder` is Descending by default. A token names the last item of the page before, so that an
/// item created meanwhile moves none.
pub(crate) fn page<'a>(
    request: &ListRequest,
    items: impl Iterator<Item = Item<'a>>,
) -> Result<NamePage, ServiceError> {
    check(request)?;
    let after = request.next_token.as_deref().map(decode).transpose()?;
    let descending = request.sort_order.as_deref() != Some("Ascending");
    let sort_by = request.sort_by.as_deref().unwrap_or("CreationTime");
    let mut keys: Vec<(String, String)> = items
        .filter(|item| passes(request, item))
        .map(|item| (sort_key(sort_by, &item), item.name.to_owned()))
        .collect();
    keys.sort();
    if descending {
        keys.reverse();
    }
    if let Some(after) = after {
        keys.retain(|key| {
            if descending {
                *key < after
            } else {
                *key > after
            }
        });
    }
    let max = request
        .max_results
        .and_then(|m| usize::try_from(m).ok())
        .unwrap_or(10);
    let more = keys.len() > max;
    keys.truncate(max);
    let next_token = keys.last().filter(|_| more).map(encode);
    Ok(NamePage {
        names: keys.into_iter().map(|(_, name)| name).collect(),
        next_token,
    })
}

fn check(request: &ListRequest) -> Result<(), ServiceError> {
    let mut c = Constraints::default();
    c.pattern(
        "nameContains",
        request.name_contains.as_deref(),
        63,
        NAME_CONTAINS,
    );
    c.range("maxResults", request.max_results, 1, 100);
    c.one_of(
        "sortBy",
        request.sort_by.as_deref(),
        &["Name", "CreationTime", "Status"],
    );
    c.one_of(
        "sortOrder",
        request.sort_order.as_deref(),
        &["Ascending", "Descending"],
    );
    let statuses = ["InProgress", "Completed", "Failed", "Stopping", "Stopped"];
    c.one_of("statusEquals", request.status_equals.as_deref(), &statuses);
    c.length("nextToken", request.next_token.as_deref(), 8192);
    c.finish()
}

fn passes(request: &ListRequest, item: &Item<'_>) -> bool {
    let contains = |part: &String| item.name.to_lowercase().contains(&part.to_lowercase());
    request.name_contains.as_ref().is_none_or(contains)
        && request
            .status_equals
            .as_ref()
            .is_none_or(|s| s == item.status)
        && request.creation_time_after.is_none_or(|t| item.created > t)
        && request
            .creation_time_before
            .is_none_or(|t| item.created < t)
        && request
            .last_modified_time_after
            .is_none_or(|t| item.modified > t)
        && request
            .last_modified_time_before
            .is_none_or(|t| item.modified < t)
}

/// Times as digits of one length, so that text order is time order.
fn sort_key(sort_by: &str, item: &Item<'_>) -> String {
    match sort_by {
        "Name" => item.name.to_owned(),
        "Status" => item.status.to_owned(),
        _ => format!("{:020}", (item.created * 1e6) as u64),
    }
}

fn encode(key: &(String, String)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}\0{}", key.0, key.1))
}

fn decode(token: &str) -> Result<(String, String), ServiceError> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|b| String::from_utf8(b).ok());
    text.as_deref()
        .and_then(|t| t.split_once('\0'))
        .map(|(key, name)| (key.to_owned(), name.to_owned()))
        .ok_or_else(|| invalid("The provided NextToken is not valid"))
}
