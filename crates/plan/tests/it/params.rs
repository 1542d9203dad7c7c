//! `-p`: parsed to the declared type; wrong ones are mistakes of the call, not of the file.

use std::collections::BTreeMap;

use gristmill_plan::{ResolveError, run_key};
use serde_json::json;

use crate::support::{edited, problems_of, try_spec};

const DECLARED: &str = "run_date: { type: date, required: true }
  count: { type: int, default: 3 }
  rate: { type: float, default: 1, choices: [1, 0.5] }
  dry: { type: bool, default: false }
  tier: { type: string, default: gold, choices: [gold, silver] }";

fn given(params: &[(&str, &str)]) -> Result<BTreeMap<String, serde_json::Value>, ResolveError> {
    let text = edited(&[("run_date: { type: date, default: 2013-01-31 }", DECLARED)]);
    try_spec(&text, params).map(|spec| spec.params)
}

#[test]
fn each_type_is_read() {
    let all = [
        ("run_date", "2024-02-29"),
        ("count", "-7"),
        ("rate", "0.5"),
        ("dry", "true"),
        ("tier", "silver"),
    ];
    let found = given(&all).unwrap();
    assert_eq!(
        json!(found),
        json!({"count": -7, "dry": true, "rate": 0.5, "run_date": "2024-02-29", "tier": "silver"})
    );
    let found = given(&[("run_date", "2024-02-29"), ("rate", "1.0")]).unwrap();
    assert_eq!(
        json!(found),
        json!({"count": 3, "dry": false, "rate": 1.0, "run_date": "2024-02-29", "tier": "gold"})
    );
}

#[test]
fn a_wrong_call_is_a_usage_error_with_all_that_is_wrong() {
    let wrong = [
        ("run_date", "2023-02-29"),
        ("count", "3.5"),
        ("rate", "2"),
        ("dry", "yes"),
        ("tier", "tin"),
        ("rundate", "x"),
        ("zzz", ""),
    ];
    let error = given(&wrong).unwrap_err();
    assert!(matches!(error, ResolveError::Usage(_)));
    insta::assert_snapshot!(error, @r"
    parameter `count`: expected an integer, found `3.5`
    parameter `dry`: expected true or false, found `yes`
    parameter `rate`: expected one of 1, 0.5, found `2`
    parameter `run_date`: expected a date (YYYY-MM-DD), found `2023-02-29`
    parameter `tier`: expected one of gold, silver, found `tin`
    parameter `rundate` is not declared by this pipeline; did you mean `run_date`?
    parameter `zzz` is not declared by this pipeline; it declares count, dry, rate, run_date, tier
    ");
    insta::assert_snapshot!(given(&[]).unwrap_err(), @"parameter `run_date` is required: give it with `-p run_date=<a date (YYYY-MM-DD)>`");
    for date in [
        "20130131",
        "2013-1-31",
        "2013-01-31T00:00",
        " 2013-01-31",
        "２013-01-3",
    ] {
        assert!(
            matches!(given(&[("run_date", date)]), Err(ResolveError::Usage(_))),
            "{date}"
        );
    }
}

#[test]
fn a_wrong_declaration_is_a_mistake_of_the_file() {
    let declared = "run-date: { type: date, default: 2013-13-31 }
  a: { type: number }
  b: { type: int, default: x, required: false }
  c: { type: string, default: 007 }
  d: { type: bool, required: true, default: true }
  e: { type: int, choices: [1, two], default: 3 }
  f: { type: int, required: false }
  run_date: { type: date, default: '{{ now.date }}' }";
    insta::assert_snapshot!(problems_of(&[("run_date: { type: date, default: 2013-01-31 }", declared)]), @r"
    [bad-value] p.yaml:4:3: parameter `run-date`: a name holds letters, digits and `_`
      help: use `_` in place of `-`
    [wrong-type] p.yaml:4:36: `params.run-date.default`: expected a date (YYYY-MM-DD), found the text `2013-13-31`
    [bad-value] p.yaml:5:14: `params.a.type`: expected `string`, `int`, `float`, `bool` or `date`, found `number`
    [wrong-type] p.yaml:6:28: `params.b.default`: expected an integer, found the text `x`
    [wrong-type] p.yaml:7:31: `params.c.default`: expected text, found the number 7
    [conflict] p.yaml:8:45: `params.d` is required, so its default is never used
      help: remove one of them
    [wrong-type] p.yaml:9:32: `params.e.choices[1]`: expected an integer, found the text `two`
    [bad-value] p.yaml:9:47: `params.e.default`: the number 3 is not among `choices`
    [conflict] p.yaml:10:3: `params.f` is not required, but has no default
      help: add `default:`
    [template] p.yaml:11:36: `params.run_date.default` cannot hold a template
      help: write the value itself
    ");
}

#[test]
fn run_keys_depend_on_what_was_asked_and_on_nothing_else() {
    let params = |list: &[(&str, &str)]| {
        list.iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    };
    let key = run_key("nightly", &params(&[("a", "1"), ("b", "2")]), None);
    assert_eq!(key, "nightly-1137ca8d0d0c");
    assert_eq!(
        key,
        run_key("nightly", &params(&[("b", "2"), ("a", "1")]), None)
    );
    assert_ne!(
        key,
        run_key("nightly", &params(&[("a", "1"), ("b", "3")]), None)
    );
    assert_ne!(
        key,
        run_key("nightly", &params(&[("a", "1"), ("b", "2")]), Some(10))
    );
    assert_ne!(
        key,
        run_key("nightly", &params(&[("a", "12"), ("b", "")]), None)
    );
}
