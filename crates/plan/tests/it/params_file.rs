//! `--params-file`.

use gristmill_plan::parse_params_file;
use proptest::prelude::*;

fn pairs(text: &str) -> Vec<(String, String)> {
    parse_params_file(text, "f.yaml")
        .unwrap_or_else(|problems| panic!("{problems}"))
        .into_iter()
        .collect()
}

#[test]
fn values_are_taken_as_written() {
    let yaml = "b: 007 # not seven\na: 2013-01-31\nc: True\nd: 'x: y'\ne: 1.50\nf: \"\"\n";
    let as_text = |(k, v): &(String, String)| format!("{k}={v}");
    let found: Vec<String> = pairs(yaml).iter().map(as_text).collect();
    assert_eq!(
        found,
        ["a=2013-01-31", "b=007", "c=true", "d=x: y", "e=1.50", "f="]
    );
    let json = "{\n\t\"a\": 1,\n\t\"b\": \"x\\ty\",\n\t\"c\": false\n}\n";
    let found: Vec<String> = pairs(json).iter().map(as_text).collect();
    assert_eq!(found, ["a=1", "b=x\ty", "c=false"]);
    assert!(pairs("{}").is_empty());
}

#[test]
fn every_mistake_is_named() {
    let wrong = |text: &str| parse_params_file(text, "f.yaml").unwrap_err().to_string();
    insta::assert_snapshot!(wrong("a: [1]\nb:\nc: { d: 1 }\na: 2\n"), @r#"
    f.yaml:1:4: parameter `a`: expected a text, a number or true or false, found a list
      help: a parameter is one value
    f.yaml:2:2: parameter `b` has no value
      help: remove it, or write "" for an empty text
    f.yaml:3:4: parameter `c`: expected a text, a number or true or false, found a mapping
      help: a parameter is one value
    f.yaml:4:1: `a` is already there, on line 1
      help: keep one of them
    "#);
    insta::assert_snapshot!(wrong("- a: 1\n"), @r"
    f.yaml:1:1: parameters are a mapping from names to values, found a list
      help: write `NAME: VALUE` on a line each
    ");
    insta::assert_snapshot!(wrong(""), @r"
    f.yaml:1:1: the file holds no parameters
      help: write `NAME: VALUE` on a line each, or {} for none
    ");
    let secret = "wJalrXUtnFEMIEXAMPLEKEY";
    for text in [
        format!("aws_secret_access_key: {secret}\n"),
        format!("password:\n  {secret}\n"),
        format!("\"pass\\x77ord\": {secret}\n"),
        format!("{{\"password\":\n\"{secret}\"}}"),
    ] {
        let found = wrong(&text);
        assert_eq!(found.matches("credential").count(), 3, "{found}");
        assert!(!found.contains(secret), "{found}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_or_read(text in any::<String>()) {
        let _ = parse_params_file(&text, "f.yaml");
    }

    #[test]
    fn json_texts_come_back(values in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,12}", 1..6)) {
        let json = serde_json::to_string(&values).unwrap();
        prop_assert_eq!(parse_params_file(&json, "f.json"), Ok(values));
    }
}
