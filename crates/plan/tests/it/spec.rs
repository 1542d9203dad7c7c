//! What a file becomes: defaults, units, paths.

use gristmill_plan::spec::{
    AssembleWith, BatchStrategy, ColumnFrom, ColumnType, Columns, CompressionType, LocalModel,
    Location, Model, OnBadRow, ParquetCompression, ShardFormat, SplitType,
};

use crate::support::{edited, spec, try_spec};

#[test]
fn defaults_are_filled_in() {
    let spec = spec(&[]);
    let transform = spec.transform.unwrap();
    assert_eq!(transform.content_type, "text/csv");
    assert_eq!(transform.accept, "text/csv");
    assert_eq!(transform.split_type, SplitType::Line);
    assert_eq!(transform.batch_strategy, Some(BatchStrategy::MultiRecord));
    assert_eq!(transform.assemble_with, AssembleWith::Line);
    assert_eq!(transform.compression_type, CompressionType::None);
    assert_eq!(
        (
            transform.max_payload_in_mb,
            transform.max_concurrent_transforms
        ),
        (6, 1)
    );
    assert_eq!(
        (
            transform.invocations_timeout_in_seconds,
            transform.invocations_max_retries
        ),
        (600, 3)
    );
    assert_eq!(spec.shards.max_bytes, Some(64_000_000));
    assert!(!spec.shards.header);
    assert_eq!(spec.source.on_bad_row, OnBadRow::Fail);
    assert_eq!(spec.source.columns, Columns::Infer);
    assert_eq!(spec.source.max_record, 16 << 20);
    let columns = spec.assemble.unwrap().columns;
    assert_eq!(
        columns[0].from,
        ColumnFrom::Source {
            column: "flight".into()
        }
    );
    assert_eq!(columns[1].name, "prediction");
    assert_eq!(
        columns[1].from,
        ColumnFrom::Prediction {
            index: 0,
            column_type: ColumnType::Float64
        }
    );
    assert_eq!(columns.len(), 2);
}

#[test]
fn defaults_follow_other_keys() {
    let gz = spec(&[("format: csv", "format: csv.gz")]);
    assert_eq!(
        gz.transform.unwrap().compression_type,
        CompressionType::Gzip
    );
    let whole = spec(&[(
        "model: late-v1",
        "model: late-v1\n  split_type: none\n  max_payload_in_mb: 50",
    )]);
    let transform = whole.transform.unwrap();
    assert_eq!(whole.shards.max_bytes, Some(49_500_000));
    assert_eq!(
        (transform.batch_strategy, transform.assemble_with),
        (None, AssembleWith::None)
    );
    let text = "version: 1\nname: c\nsource: { uri: '-' }\nshards: { to: out/, format: csv, max_bytes: 1.5GB }\n";
    let convert = try_spec(text, &[]).unwrap();
    assert!(convert.shards.header);
    assert_eq!(
        (convert.shards.format, convert.shards.max_bytes),
        (ShardFormat::Csv, Some(1_500_000_000))
    );
    assert_eq!(convert.source.uri, [Location::Stdin]);
    assert!(convert.transform.is_none() && convert.assemble.is_none() && convert.work.is_none());
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let spec = spec(&[
        (
            "uri: data/*.csv",
            "uri: [../raw/./a*.csv, /abs/b.csv, 's3://abc/x/*.gz']",
        ),
        ("s3://scores/dt={{ params.run_date }}/", "../../../../out/x"),
        ("s3://work-bucket/runs/", "s3://work-bucket/runs"),
    ]);
    let uris: Vec<String> = spec.source.uri.iter().map(ToString::to_string).collect();
    assert_eq!(uris, ["/pipes/raw/a*.csv", "/abs/b.csv", "s3://abc/x/*.gz"]);
    assert_eq!(spec.assemble.unwrap().to.to_string(), "/out/x/");
    assert_eq!(spec.work.unwrap().uri, "s3://work-bucket/runs/");
    assert_eq!(
        spec.local.unwrap().model,
        LocalModel::Onnx("/pipes/nightly/late.onnx".into())
    );
    let text = "version: 1\nname: c\nsource: { uri: a.csv }\nshards: { to: out/x/ }\n";
    let to = |text: &str| try_spec(text, &[]).unwrap().shards.to.unwrap();
    assert_eq!(to(text).to_string(), "/pipes/nightly/out/x/");
    assert!(to(text).is_folder());
    assert!(!to(&text.replace("x/", "x.csv")).is_folder());
}

#[test]
fn parquet_is_one_large_request_a_shard() {
    let parquet = spec(&[("format: csv", "format: parquet")]);
    let transform = parquet.transform.unwrap();
    assert_eq!(transform.content_type, "application/x-parquet");
    assert_eq!(transform.accept, "text/csv");
    assert_eq!(
        (transform.split_type, transform.assemble_with),
        (SplitType::None, AssembleWith::None)
    );
    assert_eq!(transform.batch_strategy, None);
    assert_eq!(transform.compression_type, CompressionType::None);
    assert_eq!(
        (
            transform.max_payload_in_mb,
            transform.max_concurrent_transforms
        ),
        (50, 1)
    );
    assert_eq!(parquet.shards.max_bytes, Some(49_500_000));
    assert_eq!(parquet.shards.row_group_rows, 16_384);
}

#[test]
fn a_shard_follows_the_payload() {
    let sized = |line: &str| {
        let parquet = spec(&[
            ("format: csv", "format: parquet"),
            ("model: late-v1", &format!("model: late-v1\n  {line}")),
        ]);
        let shards = parquet.shards;
        (shards.max_bytes, shards.row_group_rows)
    };
    assert_eq!(sized("max_payload_in_mb: 6"), (Some(5_940_000), 16_384));
    assert_eq!(sized("max_payload_in_mb: 100"), (Some(99_000_000), 16_384));
    // No limit is no reason for one shard of everything.
    assert_eq!(sized("max_payload_in_mb: 0"), (Some(64_000_000), 16_384));
    let text =
        "version: 1\nname: c\nsource: { uri: a.csv }\nshards: { to: b.parquet, format: parquet }\n";
    let alone = try_spec(text, &[]).unwrap().shards;
    assert_eq!((alone.max_bytes, alone.row_group_rows), (None, 131_072));
    let written = spec(&[("format: csv", "format: parquet\n  row_group_rows: 99")]);
    assert_eq!(written.shards.row_group_rows, 99);
}

#[test]
fn json_lines_are_split_like_csv() {
    for (format, compression) in [
        ("jsonl", CompressionType::None),
        ("jsonl.gz", CompressionType::Gzip),
    ] {
        let jsonl = spec(&[("format: csv", &format!("format: {format}"))]);
        let transform = jsonl.transform.unwrap();
        assert_eq!(transform.content_type, "application/jsonlines");
        assert_eq!(transform.accept, "text/csv");
        assert_eq!(transform.split_type, SplitType::Line);
        assert_eq!(transform.assemble_with, AssembleWith::Line);
        assert_eq!(transform.batch_strategy, Some(BatchStrategy::MultiRecord));
        assert_eq!(transform.compression_type, compression);
        assert_eq!(transform.max_payload_in_mb, 6);
        assert_eq!(jsonl.shards.max_bytes, Some(64_000_000));
    }
}

#[test]
fn parquet_has_four_codecs() {
    let codec = |word: &str| {
        let format = format!("format: parquet\n  compression: {word}");
        spec(&[("format: csv", &format)]).shards.compression
    };
    assert_eq!(codec("snappy"), ParquetCompression::Snappy);
    assert_eq!(codec("zstd"), ParquetCompression::Zstd);
    assert_eq!(codec("gzip"), ParquetCompression::Gzip);
    assert_eq!(codec("none"), ParquetCompression::None);
}

#[test]
fn everything_that_can_be_written_arrives() {
    let text = edited(&[
        (
            "uri: data/*.csv",
            "uri: data/*.csv
  columns: [{ name: month, type: int64, nullable: false, min: 1, max: 12 }, { name: day, type: string, allowed: [a], sensitive: true }]
  on_bad_row: { action: quarantine, max_ratio: 0.5, max_rows: 7 }
  on_empty: skip
  delimiter: \"\\t\"
  header: false
  null_tokens: [none, '-']
  max_record: 1MiB",
        ),
        (
            "instance_type: ml.m5.xlarge",
            "instance_type: ml.m5.xlarge\n  job_timeout: 3h30m\n  on_interrupt: stop\n  tags: { team: a }\n  environment: { A: b }",
        ),
        (
            "model: late-v1",
            "model: { image: i, execution_role_arn: 'arn:aws:iam::123456789012:role/r', environment: { X: y } }",
        ),
        (
            "{{ params.run_date }}/",
            "{{ params.run_date }}/\n  mode: overwrite\n  format: csv\n  max_rows: 10\n  columns: [{ name: s, from: 'prediction[2]', type: int64 }, { name: m, value: 1.5 }, { name: d, value: '{{ params.run_date }}', type: date }, { name: f, from: flight }]",
        ),
        ("onnx: late.onnx", "url: http://127.0.0.1:9000"),
    ]);
    let mut spec = try_spec(&text, &[]).unwrap();
    spec.places = Default::default();
    insta::assert_snapshot!(format!("{spec:#?}"), @r#"
    Spec {
        version: 1,
        name: "late-flights",
        params: {
            "run_date": String("2013-01-31"),
        },
        work: Some(
            Work {
                uri: "s3://work-bucket/runs/",
                keep_shards: UntilPublished,
            },
        ),
        source: Source {
            uri: [
                Local(
                    "/pipes/nightly/data/*.csv",
                ),
            ],
            columns: Contract(
                [
                    ContractColumn {
                        name: "month",
                        column_type: Int64,
                        nullable: false,
                        null_tokens: [],
                        min: Some(
                            1.0,
                        ),
                        max: Some(
                            12.0,
                        ),
                        allowed: [],
                        sensitive: false,
                    },
                    ContractColumn {
                        name: "day",
                        column_type: String,
                        nullable: true,
                        null_tokens: [],
                        min: None,
                        max: None,
                        allowed: [
                            "a",
                        ],
                        sensitive: true,
                    },
                ],
            ),
            on_bad_row: Quarantine {
                max_ratio: Some(
                    0.5,
                ),
                max_rows: Some(
                    7,
                ),
            },
            on_empty: Skip,
            dialect: DialectHints {
                delimiter: Some(
                    9,
                ),
                quote: None,
                escape: None,
                comment: None,
                header: Some(
                    false,
                ),
                skip_lines: None,
            },
            null_tokens: [
                "none",
                "-",
            ],
            max_record: 1048576,
            format: None,
            encoding: None,
            on_new_column: Ignore,
            ready: None,
        },
        prepare: Prepare {
            id: [
                "flight",
            ],
            select: Some(
                [
                    "month",
                    "day",
                    "distance",
                ],
            ),
            drop: [],
            rename: {},
            label: None,
            split: None,
        },
        shards: Shards {
            format: Csv,
            to: None,
            max_bytes: Some(
                64000000,
            ),
            max_rows: None,
            null: "",
            header: false,
            row_group_rows: 131072,
            compression: Snappy,
        },
        transform: Some(
            Transform {
                model: Defined(
                    ModelDefinition {
                        image: "i",
                        model_data: None,
                        execution_role_arn: "arn:aws:iam::123456789012:role/r",
                        environment: {
                            "X": "y",
                        },
                        enable_network_isolation: false,
                        vpc_config: None,
                    },
                ),
                instance_type: "ml.m5.xlarge",
                instance_count: 1,
                content_type: "text/csv",
                accept: "text/csv",
                compression_type: None,
                split_type: Line,
                batch_strategy: Some(
                    MultiRecord,
                ),
                assemble_with: Line,
                max_payload_in_mb: 6,
                max_concurrent_transforms: 1,
                invocations_timeout_in_seconds: 600,
                invocations_max_retries: 3,
                environment: {
                    "A": "b",
                },
                join: Local,
                answer_columns: None,
                data_processing: None,
                data_capture_config: None,
                experiment_config: None,
                kms_key_id: None,
                volume_kms_key_id: None,
                transform_ami_version: None,
                tags: {
                    "team": "a",
                },
                job_timeout: Some(
                    12600,
                ),
                capacity_wait: None,
                on_interrupt: Stop,
                max_attempts: 3,
                on_refused_row: Fail,
                probe: Auto,
                jobs: Number(
                    1,
                ),
            },
        ),
        assemble: Some(
            Assemble {
                to: S3(
                    "s3://scores/dt=2013-01-31/",
                ),
                mode: Overwrite,
                format: Csv,
                answers: Auto,
                columns: [
                    AssembleColumn {
                        name: "s",
                        from: Prediction {
                            index: 2,
                            column_type: Int64,
                        },
                    },
                    AssembleColumn {
                        name: "m",
                        from: Constant {
                            value: "1.5",
                            column_type: Float64,
                        },
                    },
                    AssembleColumn {
                        name: "d",
                        from: Constant {
                            value: "2013-01-31",
                            column_type: Date,
                        },
                    },
                    AssembleColumn {
                        name: "f",
                        from: Source {
                            column: "flight",
                        },
                    },
                ],
                max_rows: 10,
            },
        ),
        budget: None,
        local: Some(
            Local {
                model: Url(
                    "http://127.0.0.1:9000",
                ),
            },
        ),
        base: "/pipes/nightly",
        warnings: [],
        places: Places {
            file: "",
            by_path: {},
            quotes: {},
        },
    }
    "#);
    let Model::Defined(model) = spec.transform.unwrap().model else {
        panic!()
    };
    assert_eq!(model.environment["X"], "y");
}
