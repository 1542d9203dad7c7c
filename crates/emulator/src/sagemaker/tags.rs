//! `AddTags`, `ListTags`, `DeleteTags`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::constraints::Constraints;
use super::request::{Tag, TagsRequest, parse};
use super::{SageMaker, disk_error, job_rules, lock, records};
use crate::error::ServiceError;

/// Tags by ARN and key.
pub(crate) type TagRecord = BTreeMap<String, BTreeMap<String, String>>;

impl SageMaker {
    pub(crate) fn add_tags(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request: TagsRequest = parse(body)?;
        let arn = resource(&request)?;
        self.set_tags(&arn, &request.tags)?;
        Ok(json!({ "Tags": self.tags_of(&arn) }))
    }

    pub(crate) fn list_tags(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request: TagsRequest = parse(body)?;
        let arn = resource(&request)?;
        Ok(json!({ "Tags": self.tags_of(&arn) }))
    }

    pub(crate) fn delete_tags(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request: TagsRequest = parse(body)?;
        let arn = resource(&request)?;
        self.change_tags(|tags| {
            if let Some(own) = tags.get_mut(&arn) {
                own.retain(|key, _| !request.tag_keys.contains(key));
            }
        })?;
        Ok(json!({}))
    }

    /// Adds to what the resource has.
    pub(crate) fn set_tags(&self, arn: &str, new: &[Tag]) -> Result<(), ServiceError> {
        if new.is_empty() {
            return Ok(());
        }
        self.change_tags(|tags| {
            let own = tags.entry(arn.to_owned()).or_default();
            own.extend(new.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
        })
    }

    fn change_tags(&self, change: impl FnOnce(&mut TagRecord)) -> Result<(), ServiceError> {
        let path = self.inner.folder.join("tags.json");
        let mut tags = lock(&self.inner.tags);
        let mut changed = tags.clone();
        change(&mut changed);
        records::write(&path, &changed).map_err(disk_error(&path))?;
        *tags = changed;
        Ok(())
    }

    fn tags_of(&self, arn: &str) -> Vec<Tag> {
        let tags = lock(&self.inner.tags);
        let own = tags.get(arn).into_iter().flatten();
        own.map(|(key, value)| Tag {
            key: key.clone(),
            value: value.clone(),
        })
        .collect()
    }
}

fn resource(request: &TagsRequest) -> Result<String, ServiceError> {
    let mut c = Constraints::default();
    c.required("resourceArn", request.resource_arn.as_deref());
    job_rules::check_tags(&mut c, &request.tags);
    c.finish()?;
    Ok(request.resource_arn.clone().unwrap_or_default())
}
