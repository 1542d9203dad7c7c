//! Training sets: label and split.

use gristmill_plan::spec::{Label, LabelRule, OnMissing, Split};
use gristmill_plan::{Plan, draft, fingerprint};

use crate::support::{inventory, problems, problems_of, sample, try_spec};

/// A training set with these lines under `prepare`.
fn file(prepare: &str) -> String {
    format!(
        "version: 1\nname: t\nsource: {{ uri: data/*.csv }}\nprepare:\n  {prepare}\nshards: {{ to: out/ }}\n"
    )
}

fn mistakes(prepare: &str) -> String {
    problems(&file(prepare))
}

fn label(prepare: &str) -> Label {
    let spec = try_spec(&file(prepare), &[]).unwrap_or_else(|error| panic!("{error}"));
    spec.prepare.label.unwrap()
}

fn split(prepare: &str) -> Split {
    let spec = try_spec(&file(prepare), &[]).unwrap_or_else(|error| panic!("{error}"));
    spec.prepare.split.unwrap()
}

fn plan(prepare: &str) -> Plan {
    let spec = try_spec(&file(prepare), &[]).unwrap_or_else(|error| panic!("{error}"));
    draft(&spec, &inventory(), &sample()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_part_has_files_of_its_own() {
    let split = "split: { by: hash, key: [day], parts: { train: 0.75, test: 0.25 } }";
    // 20,000 rows.
    assert_eq!(plan(split).estimate.shards, 2);
    let text = file(split).replace("out/ }", "out/, max_rows: 5000 }");
    let spec = try_spec(&text, &[]).unwrap();
    let of_rows = draft(&spec, &inventory(), &sample()).unwrap();
    assert_eq!(of_rows.estimate.shards, 4);
}

#[test]
fn a_label_has_a_rule() {
    let plain = label("label: day");
    assert_eq!(plain.column, "day");
    assert_eq!(
        (plain.rule, plain.on_missing),
        (LabelRule::AsIs, OnMissing::Drop)
    );
    assert_eq!(label("label: { column: day }"), label("label: day"));
    let above = label("label: { column: day, above: 15, on_missing: fail }");
    assert_eq!(
        (above.rule, above.on_missing),
        (LabelRule::Above(15.0), OnMissing::Fail)
    );
    // Keys are the cells' texts, whatever YAML takes them for; order is the file's.
    let map =
        label("label: { column: day, map: { \"yes\": 1, no: 0, true: 2.5, 007: -1, 1.0: 1e3 } }");
    let pairs = [
        ("yes", "1"),
        ("no", "0"),
        ("true", "2.5"),
        ("007", "-1"),
        ("1.0", "1000"),
    ];
    let pairs = pairs.map(|(text, number)| (text.to_owned(), number.to_owned()));
    assert_eq!(map.rule, LabelRule::Map(pairs.to_vec()));
}

#[test]
fn a_split_keeps_the_files_order() {
    let found = split("split: { key: flight, parts: { train: 0.8, test: 0.1, hold-out_2: 0.1 } }");
    let parts = [("train", 0.8), ("test", 0.1), ("hold-out_2", 0.1)];
    let parts: Vec<(String, f64)> = parts.map(|(name, share)| (name.to_owned(), share)).to_vec();
    assert_eq!(
        (found.key, found.seed, found.parts),
        (vec!["flight".to_owned()], 0, parts)
    );
    let two = split("split: { by: hash, key: [flight, day], seed: 42, parts: { b: 0.5, a: 0.5 } }");
    assert_eq!(
        (two.key.len(), two.seed, two.parts[0].0.as_str()),
        (2, 42, "b")
    );
}

#[test]
fn mistakes_in_a_label() {
    insta::assert_snapshot!(mistakes("label: { column: day, above: 1, map: { a: 0 } }"), @r"
    [conflict] p.yaml:5:40: `above` and `map` exclude one another in `prepare.label`
      help: `above` makes 0 and 1 of numbers, `map` makes numbers of texts
    ");
    insta::assert_snapshot!(mistakes("label: { column: day, map: { } }"), @r#"
    [bad-value] p.yaml:5:30: `prepare.label.map` must not be empty
      help: for each text that the column holds, its label: { "no": 0, "yes": 1 }
    "#);
    insta::assert_snapshot!(mistakes("label: { column: day, map: { a: x, a: 1 } }"), @r"
    [wrong-type] p.yaml:5:35: `prepare.label.map.a`: expected a number, found the text `x`
    [duplicate-key] p.yaml:5:38: `a` is already there, on line 5
      help: keep one of them
    ");
    insta::assert_snapshot!(mistakes("label: day\n  drop: [month, day]"), @r"
    [conflict] p.yaml:6:17: `day` is the label, and dropped
      help: the label becomes the first column and stands nowhere else: remove it here
    ");
    insta::assert_snapshot!(mistakes("label: { above: .inf }"), @r"
    [missing-key] p.yaml:5:3: `prepare.label` needs the key `column`
      help: `column`: The column's name in the source.
    [wrong-type] p.yaml:5:19: `prepare.label.above`: expected a number, found the text `.inf`
    ");
}

#[test]
fn mistakes_in_a_split() {
    let parts = |parts: &str| mistakes(&format!("split: {{ key: day, parts: {{ {parts} }} }}"));
    assert_eq!(parts("a: 0.1, b: 0.2, c: 0.7"), "");
    insta::assert_snapshot!(parts("train: 0.8, test: 0.1"), @"[bad-value] p.yaml:5:29: `prepare.split.parts`: the shares are 0.9 together; they must be 1");
    insta::assert_snapshot!(parts("train: 80, test: 20"), @r"
    [bad-value] p.yaml:5:38: `prepare.split.parts.train`: expected a number from 0 to 1, found 80
    [bad-value] p.yaml:5:48: `prepare.split.parts.test`: expected a number from 0 to 1, found 20
    ");
    insta::assert_snapshot!(parts("train: 1"), @r"
    [bad-value] p.yaml:5:29: `prepare.split.parts` needs at least two parts, found 1
      help: for example { train: 0.8, test: 0.2 }
    ");
    insta::assert_snapshot!(parts("Train: 0.5, ../x: 0.5, _a: 0"), @r"
    [bad-value] p.yaml:5:38: `prepare.split.parts`: the name `Train` holds `T`; only a-z, 0-9, `_` and `-` are allowed
      help: a part's name is its folder's
    [bad-value] p.yaml:5:49: `prepare.split.parts`: the name `../x` holds `.`; only a-z, 0-9, `_` and `-` are allowed
      help: a part's name is its folder's
    [bad-value] p.yaml:5:58: `prepare.split.parts._a`: a share must be above 0
      help: remove the part
    [bad-value] p.yaml:5:58: `prepare.split.parts`: the name `_a` must begin with a letter or digit
      help: a part's name is its folder's
    ");
    let long = |n: usize| parts(&format!("{}: 0.5, b: 0.5", "a".repeat(n)));
    assert_eq!(long(63), "");
    assert!(long(64).contains("has 64 characters"));
    insta::assert_snapshot!(mistakes("split: { key: [day, day], seed: -1, by: time }"), @r"
    [missing-key] p.yaml:5:3: `prepare.split` needs the key `parts`
      help: `parts`: The name of each part: its share of the keys. At least two, together 1.
    [column] p.yaml:5:23: `prepare.split.key` names `day` twice
    [bad-value] p.yaml:5:35: `prepare.split.seed`: expected an integer of at least 0, found -1
    [bad-value] p.yaml:5:43: `prepare.split.by`: expected `hash`, found `time`
    ");
    let to_a_file =
        file("split: { key: day, parts: { a: 0.5, b: 0.5 } }").replace("out/", "out.csv");
    insta::assert_snapshot!(problems(&to_a_file), @r"
    [conflict] p.yaml:6:15: `shards.to: out.csv` names a file, but with `prepare.split` each part is a folder in it
      help: a folder ends with `/`: `to: out.csv/`
    ");
}

#[test]
fn a_model_gets_no_label() {
    insta::assert_snapshot!(problems_of(&[("  id: [flight]\n", "  id: [flight]\n  label: tailnum\n  split: { key: flight, parts: { a: 0.5, b: 0.5 } }\n")]), @r"
    [conflict] p.yaml:11:10: `prepare.label` and `transform` exclude one another
      help: a model must not see what it shall predict; to keep the column beside the predictions, name it in `prepare.id`
    [conflict] p.yaml:12:3: `prepare.split` and `transform` exclude one another
      help: make the training set by a pipeline of its own, without `transform`
    ");
}

#[test]
fn the_label_is_the_first_column_and_no_other() {
    assert_eq!(
        plan("label: day").columns.shards,
        ["day", "month", "flight", "distance", "tailnum"]
    );
    let selected = plan("label: day\n  select: [month, day, distance]");
    assert_eq!(selected.columns.shards, ["day", "month", "distance"]);
    let unselected = plan("label: day\n  select: [distance, month]");
    assert_eq!(unselected.columns.shards, ["day", "distance", "month"]);
    let keyed = plan("drop: [flight]\n  split: { key: flight, parts: { a: 0.5, b: 0.5 } }");
    assert_eq!(keyed.columns.never_sent, ["flight"]);
}

#[test]
fn columns_that_are_not_there_are_named() {
    let spec = try_spec(
        &file("label: { column: dya, above: 1 }\n  split: { key: [flight, tail], parts: { a: 0.5, b: 0.5 } }"),
        &[],
    )
    .unwrap();
    insta::assert_snapshot!(draft(&spec, &inventory(), &sample()).unwrap_err(), @r"
    p.yaml:5:20: the input has no column `dya`
      help: did you mean `day`?
    p.yaml:6:26: the input has no column `tail`
      help: it has month, day, flight, distance, tailnum
    ");
    let spec = try_spec(
        &file("label: dya\n  split: { key: tail, parts: { a: 0.5, b: 0.5 } }"),
        &[],
    )
    .unwrap();
    let places = draft(&spec, &inventory(), &sample()).unwrap_err();
    let places: Vec<String> = places.0.iter().map(|p| p.place.to_string()).collect();
    assert_eq!(places, ["p.yaml:5:10", "p.yaml:6:17"]);
}

#[test]
fn a_label_alone_is_no_training_set() {
    let spec = try_spec(
        &file("label: day\n  drop: [month, flight, distance, tailnum]"),
        &[],
    )
    .unwrap();
    insta::assert_snapshot!(draft(&spec, &inventory(), &sample()).unwrap_err(), @"p.yaml:4:1: no column is left beside the label: all others are in `prepare.drop`");
}

#[test]
fn label_and_split_determine_the_shards() {
    let print = |prepare: &str| {
        let plan = plan(prepare);
        let source = fingerprint::source(&plan);
        let shards = fingerprint::shards(&source, &plan);
        (source.sha256, shards.sha256)
    };
    let all = [
        "drop: []",
        "label: month",
        "label: { column: month, above: 1 }",
        "label: { column: month, above: 2 }",
        "label: { column: month, map: { a: 0, b: 1 } }",
        "label: { column: month, above: 1, on_missing: fail }",
        "split: { key: day, parts: { a: 0.5, b: 0.5 } }",
        "split: { key: day, parts: { b: 0.5, a: 0.5 } }",
        "split: { key: day, parts: { a: 0.25, b: 0.75 } }",
        "split: { key: day, seed: 1, parts: { a: 0.5, b: 0.5 } }",
        "split: { key: [day, month], parts: { a: 0.5, b: 0.5 } }",
    ];
    let prints: Vec<(String, String)> = all.iter().map(|prepare| print(prepare)).collect();
    let shards: std::collections::BTreeSet<&String> = prints.iter().map(|(_, s)| s).collect();
    assert_eq!(shards.len(), all.len());
    assert!(prints.iter().all(|(source, _)| *source == prints[0].0));
}

#[test]
fn a_plan_with_both_comes_back_from_json() {
    let plan = plan(
        "label: { column: day, map: { x: 0.1, 'y': 1 } }\n  split: { key: month, seed: 7, parts: { a: 0.1, b: 0.9 } }",
    );
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}
