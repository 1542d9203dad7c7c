//! Listings, in the order of the keys' bytes.

use std::ops::Bound;
use std::sync::Arc;

use super::object::ObjectInfo;
use super::{ObjectStore, StoreError, read};

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only keys that start with it.
    pub prefix: String,
    /// Keys with it after the prefix are rolled up into a common prefix that ends with it.
    pub delimiter: Option<String>,
    /// Only keys after it. Where it is a common prefix itself, that prefix is not listed again.
    pub after: Option<String>,
    /// At most so many keys and common prefixes together.
    pub max: usize,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The objects, by key.
    pub objects: Vec<Arc<ObjectInfo>>,
    /// The common prefixes, in order.
    pub prefixes: Vec<String>,
    /// Where there is more: what [`ListQuery::after`] has to be for the next page.
    pub next: Option<String>,
}

impl ObjectStore {
    /// At most `max` objects whose keys start with `prefix` and come after `start_after`, by key.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub fn list(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: Option<&str>,
        max: usize,
    ) -> Result<Vec<Arc<ObjectInfo>>, StoreError> {
        let query = ListQuery {
            prefix: prefix.to_owned(),
            delimiter: None,
            after: start_after.map(str::to_owned),
            max,
        };
        Ok(self.list_page(bucket, &query)?.objects)
    }

    /// One page. Costs grow with the page, not with the bucket: what is rolled up is skipped, not
    /// walked through.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub fn list_page(&self, bucket: &str, query: &ListQuery) -> Result<Page, StoreError> {
        let holder = self.bucket(bucket)?;
        let objects = read(&holder.objects);
        let mut page = Page::default();
        let mut cursor = first(query);
        let mut last: Option<String> = None;
        loop {
            let range = (as_ref(&cursor), Bound::Unbounded);
            let mut found = None;
            for (key, info) in objects.range::<str, _>(range) {
                if !key.starts_with(&query.prefix) {
                    break;
                }
                if page.objects.len() + page.prefixes.len() >= query.max {
                    page.next = last;
                    return Ok(page);
                }
                if let Some(rolled) = common_prefix(key, query) {
                    found = Some(rolled.to_owned());
                    break;
                }
                last = Some(key.clone());
                page.objects.push(Arc::clone(info));
            }
            let Some(rolled) = found else { return Ok(page) };
            last = Some(rolled.clone());
            let Some(next) = successor(&rolled) else {
                page.prefixes.push(rolled);
                return Ok(page);
            };
            page.prefixes.push(rolled);
            cursor = Bound::Included(next);
        }
    }
}

fn as_ref(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// Where the walk through the keys begins.
fn first(query: &ListQuery) -> Bound<String> {
    match &query.after {
        Some(after) if after.as_str() >= query.prefix.as_str() => {
            // A page that ended with a common prefix goes on behind all that it stands for.
            let rolled = common_prefix(after, query).filter(|p| *p == after);
            rolled
                .and_then(successor)
                .map_or_else(|| Bound::Excluded(after.clone()), Bound::Included)
        }
        _ => Bound::Included(query.prefix.clone()),
    }
}

/// The common prefix that a key is rolled up into.
fn common_prefix<'a>(key: &'a str, query: &ListQuery) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref().filter(|d| !d.is_empty())?;
    let rest = key.get(query.prefix.len()..)?;
    let at = rest.find(delimiter)?;
    key.get(..query.prefix.len() + at + delimiter.len())
}

/// The smallest string after all that start with `prefix`. `None` where there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut head = prefix.to_owned();
    while let Some(last) = head.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            head.push(next);
            return Some(head);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_after_all_that_it_follows() {
        assert_eq!(successor("a/"), Some("a0".to_owned()));
        assert_eq!(successor("a\u{d7ff}"), Some("a\u{e000}".to_owned()));
        assert_eq!(successor("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(successor("\u{10ffff}"), None);
        assert!("a/\u{10ffff}\u{10ffff}" < "a0");
    }
}
