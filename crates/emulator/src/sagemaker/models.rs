//! `CreateModel`, `DescribeModel`, `DeleteModel`, `ListModels`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::constraints::{
    Constraints, IMAGE, MODEL_ENVIRONMENT_KEY, MODEL_NAME, ROLE_ARN, S3_URI, invalid,
};
use super::listing::{self, Item};
use super::request::{ContainerDefinition, ListRequest, ModelNameRequest, ModelRequest, parse};
use super::{SageMaker, disk_error, job_rules, lock, now_seconds, records};
use crate::error::ServiceError;

/// A model as it lies on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ModelRecord {
    /// As sent, for Describe.
    request: Value,
    name: String,
    pub(crate) container: ContainerDefinition,
    created: f64,
}

impl ModelRecord {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl SageMaker {
    pub(crate) fn create_model(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request: ModelRequest = parse(body)?;
        let name = check(&request)?;
        let container = only_container(&request)?;
        let arn = self.arn("model", &name);
        let mut models = lock(&self.inner.models);
        if models.contains_key(&name) {
            return Err(invalid(format!(
                "Cannot create already existing model \"{arn}\"."
            )));
        }
        let record = ModelRecord {
            request: parse(body)?,
            name: name.clone(),
            container,
            created: now_seconds(),
        };
        let path = self.path("models", &name);
        records::write(&path, &record).map_err(disk_error(&path))?;
        models.insert(name, record);
        drop(models);
        self.set_tags(&arn, &request.tags)?;
        Ok(json!({ "ModelArn": arn }))
    }

    pub(crate) fn describe_model(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let record = self.model(&model_name(body)?)?;
        let mut answer = record.request.as_object().cloned().unwrap_or_default();
        answer.remove("Tags");
        answer.insert(
            "ModelArn".to_owned(),
            self.arn("model", &record.name).into(),
        );
        answer.insert("CreationTime".to_owned(), record.created.into());
        answer
            .entry("EnableNetworkIsolation")
            .or_insert(false.into());
        Ok(Value::Object(answer))
    }

    pub(crate) fn delete_model(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let name = model_name(body)?;
        let mut models = lock(&self.inner.models);
        if !models.contains_key(&name) {
            return Err(self.no_model(&name));
        }
        let path = self.path("models", &name);
        std::fs::remove_file(&path).map_err(disk_error(&path))?;
        models.remove(&name);
        Ok(json!({}))
    }

    pub(crate) fn list_models(&self, body: &[u8]) -> Result<Value, ServiceError> {
        let request: ListRequest = parse(body)?;
        let models = lock(&self.inner.models);
        let items = models.values().map(|m| Item {
            name: &m.name,
            status: "",
            created: m.created,
            modified: m.created,
        });
        let page = listing::page(&request, items)?;
        let summaries: Vec<Value> = page
            .names
            .iter()
            .filter_map(|name| models.get(name))
            .map(|m| {
                json!({
                    "ModelName": m.name,
                    "ModelArn": self.arn("model", &m.name),
                    "CreationTime": m.created,
                })
            })
            .collect();
        let mut answer = json!({ "Models": summaries });
        if let Some(token) = page.next_token {
            answer["NextToken"] = token.into();
        }
        Ok(answer)
    }

    /// A model by name, or the service's refusal.
    pub(crate) fn model(&self, name: &str) -> Result<ModelRecord, ServiceError> {
        lock(&self.inner.models)
            .get(name)
            .cloned()
            .ok_or_else(|| self.no_model(name))
    }

    fn no_model(&self, name: &str) -> ServiceError {
        invalid(format!(
            "Could not find model \"{}\".",
            self.arn("model", name)
        ))
    }
}

fn model_name(body: &[u8]) -> Result<String, ServiceError> {
    let request: ModelNameRequest = parse(body)?;
    let mut c = Constraints::default();
    let name = c.required("modelName", request.model_name.as_deref());
    c.pattern("modelName", name, 63, MODEL_NAME);
    c.finish()?;
    Ok(request.model_name.unwrap_or_default())
}

fn check(request: &ModelRequest) -> Result<String, ServiceError> {
    let mut c = Constraints::default();
    let name = c.required("modelName", request.model_name.as_deref());
    c.pattern("modelName", name, 63, MODEL_NAME);
    c.entries("containers", request.containers.len(), 15);
    let role = request.execution_role_arn.as_deref();
    c.pattern("executionRoleArn", role, 2048, ROLE_ARN);
    for container in request.primary_container.iter().chain(&request.containers) {
        let image = container.image.as_deref();
        c.pattern("primaryContainer.image", image, 255, IMAGE);
        let data = container.model_data_url.as_deref();
        c.pattern("primaryContainer.modelDataUrl", data, 1024, S3_URI);
        c.entries(
            "primaryContainer.environment",
            container.environment.len(),
            100,
        );
        for (key, value) in &container.environment {
            let field = "primaryContainer.environment";
            c.pattern(field, Some(key), 1024, MODEL_ENVIRONMENT_KEY);
            c.length("primaryContainer.environment", Some(value), 1024);
        }
    }
    job_rules::check_tags(&mut c, &request.tags);
    c.finish()?;
    Ok(request.model_name.clone().unwrap_or_default())
}

/// The one container of the model; what a transform job cannot use is refused here already.
fn only_container(request: &ModelRequest) -> Result<ContainerDefinition, ServiceError> {
    let container = match (&request.primary_container, request.containers.as_slice()) {
        (Some(one), []) | (None, [one]) => one,
        (None, []) => {
            return Err(invalid(
                "Either PrimaryContainer or Containers must be given",
            ));
        }
        (Some(_), _) => {
            return Err(invalid(
                "PrimaryContainer and Containers cannot both be given",
            ));
        }
        (None, _) => {
            return Err(invalid(
                "A model of several containers is not supported by the gristmill emulator",
            ));
        }
    };
    if container.model_package_name.is_some() || container.model_data_source.is_some() {
        return Err(invalid(
            "ModelPackageName and ModelDataSource are not supported by the gristmill emulator; \
             give Image and ModelDataUrl",
        ));
    }
    if container.image.is_none() {
        return Err(invalid("A container needs an Image"));
    }
    Ok(container.clone())
}
