//! Which model a job is for: one that exists, one that is created from the pipeline's description,
//! or under `--local` what the pipeline's `local.model` says.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gristmill_cloud::{
    Cloud, CloudErrorKind, CreateModel, ModelInfo, PutOptions, S3Uri, Transforms,
};
use gristmill_plan::spec::{LocalModel, Model, ModelDefinition};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::RunError;
use crate::exit_code::ExitCode;
use crate::inventory::{blocking, hash_file};
use crate::remote::WorkStore;

/// Images that the embedded service knows.
const ONNX_IMAGE: &str = "gristmill.local/onnx";
const COMMAND_IMAGE: &str = "gristmill.local/command";
const URL_IMAGE: &str = "gristmill.local/url";
/// Any role does: the embedded service checks its form only.
const LOCAL_ROLE: &str = "arn:aws:iam::000000000000:role/gristmill-local";
/// How much of a hash tells one model of a pipeline from another.
const HASH_IN_NAME: usize = 12;
/// What an API name may have besides the hash.
const NAME_LENGTH: usize = 48;

/// A model, known but not necessarily created yet.
#[derive(Debug, Clone)]
pub(crate) struct KnownModel {
    /// ModelName.
    pub(crate) name: String,
    /// What determines its answers, for the transform stage's fingerprint.
    pub(crate) identity: Value,
    /// How to make it, unless it is expected to exist.
    recipe: Option<Recipe>,
}

/// How a model is made.
#[derive(Debug, Clone)]
enum Recipe {
    /// By the pipeline's description.
    Defined(Box<ModelDefinition>),
    /// By the embedded service, from a file, a command or a URL.
    Local {
        image: &'static str,
        environment: BTreeMap<String, String>,
        onnx: Option<PathBuf>,
    },
}

/// Finds out which model it is, without creating anything.
///
/// # Errors
/// `Pipeline`, when it names a model that does not exist or under `--local` says nothing about it;
/// the service's.
pub(crate) async fn identify(
    pipeline: &str,
    model: &Model,
    local: Option<Option<&LocalModel>>,
    base: &Path,
    cloud: &Cloud,
) -> Result<KnownModel, RunError> {
    let name = model_name(pipeline, model);
    if let Some(local) = local {
        if let Some(local) = local {
            return identify_local(name, local, base).await;
        }
        return existing(&name, cloud).await?.ok_or_else(|| {
            RunError::new(
                ExitCode::Pipeline,
                format!("under --local nothing answers for model {name:?}"),
            )
            .with_help(
                "add `local: { model: { onnx: FILE } }` (or command, or url) to the pipeline",
            )
        });
    }
    match model {
        Model::Named(_) => existing(&name, cloud).await?.ok_or_else(|| {
            RunError::new(
                ExitCode::Pipeline,
                format!("transform.model: there is no model named {name:?}"),
            )
            .with_help("create it, name another, or describe it with `image` and `model_data`")
        }),
        Model::Defined(definition) => Ok(KnownModel {
            identity: json!({
                "defined": definition,
                "data": data_version(definition.model_data.as_deref(), cloud).await?,
            }),
            name,
            recipe: Some(Recipe::Defined(definition.clone())),
        }),
    }
}

/// A model without a name of its own is named after the pipeline and what describes it.
fn model_name(pipeline: &str, model: &Model) -> String {
    match model {
        Model::Named(name) => name.clone(),
        Model::Defined(definition) => {
            let text = serde_json::to_string(definition).unwrap_or_default();
            let hash = hex::encode(Sha256::digest(text.as_bytes()));
            format!(
                "{}-{}",
                gristmill_plan::launch::api_name(pipeline, NAME_LENGTH),
                &hash[..HASH_IN_NAME]
            )
        }
    }
}

async fn existing(name: &str, cloud: &Cloud) -> Result<Option<KnownModel>, RunError> {
    let Some(info) = cloud.transforms().describe_model(name).await? else {
        return Ok(None);
    };
    let data = data_version(info.model_data_url.as_deref(), cloud).await?;
    Ok(Some(KnownModel {
        name: name.to_owned(),
        identity: identity_of(&info, data),
        recipe: None,
    }))
}

/// The ETag of a model's data: it may be replaced under its name. A runner that may not look at it,
/// or finds nothing there, goes on without; a store that does not answer is an error, since the
/// model would seem to be another.
async fn data_version(url: Option<&str>, cloud: &Cloud) -> Result<Option<String>, RunError> {
    let Some(uri) = url.and_then(|url| S3Uri::parse(url).ok()) else {
        return Ok(None);
    };
    match cloud.store().head(&uri).await {
        Ok(meta) => Ok(meta.map(|m| m.etag)),
        Err(e)
            if matches!(
                e.kind,
                CloudErrorKind::AccessDenied | CloudErrorKind::NotFound
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e.into()),
    }
}

fn identity_of(info: &ModelInfo, data: Option<String>) -> Value {
    json!({
        "data": data,
        "name": info.name,
        "created": info.creation_time,
        "image": info.image,
        "model_data": info.model_data_url,
        "environment": info.environment,
    })
}

async fn identify_local(
    name: String,
    local: &LocalModel,
    base: &Path,
) -> Result<KnownModel, RunError> {
    let (image, environment, onnx) = match local {
        LocalModel::Onnx(path) => (ONNX_IMAGE, BTreeMap::new(), Some(path.clone())),
        LocalModel::Command(command) => {
            let command = format!(
                "cd {} && {command}",
                shell_quoted(&base.display().to_string())
            );
            let environment = [("GRISTMILL_COMMAND", command)];
            (COMMAND_IMAGE, owned(environment), None)
        }
        LocalModel::Url(url) => (URL_IMAGE, owned([("GRISTMILL_URL", url.clone())]), None),
    };
    let (path, words, base) = (onnx.clone(), command_words(local), base.to_owned());
    let (content, files) = blocking(move || {
        let content = path.map(|path| onnx_hash(&path)).transpose()?;
        Ok((content, hashes_of_files(&words, &base)?))
    })
    .await?;
    let identity =
        json!({ "image": image, "environment": environment, "onnx": content, "files": files });
    Ok(KnownModel {
        name: local_name(&name, &identity),
        identity,
        recipe: Some(Recipe::Local {
            image,
            environment,
            onnx,
        }),
    })
}

/// Models of one name and different content are different models: what another run scores with must
/// not change under it.
fn local_name(name: &str, identity: &Value) -> String {
    let hash = hex::encode(Sha256::digest(identity.to_string().as_bytes()));
    let name = gristmill_plan::launch::api_name(name, NAME_LENGTH);
    format!("{name}-{}", &hash[..HASH_IN_NAME])
}

fn command_words(local: &LocalModel) -> Vec<String> {
    match local {
        LocalModel::Command(command) => command.split_whitespace().map(str::to_owned).collect(),
        LocalModel::Onnx(_) | LocalModel::Url(_) => Vec::new(),
    }
}

/// Content of the files that a command names: a changed script is another model.
fn hashes_of_files(words: &[String], base: &Path) -> Result<BTreeMap<String, String>, RunError> {
    let files = words.iter().map(|w| (w, base.join(w)));
    let files = files.filter(|(_, path)| path.is_file());
    files
        .map(|(word, path)| Ok((word.clone(), hash_file(&path)?)))
        .collect()
}

/// A word of a shell command, whatever is in it.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn owned<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn onnx_hash(path: &Path) -> Result<String, RunError> {
    if path.is_file() {
        return hash_file(path);
    }
    Err(RunError::new(
        ExitCode::Pipeline,
        format!("local.model.onnx: {} is not a file", path.display()),
    )
    .with_help("paths in a pipeline are relative to its own folder"))
}

/// Makes sure that the model is there.
///
/// # Errors
/// The service's, the store's or the disk's.
pub(crate) async fn ensure(
    model: &KnownModel,
    transforms: &Transforms,
    work: &WorkStore,
) -> Result<(), RunError> {
    match &model.recipe {
        None => Ok(()),
        Some(Recipe::Defined(definition)) => {
            create_once(transforms, &defined(&model.name, definition)).await
        }
        Some(Recipe::Local {
            image,
            environment,
            onnx,
        }) => {
            let data = match onnx {
                Some(path) => Some(upload_onnx(path, model, work).await?),
                None => None,
            };
            ensure_local(model, transforms, image, environment, data).await
        }
    }
}

fn defined(name: &str, definition: &ModelDefinition) -> CreateModel {
    CreateModel {
        name: name.to_owned(),
        image: definition.image.clone(),
        model_data_url: definition.model_data.clone(),
        execution_role_arn: definition.execution_role_arn.clone(),
        environment: definition.environment.clone(),
        enable_network_isolation: Some(definition.enable_network_isolation),
        vpc_config: definition
            .vpc_config
            .as_ref()
            .map(|v| gristmill_cloud::VpcConfig {
                security_group_ids: v.security_group_ids.clone(),
                subnets: v.subnets.clone(),
            }),
        tags: Vec::new(),
    }
}

/// Creates a model whose name holds a hash of what it is: one that is there is the same, whether it
/// was there before or another run made it at this moment.
async fn create_once(transforms: &Transforms, create: &CreateModel) -> Result<(), RunError> {
    if transforms.describe_model(&create.name).await?.is_some() {
        return Ok(());
    }
    match transforms.create_model(create).await {
        Ok(_) => Ok(()),
        Err(error) if transforms.describe_model(&create.name).await?.is_none() => Err(error.into()),
        Err(_) => Ok(()),
    }
}

async fn ensure_local(
    model: &KnownModel,
    transforms: &Transforms,
    image: &str,
    environment: &BTreeMap<String, String>,
    data: Option<S3Uri>,
) -> Result<(), RunError> {
    let data = data.map(|uri| uri.to_string());
    let create = CreateModel {
        name: model.name.clone(),
        image: image.to_owned(),
        model_data_url: data,
        execution_role_arn: LOCAL_ROLE.to_owned(),
        environment: environment.clone(),
        enable_network_isolation: None,
        vpc_config: None,
        tags: Vec::new(),
    };
    create_once(transforms, &create).await
}

/// Model data under a name that its content determines, so that it is uploaded once.
async fn upload_onnx(path: &Path, model: &KnownModel, work: &WorkStore) -> Result<S3Uri, RunError> {
    let hash = model.identity["onnx"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("sha256:")
        .to_owned();
    let uri = work.at(&format!("models/{hash}.tar.gz"));
    if work.store().head(&uri).await?.is_none() {
        let path = path.to_owned();
        let archive = blocking(move || pack(&path)).await?;
        work.store()
            .put_bytes(&uri, Bytes::from(archive), &PutOptions::default())
            .await?;
    }
    Ok(uri)
}

/// The most that is packed in memory; trees on a laptop are far below.
const MAX_ONNX_BYTES: u64 = 1 << 30;

/// A tar.gz with one file, the same bytes for the same content.
fn pack(path: &Path) -> Result<Vec<u8>, RunError> {
    let failed = |e| RunError::io("pack", path, e);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_ONNX_BYTES {
        return Err(RunError::new(
            ExitCode::Pipeline,
            format!(
                "{}: {size} bytes are more than the embedded service takes ({MAX_ONNX_BYTES})",
                path.display()
            ),
        ));
    }
    let content = std::fs::read(path).map_err(failed)?;
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive
        .append_data(&mut header, "model.onnx", content.as_slice())
        .map_err(failed)?;
    let tar = archive.into_inner().map_err(failed)?;
    let mut gzip = flate2::GzBuilder::new()
        .mtime(0)
        .write(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).map_err(failed)?;
    gzip.finish().map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_archive_depends_on_the_content_only() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.onnx"), dir.path().join("b.onnx"));
        std::fs::write(&a, b"trees").unwrap();
        std::fs::write(&b, b"trees").unwrap();
        assert_eq!(pack(&a).unwrap(), pack(&b).unwrap());
        std::fs::write(&b, b"other").unwrap();
        assert_ne!(pack(&a).unwrap(), pack(&b).unwrap());
    }
}
