#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;

use proptest::prelude::*;

use super::archive::unpack_reader;
use super::csv_rows::{RowsError, parse, to_csv, to_json_lines};
use super::{Image, container_main};

fn bits(values: &[f32]) -> Vec<Option<f32>> {
    values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect()
}

#[test]
fn rows_are_read_with_missing_cells_and_quotes() {
    let rows = parse(b"1,,2.5\r\n\"3\", 4 ,nan\n", 3).unwrap();
    assert_eq!(
        bits(&rows),
        [Some(1.0), None, Some(2.5), Some(3.0), Some(4.0), None]
    );
    // Of a single column, a blank line is a missing cell.
    assert_eq!(
        bits(&parse(b"1\n\n2", 1).unwrap()),
        [Some(1.0), None, Some(2.0)]
    );
}

#[test]
fn a_bad_row_is_named_by_line_and_column() {
    let cells = |line, found| RowsError::Cells {
        line,
        expected: 2,
        found,
    };
    assert_eq!(parse(b"1,2\n3\n", 2), Err(cells(2, 1)));
    assert_eq!(parse(b"1,2\n3,4,x\n", 2), Err(cells(2, 3)));
    assert_eq!(parse(b"1,2\n\n", 2), Err(cells(2, 1)));
    assert_eq!(
        parse(b"1,x\n", 2),
        Err(RowsError::Number {
            line: 1,
            column: 2,
            found: "x".into()
        })
    );
    assert_eq!(
        parse(b"1,2\n\xff,2\n", 2),
        Err(RowsError::Encoding { line: 2 })
    );
}

#[test]
fn json_lines_hold_a_score_or_a_list() {
    assert_eq!(
        to_json_lines(&[0.5, f32::NAN], 1),
        "{\"score\": 0.5}\n{\"score\": null}\n"
    );
    assert_eq!(
        to_json_lines(&[0.5, 1e-20], 2),
        "{\"score\": [0.5, 1e-20]}\n"
    );
}

proptest! {
    #[test]
    fn written_numbers_read_back_to_the_bit(values in prop::collection::vec(any::<f32>(), 1..40), columns in 1usize..4) {
        let values = &values[..values.len() / columns * columns];
        let read = parse(to_csv(values, columns).as_bytes(), columns);
        if values.is_empty() {
            prop_assert_eq!(columns > 1, read.is_err());
        } else {
            prop_assert_eq!(bits(&read.unwrap()), bits(values));
        }
    }

    #[test]
    fn any_body_is_rows_or_an_error(body: Vec<u8>, width in 1usize..5) {
        if let Ok(cells) = parse(&body, width) {
            prop_assert_eq!(cells.len() % width, 0);
        }
    }
}

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
