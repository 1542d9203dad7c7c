//! The pipelines of the repository.

use std::path::{Path, PathBuf};

use gristmill_plan::spec::{LocalModel, Location};
use gristmill_plan::{Context, parse, resolve, validate};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines")
}

#[test]
fn each_is_valid_and_resolves_without_parameters() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let problems = validate(&text, "p.yaml", &folder(), &|_| Err("unread".into()));
        assert!(problems.is_empty(), "{}: {problems:?}", path.display());
        let doc = parse(&text, "p.yaml").unwrap();
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let spec = resolve(&doc, &Context::new(now, folder())).unwrap();
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), spec.name);
        seen += 1;
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn the_files_that_nightly_scoring_names_are_there() {
    let text = std::fs::read_to_string(folder().join("nightly-scoring.yaml")).unwrap();
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let spec = resolve(
        &parse(&text, "p.yaml").unwrap(),
        &Context::new(now, folder()),
    )
    .unwrap();
    let [Location::Local(input)] = spec.source.uri.as_slice() else {
        panic!("{:?}", spec.source.uri)
    };
    let header = std::fs::read_to_string(input)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    let columns: Vec<&str> = header.split(',').collect();
    for name in spec
        .prepare
        .id
        .iter()
        .chain(spec.prepare.select.iter().flatten())
    {
        assert!(columns.contains(&name.as_str()), "{name}");
    }
    let LocalModel::Onnx(model) = spec.local.unwrap().model else {
        panic!()
    };
    assert!(model.is_file(), "{}", model.display());
}
