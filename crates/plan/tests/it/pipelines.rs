//! The pipelines of the repository.

use std::path::{Path, PathBuf};

use gristmill_plan::spec::{
    LabelRule, LocalModel, Location, OnMissing, ParquetCompression, ShardFormat, SplitType,
};
use gristmill_plan::{Context, Inventory, Sample, Spec, draft, parse, resolve, validate};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines")
}

fn pipeline(name: &str) -> Spec {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    let problems = validate(&text, "p.yaml", &folder(), &|_| Err("unread".into()));
    assert!(problems.is_empty(), "{name}: {problems:?}");
    let doc = parse(&text, "p.yaml").unwrap();
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    resolve(&doc, &Context::new(now, folder())).unwrap()
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    names
}

#[test]
fn each_is_valid_and_resolves_without_parameters() {
    let found = names();
    for name in [
        "convert",
        "nightly-scoring",
        "nightly-scoring-parquet",
        "training-set",
    ] {
        assert!(found.contains(&format!("{name}.yaml")), "{name}");
    }
    for name in found {
        assert_eq!(name, format!("{}.yaml", pipeline(&name).name));
    }
}

#[test]
fn the_files_and_columns_that_they_name_are_there() {
    for name in names() {
        let spec = pipeline(&name);
        let [Location::Local(input)] = spec.source.uri.as_slice() else {
            panic!("{:?}", spec.source.uri)
        };
        let input = input
            .to_str()
            .unwrap()
            .replace("flights-*", "flights-2013-01");
        let text = std::fs::read_to_string(input).unwrap();
        let header = text.lines().next().unwrap();
        let sample = Sample {
            columns: header.split(',').map(str::to_owned).collect(),
            ..Sample::default()
        };
        draft(&spec, &Inventory::default(), &sample).unwrap();
        match spec.local.map(|local| local.model) {
            Some(LocalModel::Onnx(model)) => assert!(model.is_file(), "{}", model.display()),
            other => assert!(other.is_none() && spec.transform.is_none(), "{other:?}"),
        }
    }
}

#[test]
fn scoring_by_parquet_is_scoring_by_csv_in_other_shards() {
    let csv = pipeline("nightly-scoring.yaml");
    let parquet = pipeline("nightly-scoring-parquet.yaml");
    assert_eq!(csv.source, parquet.source);
    assert_eq!(csv.prepare, parquet.prepare);
    assert_eq!(csv.local, parquet.local);
    assert_eq!(csv.shards.max_rows, parquet.shards.max_rows);
    assert_eq!(
        csv.assemble.map(|assemble| assemble.columns),
        parquet.assemble.map(|assemble| assemble.columns)
    );
    assert_eq!(
        (parquet.shards.format, parquet.shards.compression),
        (ShardFormat::Parquet, ParquetCompression::Snappy)
    );
    let transform = parquet.transform.unwrap();
    assert_eq!(transform.split_type, SplitType::None);
    assert_eq!(
        (
            transform.max_payload_in_mb,
            transform.max_concurrent_transforms
        ),
        (50, 2)
    );
}

#[test]
fn the_training_set_is_what_a_trainer_reads() {
    let spec = pipeline("training-set.yaml");
    let label = spec.prepare.label.unwrap();
    assert_eq!(label.column, "arr_delay");
    assert_eq!(
        (label.rule, label.on_missing),
        (LabelRule::Above(15.0), OnMissing::Drop)
    );
    let split = spec.prepare.split.unwrap();
    let parts: Vec<&str> = split.parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(parts, ["train", "validation", "test"]);
    assert_eq!((split.key.len(), split.seed), (2, 42));
    assert!(!spec.shards.header && spec.shards.to.unwrap().is_folder());
}
