//! The service's rules and our own, each by a file that breaks it.

use crate::support::{edited, problems, problems_of, try_spec};

/// `FINE` with lines added to `transform`.
fn transform(lines: &str) -> String {
    problems_of(&[(
        "instance_type: ml.m5.xlarge",
        &format!("instance_type: ml.m5.xlarge\n  {lines}"),
    )])
}

/// Every shard format.
pub(crate) const FORMATS: [&str; 11] = [
    "csv",
    "csv.gz",
    "csv.sz",
    "csv.snappy",
    "csv.zst",
    "jsonl",
    "jsonl.gz",
    "jsonl.sz",
    "jsonl.snappy",
    "jsonl.zst",
    "parquet",
];

/// The same, with a shard format too.
fn shards(format: &str, lines: &str) -> String {
    let lines = format!("instance_type: ml.m5.xlarge\n  {lines}");
    problems_of(&[
        ("format: csv", &format!("format: {format}")),
        ("instance_type: ml.m5.xlarge", &lines),
    ])
}

#[test]
fn the_payload_product() {
    assert_eq!(
        transform("max_payload_in_mb: 25\n  max_concurrent_transforms: 4"),
        ""
    );
    insta::assert_snapshot!(transform("max_payload_in_mb: 25\n  max_concurrent_transforms: 5"), @r"
    [payload-product] p.yaml:18:30: `max_concurrent_transforms` × `max_payload_in_mb` is 5 × 25 = 125; the service takes at most 100
      help: with 25 MB at most 4 at once
    ");
    insta::assert_snapshot!(transform("max_payload_in_mb: 101"), @"[bad-value] p.yaml:17:22: `transform.max_payload_in_mb`: expected an integer from 0 to 100, found 101");
    assert_eq!(
        transform("max_payload_in_mb: 0\n  max_concurrent_transforms: 100"),
        ""
    );
}

#[test]
fn quotas_of_one_key() {
    insta::assert_snapshot!(transform("invocations_timeout_in_seconds: 3601\n  invocations_max_retries: 4\n  instance_count: 0\n  max_concurrent_transforms: -1"), @r"
    [bad-value] p.yaml:17:35: `transform.invocations_timeout_in_seconds`: expected an integer from 1 to 3600, found 3601
    [bad-value] p.yaml:18:28: `transform.invocations_max_retries`: expected an integer from 0 to 3, found 4
    [bad-value] p.yaml:19:19: `transform.instance_count`: expected an integer from 1 to 100, found 0
    [bad-value] p.yaml:20:30: `transform.max_concurrent_transforms`: expected an integer from 0 to 2147483647, found -1
    ");
    insta::assert_snapshot!(transform("content_type: csv\n  job_timeout: 0s"), @r"
    [bad-value] p.yaml:17:17: `transform.content_type`: `csv` is not a media type such as `text/csv`
    [bad-value] p.yaml:18:16: `transform.job_timeout`: expected a duration of at least one second such as 2h, found 0
    ");
    assert!(
        transform(&format!("content_type: text/{}", "x".repeat(252)))
            .contains("has 257 characters")
    );
    assert!(!transform(&format!("content_type: text/{}", "x".repeat(251))).contains("characters"));
    let name = |n: usize| problems_of(&[("model: late-v1", &format!("model: {}", "m".repeat(n)))]);
    assert_eq!(name(63), "");
    insta::assert_snapshot!(name(64), @"[bad-value] p.yaml:15:10: `transform.model`: `mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm` has 64 characters; the service takes at most 63");
    insta::assert_snapshot!(problems_of(&[("name: late-flights", "name: late-")]), @"[bad-value] p.yaml:2:7: `name`: `late-` must begin and end with a letter or digit");
}

#[test]
fn environment_and_tags() {
    let entries = |n: usize| {
        (0..n)
            .map(|i| format!("K{i}: v"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(
        transform(&format!("environment: {{ {} }}", entries(16))),
        ""
    );
    insta::assert_snapshot!(transform(&format!("environment: {{ {} }}", entries(17))), @r"
    [bad-value] p.yaml:17:16: `transform.environment` has 17 entries; the service takes at most 16
      help: put settings together, or into a file of the model's data
    ");
    assert_eq!(transform(&format!("tags: {{ {} }}", entries(48))), "");
    insta::assert_snapshot!(transform(&format!("tags: {{ {} }}", entries(49))), @r"
    [bad-value] p.yaml:17:9: `transform.tags` has 49 tags; the service takes 50, of which two are the tool's own
      help: keep 48 of them
    ");
    insta::assert_snapshot!(transform("environment: { 1A: x, A-B: x, OMP_NUM_THREADS: 4 }"), @r#"
    [bad-value] p.yaml:17:22: `transform.environment`: `1A` is not a name that the service takes: letters, digits and `_`, at most 1024
    [bad-value] p.yaml:17:30: `transform.environment`: `A-B` is not a name that the service takes: letters, digits and `_`, at most 1024
    [wrong-type] p.yaml:17:50: `transform.environment.OMP_NUM_THREADS`: expected a text, found the number 4
      help: put it in quotes: "4"
    "#);
    insta::assert_snapshot!(transform("tags: { 'aws:x': y, 'gristmill:run': z, 'a*': b, team: 'ümlaut ok @x' }"), @r"
    [bad-value] p.yaml:17:20: `transform.tags`: the tag `aws:x` begins with `aws:`, which is reserved by AWS
    [bad-value] p.yaml:17:40: `transform.tags`: the tag `gristmill:run` begins with `gristmill:`, which is kept for the tool's own
    [bad-value] p.yaml:17:49: `transform.tags`: the tag `a*` holds `*`; letters, digits, blanks and `_ . : / = + - @` are allowed
    ");
    let long = format!(
        "environment: {{ A: {}, B: {} }}",
        "x".repeat(10_240),
        "x".repeat(10_241)
    );
    insta::assert_snapshot!(transform(&long), @r"
    [bad-value] p.yaml:17:10266: `transform.environment`: `B` has 10241 characters; the service takes at most 10240
      help: put a large value into a file of the model's data
    ");
}

#[test]
fn snappy_csv_cannot_be_split() {
    insta::assert_snapshot!(shards("csv.sz", "split_type: line"), @r"
    [snappy-with-line-split] p.yaml:13:11: `shards.format: csv.sz` cannot be split: with `split_type: line` the service cuts at newlines, and it decompresses only gzip, never Snappy
      help: use `format: csv` or `csv.gz`; Snappy CSV is for storage
    ");
    insta::assert_snapshot!(shards("csv.snappy", "split_type: line"), @r"
    [snappy-with-line-split] p.yaml:13:11: `shards.format: csv.snappy` cannot be split: with `split_type: line` the service cuts at newlines, and it decompresses only gzip, never Snappy
      help: use `format: csv` or `csv.gz`; Snappy CSV is for storage
    ");
    insta::assert_snapshot!(shards("csv.sz", "split_type: none"), @r"
    [shard-format] p.yaml:13:11: `shards.format: csv.sz` is not sent to models
      help: use `format: csv` or `csv.gz`; Snappy CSV is for storage
    ");
    insta::assert_snapshot!(shards("csv.zst", "split_type: line"), @r"
    [shard-format] p.yaml:13:11: `shards.format: csv.zst` cannot be split: with `split_type: line` the service cuts at newlines, and it decompresses only gzip, never Zstandard
      help: use `format: csv` or `csv.gz`; Zstandard CSV is for storage
    ");
    insta::assert_snapshot!(shards("jsonl.snappy", "split_type: none"), @r"
    [shard-format] p.yaml:13:11: `shards.format: jsonl.snappy` is not sent to models
      help: use `format: jsonl` or `jsonl.gz`; Snappy JSON Lines are for storage
    ");
}

#[test]
fn without_a_model_every_format_is_written() {
    for format in FORMATS {
        let text = format!(
            "version: 1\nname: c\nsource: {{ uri: a.csv }}\nshards: {{ to: b, format: {format} }}\n"
        );
        assert_eq!(problems(&text), "", "{format}");
        let spec = try_spec(&text, &[]).unwrap();
        assert_eq!(spec.shards.format.as_str(), format);
    }
}

#[test]
fn the_size_of_parquet_is_limited_only_where_it_is_sent() {
    let file = |shards: &str| {
        let head = "version: 1\nname: c\nsource: { uri: a.csv }\n";
        problems(&format!("{head}shards: {{ to: b/, {shards} }}\n"))
    };
    insta::assert_snapshot!(file("format: parquet, max_bytes: 45MB"), @r"
    [conflict] p.yaml:4:47: without `transform`, `shards.max_bytes` does not limit the size of Parquet files
      help: use `max_rows`
    ");
    assert_eq!(file("format: parquet, max_rows: 45"), "");
    assert_eq!(file("format: jsonl, max_bytes: 45MB"), "");
}

#[test]
fn a_key_without_effect_on_the_format_is_a_mistake() {
    let all = "version: 1\nname: c\nsource: { uri: a.csv }\nshards:\n  to: b\n  format: FORMAT\n  null: ''\n  header: true\n  compression: zstd\n  row_group_rows: 5\n";
    insta::assert_snapshot!(problems(&all.replace("FORMAT", "parquet")), @r"
    [conflict] p.yaml:7:9: `shards.null` is for CSV; it has no effect on `parquet`
      help: leave it out
    [conflict] p.yaml:8:11: `shards.header` is for CSV; it has no effect on `parquet`
      help: leave it out
    ");
    insta::assert_snapshot!(problems(&all.replace("FORMAT", "csv.gz")), @r"
    [conflict] p.yaml:9:16: `shards.compression` is for Parquet; it has no effect on `csv.gz`
      help: leave it out
    [conflict] p.yaml:10:19: `shards.row_group_rows` is for Parquet; it has no effect on `csv.gz`
      help: leave it out
    ");
    let jsonl = problems(&all.replace("FORMAT", "jsonl"));
    assert_eq!(
        jsonl.matches("has no effect on `jsonl`").count(),
        4,
        "{jsonl}"
    );
}

#[test]
fn parquet_is_one_request() {
    assert_eq!(shards("parquet", "max_concurrent_transforms: 3"), "");
    insta::assert_snapshot!(shards("parquet\n  max_bytes: 45MB", "max_concurrent_transforms: 3"), @r"
    [payload-product] p.yaml:18:30: `max_concurrent_transforms` × `max_payload_in_mb` is 3 × 46 = 138; the service takes at most 100
      help: with 46 MB at most 2 at once
    ");
    insta::assert_snapshot!(shards("parquet", "batch_strategy: multi_record"), @r"
    [batch-without-split] p.yaml:17:19: `batch_strategy` needs a `split_type` of line, recordio or tfrecord
      help: a Parquet file is one request: remove `batch_strategy`
    ");
    insta::assert_snapshot!(shards("parquet\n  max_bytes: 50MB", "accept: text/csv"), @r"
    [shard-above-payload] p.yaml:14:14: `shards.max_bytes` is 50MB, but a Parquet file is one request, and one request holds at most 49500KB (`max_payload_in_mb: 50`, less 1 %)
      help: `max_bytes: 49500KB` or less, or a larger payload
    ");
    insta::assert_snapshot!(shards("parquet", "split_type: line\n  assemble_with: line"), @r"
    [parquet-with-split] p.yaml:17:15: `split_type: line` cannot be used with Parquet shards
      help: a Parquet file is one request: use `split_type: none`
    [parquet-with-split] p.yaml:18:18: `assemble_with: line` cannot be used with Parquet shards
      help: a Parquet file is one request: use `assemble_with: none`
    ");
    insta::assert_snapshot!(shards("parquet", "content_type: text/csv"), @r"
    [conflict] p.yaml:17:17: `content_type: text/csv` does not fit `shards.format: parquet`
      help: use `application/x-parquet`
    ");
    insta::assert_snapshot!(transform("content_type: application/x-parquet"), @r"
    [conflict] p.yaml:17:17: `content_type: application/x-parquet` does not fit `shards.format: csv`
      help: use `text/csv`
    ");
}

#[test]
fn gzip_is_told_to_the_service() {
    assert_eq!(shards("csv.gz", "compression_type: gzip"), "");
    insta::assert_snapshot!(shards("csv.gz", "compression_type: none"), @r"
    [conflict] p.yaml:17:21: `compression_type` must be `gzip` for this `shards.format`
      help: leave it out: it follows from `shards.format`
    ");
    insta::assert_snapshot!(shards("csv", "compression_type: Gzip"), @r"
    [conflict] p.yaml:17:21: `compression_type` must be `none` for this `shards.format`
      help: leave it out: it follows from `shards.format`
    ");
}

#[test]
fn a_batch_needs_a_split() {
    insta::assert_snapshot!(transform("split_type: none\n  batch_strategy: single_record"), @r"
    [batch-without-split] p.yaml:18:19: `batch_strategy` needs a `split_type` of line, recordio or tfrecord
      help: with `split_type: none` a shard is one request: remove `batch_strategy`
    ");
    insta::assert_snapshot!(transform("split_type: tfrecord"), @r"
    [conflict] p.yaml:17:15: `split_type: tfrecord` cannot split CSV
      help: use `split_type: line`
    ");
    assert_eq!(transform("split_type: none"), "");
}

#[test]
fn a_shard_that_is_one_request_fits_into_one() {
    let sized = |size: &str, split: &str| {
        problems_of(&[
            ("format: csv", &format!("format: csv\n  max_bytes: {size}")),
            (
                "instance_type: ml.m5.xlarge",
                &format!("instance_type: ml.m5.xlarge\n  split_type: {split}"),
            ),
        ])
    };
    assert_eq!(sized("5940000", "none"), "");
    assert_eq!(sized("1GB", "line"), "");
    insta::assert_snapshot!(sized("5940001", "none"), @r"
    [shard-above-payload] p.yaml:14:14: `shards.max_bytes` is 5940001, but with `split_type: none` a shard is one request, and one request holds at most 5940KB (`max_payload_in_mb: 6`, less 1 %)
      help: `max_bytes: 5940KB` or less, or a larger payload
    ");
    insta::assert_snapshot!(sized("6MB", "none"), @r"
    [shard-above-payload] p.yaml:14:14: `shards.max_bytes` is 6MB, but with `split_type: none` a shard is one request, and one request holds at most 5940KB (`max_payload_in_mb: 6`, less 1 %)
      help: `max_bytes: 5940KB` or less, or a larger payload
    ");
}

#[test]
fn answers_are_read_as_csv_or_json() {
    assert_eq!(transform("accept: application/jsonlines"), "");
    assert!(transform("accept: text/csvx").contains("predictions are read as CSV"));
    assert_eq!(transform("accept: application/json"), "");
    assert_eq!(transform("accept: text/csv; charset=utf-8"), "");
    insta::assert_snapshot!(transform("accept: application/x-npy"), @r"
    [bad-value] p.yaml:17:11: `accept: application/x-npy`: predictions are read as CSV, JSON Lines or JSON only
      help: use `accept: text/csv`, `application/jsonlines` or `application/json`
    ");
}

#[test]
fn names_within_answers_are_for_json() {
    let with = |accept: &str, columns: &str| {
        problems_of(&[
            (
                "instance_type: ml.m5.xlarge",
                &format!("instance_type: ml.m5.xlarge\n  {accept}"),
            ),
            ("local:", &format!("  columns: [{columns}]\nlocal:")),
        ])
    };
    let named = "{ name: a, from: prediction.score }, { name: b, from: 'prediction[0].x[12]' }, \
                 { name: c, from: \"prediction['a.b']\", type: string }";
    assert_eq!(with("accept: application/json", named), "");
    insta::assert_snapshot!(with("accept: text/csv", named), @r#"
    [conflict] p.yaml:20:30: `a`: `from: prediction.score` needs answers in JSON, and `accept` is `text/csv`
      help: use `accept: application/jsonlines`, or count fields from 0: "prediction[0]"
    [conflict] p.yaml:20:67: `b`: `from: prediction[0].x[12]` needs answers in JSON, and `accept` is `text/csv`
      help: use `accept: application/jsonlines`, or count fields from 0: "prediction[0]"
    [conflict] p.yaml:20:109: `c`: `from: prediction['a.b']` needs answers in JSON, and `accept` is `text/csv`
      help: use `accept: application/jsonlines`, or count fields from 0: "prediction[0]"
    "#);
    for bad in [
        "prediction.",
        "prediction[",
        "prediction[x]",
        "prediction.a.",
        "prediction.a b",
        "prediction[0]x",
        "prediction['']",
        "prediction..a",
        "prediction[-1].a",
        "prediction[99999].a",
    ] {
        let told = with(
            "accept: application/json",
            &format!("{{ name: a, from: \"{bad}\" }}"),
        );
        assert!(told.contains("is not a prediction"), "{bad}: {told}");
    }
}

#[test]
fn what_documents_answer_is_for_json() {
    let with = |accept: &str, answers: &str| {
        problems_of(&[
            (
                "instance_type: ml.m5.xlarge",
                &format!("instance_type: ml.m5.xlarge\n  {accept}"),
            ),
            ("local:", &format!("  answers: {answers}\nlocal:")),
        ])
    };
    for answers in ["auto", "rows", "batches"] {
        assert_eq!(with("accept: application/json", answers), "");
    }
    assert_eq!(with("accept: text/csv", "auto"), "");
    insta::assert_snapshot!(with("accept: text/csv", "batches"), @r"
    [conflict] p.yaml:20:12: `answers: batches` says what a document of JSON answers, and `accept` is `text/csv`: each line answers a row
      help: remove it, or use `accept: application/json`
    ");
    assert!(with("accept: text/csv", "lists").contains("lists"));
}

#[test]
fn json_lines_are_sent_as_what_they_are() {
    for format in ["jsonl", "jsonl.gz"] {
        assert_eq!(shards(format, "split_type: line"), "", "{format}");
    }
    insta::assert_snapshot!(shards("jsonl", "content_type: text/csv\n  split_type: recordio"), @r"
    [conflict] p.yaml:17:17: `content_type: text/csv` does not fit `shards.format: jsonl`
      help: use `application/jsonlines`
    [conflict] p.yaml:18:15: `split_type: recordio` cannot split JSON Lines
      help: use `split_type: line`
    ");
    insta::assert_snapshot!(shards("csv", "content_type: application/jsonlines"), @r"
    [conflict] p.yaml:17:17: `content_type: application/jsonlines` does not fit `shards.format: csv`
      help: use `text/csv`
    ");
    insta::assert_snapshot!(shards("jsonl.gz", "compression_type: none"), @r"
    [conflict] p.yaml:17:21: `compression_type` must be `gzip` for this `shards.format`
      help: leave it out: it follows from `shards.format`
    ");
}

#[test]
fn stages_need_one_another() {
    insta::assert_snapshot!(problems_of(&[("work:\n  uri: s3://work-bucket/runs/\n", ""), ("assemble:\n  to: s3://scores/dt={{ params.run_date }}/\n", "")]), @r"
    [missing-key] p.yaml:12:1: `transform` needs the stage `assemble`
      help: `assemble.to` says where the predictions go
    [missing-key] p.yaml:12:1: `transform` needs the stage `work`
      help: `work.uri` is an S3 prefix for shards and all else that a retry needs
    ");
    insta::assert_snapshot!(problems_of(&[("transform:\n  model: late-v1\n  instance_type: ml.m5.xlarge\n", "")]), @r"
    [conflict] p.yaml:10:7: `prepare.id` has no effect without `transform`
      help: it keeps columns out of a model's input; remove it
    [conflict] p.yaml:14:1: `assemble` needs the stage `transform`
      help: it puts predictions beside rows; to only convert, use `shards.to`
    ");
    insta::assert_snapshot!(problems("version: 1\nname: c\nsource: { uri: a.csv }\n"), @r"
    [missing-key] p.yaml:1:1: `shards` needs the key `to`, since there is no `transform`
      help: `shards.to`: where the rows go; a folder if it ends with `/`, else a file
    ");
    insta::assert_snapshot!(problems_of(&[("  format: csv", "  format: csv\n  to: out/\n  header: true"), ("  id: [flight]", "  id: [flight]\n  rename: { month: m }")]), @r"
    [conflict] p.yaml:11:11: `prepare.rename` has no effect with `transform`
      help: a model gets no header; rename in `assemble.columns`: { name: NEW, from: OLD }
    [conflict] p.yaml:15:7: `shards.to` and `transform` exclude one another
      help: shards for a model go under `work.uri`; remove `shards.to`
    [conflict] p.yaml:16:11: `shards.header` cannot be true with `transform`
      help: the service would send the header to the model as a row
    ");
}

#[test]
fn columns_are_named_once_and_where_they_can_be() {
    let prepare =
        |text: &str| problems_of(&[("  id: [flight]\n  select: [month, day, distance]\n", text)]);
    insta::assert_snapshot!(prepare("  id: [flight, flight]\n  select: [month, flight]\n  drop: [month]\n"), @r"
    [column] p.yaml:10:16: `prepare.id` names `flight` twice
    [column] p.yaml:11:19: `flight` is in both `prepare.id` and `prepare.select`
      help: an id is kept out of the model's input: name it in one of them
    [conflict] p.yaml:12:9: `prepare.select` and `prepare.drop` exclude one another
      help: `select` names all that go on, so there is nothing left to drop
    ");
    insta::assert_snapshot!(prepare("  id: [flight]\n  drop: [day, day, flight]\n"), @r"
    [column] p.yaml:11:15: `prepare.drop` names `day` twice
    [column] p.yaml:11:20: `flight` is in both `prepare.id` and `prepare.drop`
      help: an id is already kept out of the model's input
    ");
    assert_eq!(prepare("  drop: [day]\n"), "");
}

#[test]
fn renames_do_not_meet() {
    let text = "version: 1\nname: c\nsource: { uri: a.csv }\nprepare: { drop: [c], rename: { a: x, b: x, c: y } }\nshards: { to: b.csv }\n";
    insta::assert_snapshot!(problems(text), @r"
    [column] p.yaml:4:42: `prepare.rename`: both `a` and `b` become `x`
    [column] p.yaml:4:48: `prepare.rename`: `c` is dropped
      help: remove it from one of them
    ");
}

#[test]
fn output_columns() {
    let columns = |items: &str| {
        problems_of(&[(
            "{{ params.run_date }}/",
            &format!("{{{{ params.run_date }}}}/\n  columns: [{items}]"),
        )])
    };
    assert_eq!(
        columns("flight, { name: s, from: 'prediction[0]' }, { name: v, value: 3 }"),
        ""
    );
    assert_eq!(
        columns("predictions_before, { name: s, from: 'prediction[12]', type: int64 }"),
        ""
    );
    insta::assert_snapshot!(columns("flight, { name: flight, from: 'prediction[0]' }"), @r"
    [column] p.yaml:19:21: `assemble.columns` has two columns called `flight`
      help: output columns need different names
    ");
    insta::assert_snapshot!(columns("{ name: a, from: prediction }, { name: b, from: 'prediction[-1]' }, { name: c, from: 'prediction[0].x' }"), @r#"
    [bad-value] p.yaml:19:30: `a`: `from: prediction` is not a prediction
      help: fields of an answer are counted from 0, or named in JSON: "prediction[0]", "prediction.score"
    [bad-value] p.yaml:19:61: `b`: `from: prediction[-1]` is not a prediction
      help: fields of an answer are counted from 0, or named in JSON: "prediction[0]", "prediction.score"
    [conflict] p.yaml:19:98: `c`: `from: prediction[0].x` needs answers in JSON, and `accept` is `text/csv`
      help: use `accept: application/jsonlines`, or count fields from 0: "prediction[0]"
    "#);
    insta::assert_snapshot!(columns("{ name: a }, { name: b, from: flight, value: 1 }, { name: c, from: flight, type: string }, { name: s, from: 'prediction[0]' }"), @r"
    [missing-key] p.yaml:19:13: `a` has neither `from` nor `value`
      help: a source column by its name: { name: NEW, from: OLD }
    [conflict] p.yaml:19:58: `b` has both `from` and `value`
      help: keep one of them
    [conflict] p.yaml:19:94: `c`: a source column keeps its type
      help: remove `type`; `source.columns` decides about types
    ");
    insta::assert_snapshot!(columns("{ name: a, value: x, type: int64 }, { name: d, value: 2013-02-30, type: date }, { name: s, from: 'prediction[0]' }"), @r"
    [bad-value] p.yaml:19:31: `a`: the value `x` is not of type int64
    [bad-value] p.yaml:19:67: `d`: the value `2013-02-30` is not of type date
    ");
    let constant = |value: &str, kind: &str| {
        let column = format!("{{ name: c, value: '{value}', type: {kind} }}");
        columns(&format!(
            "flight, {column}, {{ name: s, from: 'prediction[0]' }}"
        ))
    };
    for (value, kind) in [
        ("2024-12-31", "date"),
        ("2024-12-31T23:59:59", "timestamp"),
        ("2024-12-31 23:59", "timestamp"),
        ("2024-12-31T23:59:59.000001Z", "timestamp_utc"),
        ("2024-12-31T23:59:59+05:30", "timestamp_utc"),
        ("{{ now }}", "timestamp_utc"),
    ] {
        assert_eq!(constant(value, kind), "", "{value} as {kind}");
    }
    for (value, kind) in [
        ("nan", "float64"),
        ("2024-12-31", "timestamp"),
        ("2024-12-31T23:59:59Z", "timestamp"),
        ("2024-12-31T23:59:59", "timestamp_utc"),
        ("2024-12-31T23:59:59.0000001Z", "timestamp_utc"),
        ("2024-12-31T23:59:59+0530", "timestamp_utc"),
    ] {
        let told = constant(value, kind);
        assert!(told.contains("is not of type"), "{value} as {kind}: {told}");
    }
    insta::assert_snapshot!(columns("flight"), @r#"
    [column] p.yaml:19:12: `assemble.columns` takes nothing from the model's answers
      help: add { name: score, from: "prediction[0]" }
    "#);
}

#[test]
fn contracts() {
    let contract = |items: &str| {
        problems_of(&[(
            "uri: data/*.csv",
            &format!("uri: data/*.csv\n  columns: [{items}]"),
        )])
    };
    assert_eq!(
        contract(
            "{ name: a, type: int64, min: 0, max: 9 }, { name: b, type: string, allowed: [x] }"
        ),
        ""
    );
    insta::assert_snapshot!(contract("{ name: a, type: int64, min: 9, max: 0 }, { name: a, type: text, max: 1 }, { name: c, type: date, min: 3 }"), @r"
    [conflict] p.yaml:9:42: `a`: `min` 9 is above `max` 0
    [column] p.yaml:9:63: the contract names `a` twice
    [bad-value] p.yaml:9:72: `source.columns[1].type`: expected `int64`, `float64`, `boolean`, `date`, `timestamp`, `timestamp_utc` or `string`, found `text`
    [conflict] p.yaml:9:116: `c`: `min` is for numbers only
    ");
}

#[test]
fn locations_do_not_lie_in_one_another() {
    insta::assert_snapshot!(problems_of(&[("s3://work-bucket/runs/", "s3://scores")]), @r"
    [overlap] p.yaml:18:7: `assemble.to` and `work.uri` must not lie in one another
      help: state and results need prefixes of their own
    ");
    insta::assert_snapshot!(problems_of(&[("s3://scores/dt={{ params.run_date }}/", "s3://work-bucket/runs/out")]), @r"
    [overlap] p.yaml:18:7: `assemble.to` and `work.uri` must not lie in one another
      help: state and results need prefixes of their own
    ");
    assert_eq!(
        problems_of(&[(
            "s3://scores/dt={{ params.run_date }}/",
            "s3://work-bucket/runs-out"
        )]),
        ""
    );
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: [s3://work-bucket/runs/*.csv, s3://scores/**, data/a.csv]")]), @r"
    [overlap] p.yaml:8:9: `source.uri` would read what `work.uri` writes
      help: input and output need places of their own
    [overlap] p.yaml:8:38: `source.uri` would read what `assemble.to` writes
      help: input and output need places of their own
    ");
    assert_eq!(
        problems_of(&[("uri: data/*.csv", "uri: s3://scores/*.csv")]),
        ""
    );
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: ['-', data/a.csv]")]), @"[conflict] p.yaml:8:9: `-` (standard input) must be the only input");
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: [https://host/a.csv, s3://B_ad/x, s3:///x, s3://ab, s3://abc//x, '', s3://a..b/, s3://10.0.0.1/x]")]), @r"
    [bad-value] p.yaml:8:9: `source.uri[0]`: `https://host/a.csv` has the scheme `https`; expected a local path or `s3://…`
    [bad-value] p.yaml:8:29: `source.uri[1]`: `s3://B_ad/x` has the bucket `B_ad`; bucket names hold a-z, 0-9, `-` and `.`, and begin and end with a letter or digit
    [bad-value] p.yaml:8:42: `source.uri[2]`: `s3:///x` names no bucket; expected `s3://bucket/key`
    [bad-value] p.yaml:8:51: `source.uri[3]`: `s3://ab` has the bucket `ab`; bucket names have 3 to 63 characters
    [bad-value] p.yaml:8:60: `source.uri[4]`: `s3://abc//x` has `//` after the bucket, which would be a key that begins with `/`
    [bad-value] p.yaml:8:73: `source.uri[5]`: must not be empty
    [bad-value] p.yaml:8:77: `source.uri[6]`: `s3://a..b/` has the bucket `a..b`; two `.` must not stand side by side in a bucket's name
    [bad-value] p.yaml:8:89: `source.uri[7]`: `s3://10.0.0.1/x` has the bucket `10.0.0.1`; a bucket's name must not look like an IP address
    ");
    assert!(
        problems_of(&[(
            "uri: data/*.csv",
            &format!("uri: s3://abc/{}", "k".repeat(1016))
        )])
        .contains("1025 characters")
    );
    assert_eq!(
        problems_of(&[(
            "uri: data/*.csv",
            &format!("uri: s3://abc/{}", "k".repeat(1015))
        )]),
        ""
    );
}

#[test]
fn bad_rows_and_dialect() {
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: data/*.csv\n  on_bad_row: { action: fail, max_rows: 3 }")]), @r"
    [conflict] p.yaml:9:41: `source.on_bad_row.max_rows` has no effect with `action: fail`
      help: use `action: quarantine`, or remove it
    ");
    insta::assert_snapshot!(problems_of(&[("uri: data/*.csv", "uri: data/*.csv\n  delimiter: ';'\n  comment: ';'\n  quote: '\"\"'\n  escape: \"\\n\"")]), @r#"
    [conflict] p.yaml:10:12: `source.comment` and `source.delimiter` are the same character
    [bad-value] p.yaml:11:10: `source.quote`: `""` is not one ASCII character
    [bad-value] p.yaml:12:11: `source.escape`: cannot be a line break
    "#);
    assert_eq!(
        problems_of(&[(
            "uri: data/*.csv",
            "uri: data/*.csv\n  delimiter: \"\\t\"\n  quote: \"'\""
        )]),
        ""
    );
}

#[test]
fn a_model_that_is_created() {
    let model = |text: &str| problems_of(&[("model: late-v1", &format!("model: {text}"))]);
    let fine = "{ image: 1.dkr.ecr.eu-west-1.amazonaws.com/x:1, model_data: s3://abc/m.tar.gz, execution_role_arn: arn:aws:iam::123456789012:role/r, vpc_config: { security_group_ids: [sg-1], subnets: [subnet-1] } }";
    assert_eq!(model(fine), "");
    insta::assert_snapshot!(model("{ image: a b, model_data: s3://abc/m.onnx, execution_role_arn: r, package_group: x }"), @r"
    [bad-value] p.yaml:15:19: `transform.model.image`: `a b` is not an image's name: it holds a blank
    [bad-value] p.yaml:15:36: `model_data`: `s3://abc/m.onnx` must be a `.tar.gz`
      help: transform jobs take no uncompressed model data
    [bad-value] p.yaml:15:73: `transform.model.execution_role_arn`: `r` is not a role's ARN, `arn:aws:iam::123456789012:role/NAME`
    [unknown-key] p.yaml:15:76: unknown key `package_group` in `transform.model`
      help: the keys here are image, model_data, execution_role_arn, environment, enable_network_isolation, vpc_config
    ");
    insta::assert_snapshot!(model("{ model_data: s3://abc/m.tar.gz, vpc_config: { subnets: [] } }"), @r"
    [missing-key] p.yaml:15:3: `transform.model` needs the key `execution_role_arn`
      help: `execution_role_arn`: The role that the container runs as.
    [missing-key] p.yaml:15:3: `transform.model` needs the key `image`
      help: `image`: The container's image.
    [missing-key] p.yaml:15:43: `transform.model.vpc_config` needs the key `security_group_ids`
      help: `security_group_ids`: 1 to 5 security groups.
    [bad-value] p.yaml:15:66: `transform.model.vpc_config.subnets` must not be empty
    ");
}

#[test]
fn credentials_are_refused_and_never_repeated() {
    let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let secret = "wJalrXUtnFEMIEXAMPLEKEY";
    let file = edited(&[
        ("version: 1", &format!("version: 1 # {key}")),
        (
            "uri: data/*.csv",
            &format!("uri: https://someone:{secret}@host/a.csv"),
        ),
        (
            "model: late-v1",
            &format!("model: late-v1\n  environment: {{ AWS_SECRET_ACCESS_KEY: {secret} }}"),
        ),
        (
            "onnx: late.onnx",
            &format!("onnx: s3://b/x?X-Amz-Signature={secret}"),
        ),
    ]);
    let found = problems(&file);
    assert!(!found.contains(&key) && !found.contains(secret), "{found}");
    insta::assert_snapshot!(found, @r"
    [credentials-in-file] p.yaml:1:14: this looks like an AWS access key; a pipeline file must not hold credentials
      help: remove it, and treat it as leaked; AWS credentials come from the environment, a profile or a role
    [bad-value] p.yaml:8:8: `source.uri`: `https://…@host/a.csv` has the scheme `https`; expected a local path or `s3://…`
    [credentials-in-file] p.yaml:8:16: this looks like a URL with a password; a pipeline file must not hold credentials
      help: remove it, and treat it as leaked; AWS credentials come from the environment, a profile or a role
    [credentials-in-file] p.yaml:16:18: this looks like the value of a credential; a pipeline file must not hold credentials
      help: remove it, and treat it as leaked; AWS credentials come from the environment, a profile or a role
    [credentials-in-file] p.yaml:16:41: `transform.environment`: `AWS_SECRET_ACCESS_KEY` is a credential's name
      help: the container gets its credentials from the model's execution role
    [bad-value] p.yaml:21:18: `local.model.onnx`: `s3://b/x?…` must be a local path
    [credentials-in-file] p.yaml:21:27: this looks like a presigned URL; a pipeline file must not hold credentials
      help: remove it, and treat it as leaked; AWS credentials come from the environment, a profile or a role
    ");
    let error = try_spec(&format!("aws_session_token: {secret}\n a: [\n"), &[])
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains(secret) && error.contains("credentials"),
        "{error}"
    );
    // From a parameter, it is found when it is rendered.
    let text = edited(&[
        ("uri: data/*.csv", "uri: \"{{ params.u }}\""),
        (
            "params:\n",
            "params:\n  u: { type: string, required: true }\n",
        ),
    ]);
    let error = try_spec(&text, &[("u", &format!("https://someone:{secret}@host/x"))])
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains(secret) && error.contains("password"),
        "{error}"
    );
}

#[test]
fn refused_rows_are_found_between_lines_only() {
    assert_eq!(transform("on_refused_row: quarantine"), "");
    let told = shards("parquet", "on_refused_row: quarantine");
    assert!(
        told.contains("[conflict]") && told.contains("needs `split_type: line`"),
        "{told}"
    );
    // Nothing is said about a value that is wrong itself.
    let told = transform("split_type: lines\n  on_refused_row: quarantine");
    assert!(!told.contains("on_refused_row"), "{told}");
}

/// What does not go with Parquet is told at once, and not one after the other.
#[test]
fn parquet_that_is_to_be_split_hides_no_other_mistake() {
    let lines = "split_type: line\n  batch_strategy: multi_record\n  on_refused_row: quarantine";
    insta::assert_snapshot!(shards("parquet\n  max_bytes: 200MB", lines), @r"
    [shard-above-payload] p.yaml:14:14: `shards.max_bytes` is 200MB, but a Parquet file is one request, and one request holds at most 49500KB (`max_payload_in_mb: 50`, less 1 %)
      help: `max_bytes: 49500KB` or less, or a larger payload
    [parquet-with-split] p.yaml:18:15: `split_type: line` cannot be used with Parquet shards
      help: a Parquet file is one request: use `split_type: none`
    [batch-without-split] p.yaml:19:19: `batch_strategy` needs a `split_type` of line, recordio or tfrecord
      help: a Parquet file is one request: remove `batch_strategy`
    [conflict] p.yaml:20:19: `transform.on_refused_row: quarantine` cuts shards at their lines, and needs `split_type: line`
      help: use `shards.format: csv` or `jsonl`, or leave it at `fail`
    ");
}

#[test]
fn a_number_of_jobs_or_auto() {
    for fine in ["auto", "1", "100"] {
        assert_eq!(transform(&format!("jobs: {fine}")), "");
    }
    insta::assert_snapshot!(transform("jobs: 0"), @r"
    [bad-value] p.yaml:17:9: `transform.jobs`: expected an integer from 1 to 100, found 0
      help: or write `auto`
    ");
    insta::assert_snapshot!(transform("jobs: 101"), @r"
    [bad-value] p.yaml:17:9: `transform.jobs`: expected an integer from 1 to 100, found 101
      help: or write `auto`
    ");
    insta::assert_snapshot!(transform("jobs: many"), @r"
    [wrong-type] p.yaml:17:9: `transform.jobs`: expected an integer from 1 to 100, found the text `many`
      help: or write `auto`
    ");
}

#[test]
fn a_budget_names_an_amount_and_is_for_jobs() {
    let budget =
        |text: &str| problems_of(&[("assemble:\n", &format!("budget: {text}\nassemble:\n"))]);
    assert_eq!(budget("{ instance_hours: 2.5, usd: 10 }"), "");
    insta::assert_snapshot!(budget("{}"), @r"
    [missing-key] p.yaml:17:1: `budget` names no amount
      help: `instance_hours`, `usd`, or both
    ");
    insta::assert_snapshot!(budget("{ usd: -1 }"), @"[bad-value] p.yaml:17:16: `budget.usd`: expected a number of at least 0, found -1");
    insta::assert_snapshot!(budget("{ eur: 10 }"), @r"
    [missing-key] p.yaml:17:1: `budget` names no amount
      help: `instance_hours`, `usd`, or both
    [unknown-key] p.yaml:17:11: unknown key `eur` in `budget`
      help: the keys here are instance_hours, usd
    ");
    let only_converts =
        "version: 1\nname: x\nsource: { uri: a.csv }\nshards: { to: out/ }\nbudget: { usd: 1 }\n";
    insta::assert_snapshot!(problems(only_converts), @r"
    [conflict] p.yaml:5:1: `budget` has no effect without `transform`
      help: it bounds what transform jobs take; remove it
    ");
}

#[test]
fn a_join_by_the_service_is_made_of_ids_and_the_last_columns() {
    let made = |edits: &[(&str, &str)]| {
        let spec = try_spec(&edited(edits), &[]).unwrap();
        let made = spec.transform.unwrap().data_processing.unwrap();
        (made.input_filter.unwrap(), made.output_filter.unwrap())
    };
    let server = ("model: late-v1", "model: late-v1\n  join: server");
    let wanted = |input: &str, output: &str| (input.to_owned(), output.to_owned());
    assert_eq!(made(&[server]), wanted("$[1:]", "$[0,-1]"));
    let third = (
        "/dt={{ params.run_date }}/",
        "/\n  columns: [flight, { name: p, from: 'prediction[2]' }]",
    );
    assert_eq!(made(&[server, third]), wanted("$[1:]", "$[0,-3,-2,-1]"));
    let stated = (
        "model: late-v1",
        "model: late-v1\n  join: server\n  answer_columns: 2",
    );
    let two = ("id: [flight]", "id: [flight, carrier]");
    assert_eq!(made(&[stated, two]), wanted("$[2:]", "$[0,1,-2,-1]"));
}

#[test]
fn a_join_by_the_service_is_for_lines_of_csv_with_ids() {
    let server = |lines: &str| transform(&format!("join: server\n  {lines}"));
    assert_eq!(server("answer_columns: 1"), "");
    insta::assert_snapshot!(server("data_processing: { output_filter: '$[0]' }"), @r"
    [conflict] p.yaml:18:3: `join: server` makes filters and a join of its own: `data_processing` cannot stand beside it
      help: keep one of them
    ");
    insta::assert_snapshot!(server("accept: application/jsonlines\n  assemble_with: none"), @r"
    [data-processing] p.yaml:18:11: `join: server` joins lines of CSV, so `accept` must be `text/csv`, found `application/jsonlines`
      help: `accept: text/csv`, or `join: local`, which joins any of them
    [data-processing] p.yaml:19:18: `join: server` joins lines of CSV, so `assemble_with` must be `line`, found `none`
      help: `assemble_with: line`, or `join: local`, which joins any of them
    ");
    insta::assert_snapshot!(transform("answer_columns: 2"), @r"
    [conflict] p.yaml:17:19: `transform.answer_columns` has no effect without `join: server`
      help: remove it
    ");
    insta::assert_snapshot!(server("data_capture_config: { destination_s3_uri: s3://captured/, generate_inference_id: true }"), @r"
    [conflict] p.yaml:18:85: `generate_inference_id` appends columns to what `join: server` counts from the end
      help: keep one of them
    ");
    insta::assert_snapshot!(shards("parquet", "join: server"), @r"
    [data-processing] p.yaml:13:11: `join: server` joins lines of CSV, so `format` must be `csv`, found `parquet`
      help: `format: csv`, or `join: local`, which joins any of them
    [data-processing] p.yaml:17:9: `join: server` joins lines of CSV, so `assemble_with` must be `line`, found `none`
      help: `assemble_with: line`, or `join: local`, which joins any of them
    [data-processing] p.yaml:17:9: `join: server` joins lines of CSV, so `content_type` must be `text/csv`, found `application/x-parquet`
      help: `content_type: text/csv`, or `join: local`, which joins any of them
    [data-processing] p.yaml:17:9: `join: server` joins lines of CSV, so `split_type` must be `line`, found `none`
      help: `split_type: line`, or `join: local`, which joins any of them
    ");
    insta::assert_snapshot!(problems_of(&[
        ("model: late-v1", "model: late-v1\n  join: server"),
        ("prepare:\n  id: [flight]\n", "prepare:\n"),
    ]), @r"
    [missing-key] p.yaml:15:9: `join: server` has nothing to join: `prepare.id` names no column
      help: name in `prepare.id` what is to stand beside the answers
    ");
    insta::assert_snapshot!(problems_of(&[
        ("model: late-v1", "model: late-v1\n  join: server\n  answer_columns: 1"),
        ("/dt={{ params.run_date }}/", "/\n  columns: [flight, { name: p, from: 'prediction[1]' }]"),
    ]), @r"
    [bad-value] p.yaml:21:38: `prediction[1]`: an answer has 1 columns, says `transform.answer_columns`
      help: they are counted from 0
    ");
    insta::assert_snapshot!(server("answer_columns: 30"), @r"
    [filter] p.yaml:17:9: `join: server` would need the filter `$[0,-30,-29,-28,-27,-26,-25,-24,-23,-22,-21,-20,-19,-18,-17,-16,-15,-14,-13,-12,-11,-10,-9,-8,-7,-6,-5,-4,-3,-2,-1]`, which has 115 characters; the service takes at most 63
      help: so many answers do not fit beside any id: use `join: local`
    ");
    let spec = try_spec(
        &edited(&[("model: late-v1", "model: late-v1\n  join: server")]),
        &[],
    );
    assert!(
        spec.unwrap()
            .warnings
            .iter()
            .any(|w| w.to_string().contains("keeps the last columns"))
    );
}

#[test]
fn the_model_is_asked_or_not() {
    for fine in ["auto", "off"] {
        assert_eq!(transform(&format!("probe: {fine}")), "");
    }
    insta::assert_snapshot!(transform("probe: maybe"), @"[bad-value] p.yaml:17:10: `transform.probe`: expected `auto` or `off`, found `maybe`");
}
