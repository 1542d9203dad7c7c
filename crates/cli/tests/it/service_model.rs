//! What a pipeline file may hold, against what botocore's model of the service and the emulator say.

use std::path::Path;

use gristmill_plan::api_fields::{CREATE_TRANSFORM_JOB, SetBy};
use gristmill_plan::filter::{Filter, Records};
use gristmill_plan::limits::Limits;
use gristmill_plan::problem::code;
use gristmill_plan::{
    Context, Inventory, JobInput, RunFacts, Sample, draft, instance_types, launch, parse, resolve,
    review,
};
use serde_json::{Value, json};

use crate::driven::Services;
use crate::lab::Lab;
use crate::project::{Project, judge};

/// A pipeline with `lines` in `transform`.
fn pipeline(model: &str, lines: &str) -> String {
    format!(
        "version: 1\nname: m\nwork: {{ uri: s3://work-bucket/ }}\nsource: {{ uri: a.csv }}\n\
         transform:\n  model: {model}\n  instance_type: ml.m5.xlarge\n  {lines}\n\
         assemble: {{ to: s3://scores/ }}\n"
    )
}

/// Whether the value by itself is accepted where the field's key stands.
fn accepted(field: &str, value: &Value) -> bool {
    let text = match field {
        "ModelName" => pipeline(&value.to_string(), ""),
        "Environment{key}" => pipeline("m", &format!("environment: {{ {value}: x }}")),
        "Environment{}" => pipeline("m", &format!("environment: {{ K: {value} }}")),
        "Tags[].Key" => pipeline("m", &format!("tags: {{ {value}: x }}")),
        "Tags[].Value" => pipeline("m", &format!("tags: {{ k: {value} }}")),
        _ => pipeline("m", &line_of(field, value)),
    };
    let text = match field {
        "TransformResources.InstanceType" => {
            pipeline("m", "").replace("ml.m5.xlarge", &value.to_string())
        }
        _ => text,
    };
    // What is wrong with it together with others is not asked.
    let by_itself = [
        code::BAD_VALUE,
        code::WRONG_TYPE,
        code::FILTER,
        code::SYNTAX,
    ];
    let found = review(&text, "p.yaml", Path::new("/"), &|_| Err("unread".into()));
    !found.problems.iter().any(|p| by_itself.contains(&p.code))
}

fn line_of(field: &str, value: &Value) -> String {
    let known = CREATE_TRANSFORM_JOB.iter().find(|f| f.path == field);
    let Some(SetBy::Key(key)) = known.map(|f| f.set_by) else {
        panic!("{field} is set by no key")
    };
    let key = key.strip_prefix("transform.").unwrap();
    match key.split_once('.') {
        None => format!("{key}: {value}"),
        Some(("data_capture_config", inner)) if inner != "destination_s3_uri" => {
            format!(
                "data_capture_config: {{ destination_s3_uri: s3://captured/, {inner}: {value} }}"
            )
        }
        Some((section, inner)) => format!("{section}: {{ {inner}: {value} }}"),
    }
}

/// The JSON that the model's judge prints.
fn model(project: &Project, cases: Option<&Value>) -> Value {
    let done = match cases {
        Some(cases) => {
            let file = project.write("cases.json", cases.to_string());
            judge("request_model.py", &[file.to_str().unwrap()])
        }
        None => judge("request_model.py", &[]),
    };
    done.expect(0).json()
}

/// Compares what we and the model say of values: where the model refuses, we do. Returns the values
/// that only we refuse.
fn only_we_refuse(project: &Project, cases: &[(String, Value)]) -> Vec<String> {
    let list: Vec<Value> = cases
        .iter()
        .map(|(field, value)| json!({ "field": field, "value": value }))
        .collect();
    let verdicts = model(project, Some(&Value::Array(list)));
    let mut narrower = Vec::new();
    for ((field, value), allowed) in cases.iter().zip(verdicts.as_array().unwrap()) {
        let ours = accepted(field, value);
        match allowed.as_bool() {
            Some(false) => assert!(!ours, "{field}: {value} is accepted"),
            Some(true) if !ours => narrower.push(format!("{field} {value}")),
            _ => {}
        }
    }
    narrower
}

#[test]
fn every_field_of_the_request_is_accounted_for() {
    let project = Project::new();
    let told = model(&project, None);
    let known: Vec<&str> = CREATE_TRANSFORM_JOB.iter().map(|f| f.path).collect();
    let fields = told["fields"].as_array().unwrap();
    let fields: Vec<&str> = fields.iter().map(|f| f.as_str().unwrap()).collect();
    assert_eq!(known, fields);
    for field in CREATE_TRANSFORM_JOB {
        if let SetBy::Gristmill(why) = field.set_by {
            assert!(why.len() > 20, "{}", field.path);
        }
    }
    let mut known: Vec<String> = instance_types::known().collect();
    let types = told["instance_types"].as_array().unwrap();
    let mut types: Vec<String> = types
        .iter()
        .map(|t| t.as_str().unwrap().to_owned())
        .collect();
    known.sort();
    types.sort();
    assert_eq!(known, types);
}

/// Texts at the edges of every pattern of the model.
const TEXTS: &[&str] = &[
    "a", "9", "A", "-", "-a", "a-", "a-b", "a--b", "a_b", "_a", "a.b", "a b", " a", "a/b", "a:b",
    "a@b", "a*b", "é", "a\u{0}b", "a\nb", "ж9", "a,b", "a+b", "a=b",
];

/// A field of texts with the model's greatest length, after what such a text begins with.
fn texts(field: &str, start: &str, most: usize) -> Vec<(String, Value)> {
    let edges = TEXTS.iter().map(|text| (*text).to_owned());
    let long = [most, most + 1].map(|n| "k".repeat(n - start.len()));
    let texts = edges.chain(long);
    texts
        .map(|text| (field.to_owned(), Value::from(format!("{start}{text}"))))
        .collect()
}

#[test]
fn texts_are_refused_where_the_model_refuses_them() {
    let project = Project::new();
    let fields = [
        ("ModelName", "", 63),
        ("Environment{key}", "", 1024),
        ("Environment{}", "", 10_240),
        ("TransformInput.ContentType", "text/csv;", 256),
        ("TransformOutput.Accept", "text/csv;", 256),
        ("TransformOutput.KmsKeyId", "", 2048),
        ("DataCaptureConfig.DestinationS3Uri", "s3://captured/", 1024),
        ("DataCaptureConfig.KmsKeyId", "", 2048),
        ("TransformResources.VolumeKmsKeyId", "", 2048),
        ("TransformResources.TransformAmiVersion", "", 63),
        ("Tags[].Key", "", 128),
        ("Tags[].Value", "", 256),
        ("ExperimentConfig.ExperimentName", "", 120),
        ("ExperimentConfig.TrialName", "", 120),
        ("ExperimentConfig.TrialComponentDisplayName", "", 120),
        ("ExperimentConfig.RunName", "", 120),
    ];
    let all = fields
        .iter()
        .flat_map(|(field, start, most)| texts(field, start, *most));
    let mut cases: Vec<(String, Value)> = all.collect();
    for field in ["DataProcessing.InputFilter", "DataProcessing.OutputFilter"] {
        // 63 and 64 characters.
        for filter in ["$[10", "$[100"] {
            let filter = format!("{filter}{}]", ",0".repeat(29));
            cases.push((field.to_owned(), Value::from(filter)));
        }
    }
    let narrower = only_we_refuse(&project, &cases);
    insta::assert_snapshot!(narrower.join("\n"), @r#"
    TransformInput.ContentType "text/csv;é"
    TransformInput.ContentType "text/csv;a\u0000b"
    TransformInput.ContentType "text/csv;ж9"
    TransformOutput.Accept "text/csv;é"
    TransformOutput.Accept "text/csv;a\u0000b"
    TransformOutput.Accept "text/csv;ж9"
    DataCaptureConfig.DestinationS3Uri "s3://captured/a\u0000b"
    "#);
}

#[test]
fn tags_hold_the_characters_that_the_model_allows() {
    let project = Project::new();
    let some = (' '..'\u{3100}')
        .chain('\u{a000}'..'\u{a100}')
        .chain('\u{f900}'..'\u{ffff}');
    let others = [
        '\u{1f130}',
        '\u{1d400}',
        '\u{10400}',
        '\u{1f600}',
        '\u{e0100}',
        '\u{2f800}',
    ];
    let values: Vec<char> = some.chain(others).collect();
    let cases: Vec<Value> = values
        .iter()
        .map(|c| json!({ "field": "Tags[].Value", "value": c }))
        .collect();
    let verdicts = model(&project, Some(&Value::Array(cases)));
    for (chars, verdicts) in values
        .chunks(40)
        .zip(verdicts.as_array().unwrap().chunks(40))
    {
        let tags: Vec<String> = chars
            .iter()
            .enumerate()
            .map(|(i, c)| format!("t{i}: \"\\U{:08X}\"", u32::from(*c)))
            .collect();
        let text = pipeline("m", &format!("tags: {{ {} }}", tags.join(", ")));
        let found = review(&text, "p.yaml", Path::new("/"), &|_| Err("unread".into())).problems;
        for (i, (c, verdict)) in chars.iter().zip(verdicts).enumerate() {
            let refused = found
                .iter()
                .any(|p| p.message.contains(&format!("the tag `t{i}` ")));
            if let Some(allowed) = verdict.as_bool() {
                assert_eq!(!refused, allowed, "U+{:04X}", u32::from(*c));
            }
        }
    }
}

#[test]
fn numbers_are_refused_where_the_model_refuses_them() {
    let project = Project::new();
    let edges = [
        ("MaxConcurrentTransforms", vec![-1, 0, 1, 100]),
        ("MaxPayloadInMB", vec![-1, 0, 6, 100, 101]),
        (
            "ModelClientConfig.InvocationsTimeoutInSeconds",
            vec![0, 1, 3600, 3601],
        ),
        ("ModelClientConfig.InvocationsMaxRetries", vec![-1, 0, 3, 4]),
        ("TransformResources.InstanceCount", vec![0, 1, 100, 101]),
    ];
    let cases: Vec<(String, Value)> = edges
        .iter()
        .flat_map(|(field, numbers)| numbers.iter().map(|n| ((*field).to_owned(), json!(n))))
        .collect();
    let narrower = only_we_refuse(&project, &cases);
    // Both limits are in the API's text only.
    assert_eq!(
        narrower,
        ["MaxPayloadInMB 101", "TransformResources.InstanceCount 101"]
    );
}

#[test]
fn the_models_words_are_the_files_words() {
    let project = Project::new();
    let enums = model(&project, None)["enums"].clone();
    let mut cases = Vec::new();
    for (field, words) in enums.as_object().unwrap() {
        // Gristmill's own choice; both values that it makes are in a whole request.
        if field.ends_with("S3DataType") {
            continue;
        }
        for word in words.as_array().unwrap() {
            cases.push((field.clone(), word.clone()));
            cases.push((
                field.clone(),
                Value::from(format!("{}s", word.as_str().unwrap())),
            ));
        }
    }
    assert!(cases.len() > 250, "{}", cases.len());
    let narrower: Vec<String> = cases
        .iter()
        .filter(|(field, word)| {
            let list = enums[field].as_array().unwrap();
            // An instance type that is not known is worth a warning only.
            let open = field == "TransformResources.InstanceType";
            accepted(field, word) != (list.contains(word) || open)
        })
        .map(|(field, word)| format!("{field} {word}"))
        .collect();
    assert_eq!(narrower, Vec::<String>::new());
}

#[test]
fn the_model_has_nothing_against_a_request_of_ours() {
    let project = Project::new();
    let whole = "data_processing: { input_filter: '$[1:]', output_filter: '$[0,-1]', join_source: input }
  data_capture_config: { destination_s3_uri: s3://captured/x/, kms_key_id: alias/c, generate_inference_id: true }
  experiment_config: { experiment_name: e, trial_name: t, trial_component_display_name: d, run_name: r }
  kms_key_id: alias/out
  volume_kms_key_id: alias/vol
  transform_ami_version: al2-ami-sagemaker-batch-gpu-535
  environment: { A: b }
  tags: { team: a }";
    for lines in ["", whole, "split_type: none"] {
        let doc = parse(&pipeline("m", lines), "p.yaml").unwrap();
        let context = Context::new("2026-11-22T00:00:00Z".parse().unwrap(), "/");
        let spec = resolve(&doc, &context).unwrap();
        let sample = Sample {
            columns: ["a", "b"].map(String::from).to_vec(),
            ..Sample::default()
        };
        let plan = draft(&spec, &Inventory::default(), &sample).unwrap();
        for input in [
            JobInput::Prefix("s3://work-bucket/runs/r/shards/f/".into()),
            JobInput::Manifest("s3://work-bucket/runs/r/manifests/a2.json".into()),
        ] {
            let facts = RunFacts {
                run_id: "r".into(),
                work_uri: "s3://work-bucket/".into(),
                fingerprint: "f".repeat(64),
                wave: None,
                attempt: 1,
                model_name: "m".into(),
                input,
                output: "s3://work-bucket/runs/r/out/a1/".into(),
            };
            let request = serde_json::to_string(&launch(&plan, &facts).unwrap()).unwrap();
            let file = project.write("request.json", request);
            judge("request_model.py", &["--request", file.to_str().unwrap()]).expect(0);
        }
    }
    let file = project.write("request.json", r#"{"ModelName": "a_b", "Tag": []}"#);
    let found = judge("request_model.py", &["--request", file.to_str().unwrap()]).expect(1);
    assert!(
        found.stdout.contains("Tag is unknown")
            && found.stdout.contains("TransformInput is missing")
    );
}

/// A record of the emulator's jobs has two cells and an answer.
const CELLS: usize = 3;

#[test]
fn the_emulator_runs_the_filters_that_a_file_may_have() {
    let runs = [
        "$", "$[0]", "$[2]", "$[-1]", "$[0,-1]", "$[0,1,2]", "$[1:]", "$[-2:]", "$[2:]", "$[0,0]",
    ];
    let refused = [
        "",
        "$[3]",
        "$[-4]",
        "$[0,3]",
        "$[3:]",
        "$.a",
        "$['a']",
        "$[*]",
        "$[]",
        "$[0",
        "[0]",
        "$[x]",
        "$[0:1,2]",
        "$[0,1:]",
        "$[1:2:3]",
        "$[0]x",
        "$[0][1]",
        "$..a",
        "$[99999999999999999999]",
    ];
    let ours = |text: &str| {
        Filter::parse(text, &Limits::default())
            .and_then(|filter| {
                filter.fits(Records::Csv)?;
                filter.within(CELLS)
            })
            .is_ok()
    };
    let project = Project::new();
    let filters: Vec<&str> = runs.iter().chain(&refused).copied().collect();
    let file = project.write("filters.json", json!(filters).to_string());
    let services = Services::start(&project);
    let done = services.judge("drive_filters_boto3.py", &[file.to_str().unwrap()]);
    let completed = done.expect(0).json();
    for (filter, completed) in filters.iter().zip(completed.as_array().unwrap()) {
        let expected = runs.contains(filter);
        assert_eq!(ours(filter), expected, "{filter}: ours");
        assert_eq!(
            completed.as_bool(),
            Some(expected),
            "{filter}: the emulator's"
        );
    }
}

#[test]
fn filters_and_a_join_of_the_service_publish_the_same_bytes() {
    let lab = Lab::new();
    let plain = lab.published(&lab.run(&[]).expect(0).json());
    // A record of the job's is then `a` and the answer; the ids never leave.
    lab.edit(
        "  job_timeout: 1h\n",
        "  job_timeout: 1h\n  data_processing: { output_filter: '$[0,-1]', join_source: input }\n",
    );
    lab.edit("from: \"prediction[0]\"", "from: \"prediction[1]\"");
    let joined = lab.run(&["--fresh", "--overwrite"]).expect(0).json();
    assert_eq!(lab.published(&joined), plain);
    assert_eq!(lab.jobs().len(), 2);
    // Known when the input's columns are: two of them go to the model.
    lab.edit(
        "prepare: { id: [id], select: [a, b] }",
        "prepare: { id: [id] }",
    );
    lab.edit("output_filter: '$[0,-1]'", "input_filter: '$[2]'");
    let told = lab.told(lab.run(&["--fresh", "--overwrite"]), 78);
    insta::assert_snapshot!(told, @r"
    pipeline.yaml:26:38 filter: `transform.data_processing.input_filter`: `$[2]`: asks for column 2, but what it is applied to has 2
      help: columns count from 0: here 0 to 1
    the pipeline file has 1 mistake
    ");
}
