//! Models at SageMaker: what a transform job runs.

use crate::attempts::Attempts;
use crate::error::CloudError;
use crate::store::not_found_is_none;
use crate::transform_job::Tag;
use crate::transform_wire::tag;
use crate::transforms::{Transforms, arn};
use aws_sdk_sagemaker::operation::describe_model::DescribeModelOutput;
use aws_sdk_sagemaker::primitives::DateTime;
use aws_sdk_sagemaker::types as sdk;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a CreateModel request says here: one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateModel {
    /// At most 63 characters of `a-z A-Z 0-9 -`.
    pub name: String,
    /// The container's image.
    pub image: String,
    /// `s3://….tar.gz`, if the image needs one.
    pub model_data_url: Option<String>,
    /// What the container may do.
    pub execution_role_arn: String,
    /// The container's variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Its network, if not the service's.
    pub vpc_config: Option<VpcConfig>,
    /// Whether it has no network at all.
    pub enable_network_isolation: Option<bool>,
    /// The model's tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// Subnets and their guards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcConfig {
    /// 1 to 5 ids.
    pub security_group_ids: Vec<String>,
    /// 1 to 16 ids.
    pub subnets: Vec<String>,
}

/// A model as DescribeModel shows it: its identity is all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Seconds since 1970 UTC; with the name, tells a model made anew from the old one.
    pub creation_time: f64,
    /// The (first) container's image; none if a model package says it.
    pub image: Option<String>,
    /// The (first) container's model data.
    pub model_data_url: Option<String>,
    /// The (first) container's model package, by name or ARN.
    pub model_package_name: Option<String>,
    /// The (first) container's variables.
    pub environment: BTreeMap<String, String>,
    /// How many containers it has.
    pub containers: usize,
}

impl Transforms {
    /// Creates a model and returns its ARN.
    ///
    /// # Errors
    /// [`crate::CloudErrorKind::NameInUse`] if there is one of that name (the service answers
    /// `ValidationException`), [`crate::CloudErrorKind::Quota`], or any of a request.
    pub async fn create_model(&self, model: &CreateModel) -> Result<String, CloudError> {
        const ACTION: &str = "sagemaker CreateModel";
        let environment = (!model.environment.is_empty())
            .then(|| model.environment.clone().into_iter().collect());
        let tags = (!model.tags.is_empty()).then(|| model.tags.iter().map(tag).collect());
        let container = sdk::ContainerDefinition::builder()
            .image(&model.image)
            .set_model_data_url(model.model_data_url.clone())
            .set_environment(environment)
            .build();
        let attempts = Attempts::default();
        let output = self
            .client
            .create_model()
            .model_name(&model.name)
            .primary_container(container)
            .execution_role_arn(&model.execution_role_arn)
            .set_vpc_config(model.vpc_config.as_ref().map(vpc))
            .set_enable_network_isolation(model.enable_network_isolation)
            .set_tags(tags)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await
            .map_err(|e| CloudError::from_sdk(ACTION, &model.name, &attempts, &e))?;
        arn(ACTION, &model.name, output.model_arn())
    }

    /// A model, or nothing if there is none of that name.
    ///
    /// # Errors
    /// Any [`crate::CloudErrorKind`] of a request, `NotFound` excepted.
    pub async fn describe_model(&self, name: &str) -> Result<Option<ModelInfo>, CloudError> {
        let attempts = Attempts::default();
        let answer = self
            .client
            .describe_model()
            .model_name(name)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        match answer {
            Ok(output) => Ok(Some(model_info(&output))),
            Err(e) => not_found_is_none(CloudError::from_sdk(
                "sagemaker DescribeModel",
                name,
                &attempts,
                &e,
            )),
        }
    }

    /// Deletes a model; one that does not exist is deleted already.
    ///
    /// # Errors
    /// Any [`crate::CloudErrorKind`] of a request, `NotFound` excepted.
    pub async fn delete_model(&self, name: &str) -> Result<(), CloudError> {
        let attempts = Attempts::default();
        let answer = self
            .client
            .delete_model()
            .model_name(name)
            .customize()
            .interceptor(attempts.counter())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(e) => {
                let error = CloudError::from_sdk("sagemaker DeleteModel", name, &attempts, &e);
                not_found_is_none::<()>(error).map(|_| ())
            }
        }
    }
}

fn vpc(config: &VpcConfig) -> sdk::VpcConfig {
    sdk::VpcConfig::builder()
        .set_security_group_ids(Some(config.security_group_ids.clone()))
        .set_subnets(Some(config.subnets.clone()))
        .build()
}

fn model_info(described: &DescribeModelOutput) -> ModelInfo {
    let first = described
        .primary_container()
        .or_else(|| described.containers().first());
    let owned = |member: fn(&sdk::ContainerDefinition) -> Option<&str>| {
        first.and_then(member).map(str::to_owned)
    };
    let environment = first.and_then(sdk::ContainerDefinition::environment);
    ModelInfo {
        name: described.model_name().unwrap_or_default().to_owned(),
        arn: described.model_arn().unwrap_or_default().to_owned(),
        creation_time: described.creation_time().map_or(0.0, DateTime::as_secs_f64),
        image: owned(sdk::ContainerDefinition::image),
        model_data_url: owned(sdk::ContainerDefinition::model_data_url),
        model_package_name: owned(sdk::ContainerDefinition::model_package_name),
        environment: environment
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        containers: described
            .containers()
            .len()
            .max(usize::from(first.is_some())),
    }
}
