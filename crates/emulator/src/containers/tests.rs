#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;

use super::archive::unpack_reader;
use super::{Image, container_main};

fn tar_gz(entries: &[(&str, tar::EntryType)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, kind) in entries {
        let mut header = tar::Header::new_ustar();
        // Past the checks of the library, which does not write such names.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(if kind.is_file() { 2 } else { 0 });
        header.set_cksum();
        tar.append(&header, if kind.is_file() { &b"hi"[..] } else { &b""[..] })
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn an_archive_is_unpacked_below_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let archive = tar_gz(&[
        ("./sub/", tar::EntryType::Directory),
        ("./sub/deep/run", tar::EntryType::Regular),
    ]);
    unpack_reader(archive.as_slice(), folder.path()).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("sub/deep/run")).unwrap(),
        b"hi"
    );
}

#[test]
fn an_archive_cannot_leave_its_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    let refused = |entries: &[(&str, tar::EntryType)]| {
        unpack_reader(tar_gz(entries).as_slice(), &folder)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refused(&[("../evil", tar::EntryType::Regular)]), @"model data: entry ../evil points outside the model folder");
    insta::assert_snapshot!(refused(&[("a/../../evil", tar::EntryType::Regular)]), @"model data: entry a/../../evil points outside the model folder");
    insta::assert_snapshot!(refused(&[("/evil/x", tar::EntryType::Regular)]), @"model data: entry /evil/x points outside the model folder");
    insta::assert_snapshot!(refused(&[("link", tar::EntryType::Symlink)]), @"model data: entry link is a Symlink; only files and folders are unpacked");
    assert!(!outer.path().join("evil").exists() && !Path::new("/evil/x").exists());
    let broken = unpack_reader(&b"no gzip"[..], &folder)
        .unwrap_err()
        .to_string();
    assert!(
        broken.starts_with("model data: not a readable tar.gz"),
        "{broken}"
    );
}

#[test]
fn images_are_known_by_name() {
    assert_eq!(
        Image::from_name("gristmill.local/onnx:latest").unwrap(),
        Image::Onnx
    );
    assert_eq!(
        Image::from_name("gristmill.local/url@sha256:0").unwrap(),
        Image::Url
    );
    assert!(Image::from_name("gristmill.local/onnx2").is_err());
}

#[test]
fn other_words_are_a_usage_error() {
    let error = container_main(&["serve".to_owned()])
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!(error, @"container arguments: expected `onnx` or `command -- COMMAND`, found `serve`");
}
