//! Price files: what is in one, and what is wrong with one.

use gristmill_plan::prices::{EXAMPLE, Prices, parse_prices};

#[test]
fn the_example_is_a_price_file_of_types_that_are_known() {
    let prices = Prices::example();
    assert_eq!(prices.file, EXAMPLE);
    assert!(prices.per_hour.len() > 20, "{prices:?}");
    let known: Vec<String> = gristmill_plan::instance_types::known().collect();
    for (name, price) in &prices.per_hour {
        assert!(known.contains(name) && *price > 0.0, "{name}: {price}");
        assert!(
            gristmill_plan::instance_types::machine(name).is_some(),
            "{name}"
        );
    }
    assert_eq!(prices.of("ml.m5.xlarge", Some("us-east-1")), Ok(0.23));
}

#[test]
fn a_price_that_is_not_there_is_not_guessed() {
    let prices = Prices::example();
    let why = |type_: &str, region| prices.of(type_, region).unwrap_err();
    insta::assert_snapshot!(why("ml.z9.huge", Some("us-east-1")), @"the prices (built-in example) have no ml.z9.huge");
    insta::assert_snapshot!(why("ml.m5.xlarge", Some("eu-west-1")), @"the prices (built-in example) are those of us-east-1, and this is eu-west-1");
    insta::assert_snapshot!(why("ml.m5.xlarge", None), @"no region is set, and the prices (built-in example) are those of us-east-1");
}

#[test]
fn json_is_a_price_file_too() {
    let json = r#"{"as_of":"2026-11-01","region":"eu-west-1","currency":"EUR","per_hour":{"ml.m5.xlarge":1}}"#;
    let prices = parse_prices(json, "p.json").unwrap();
    assert_eq!(
        (prices.currency.as_str(), prices.per_hour["ml.m5.xlarge"]),
        ("EUR", 1.0)
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let wrong = "\
as_of: 01.11.2026
region: ''
currency: dollars
hourly: 3
per_hour:
  m5.xlarge: 0.2
  ml.m5.xlarge: free
  ml.c5.xlarge: -1
";
    insta::assert_snapshot!(parse_prices(wrong, "p.yaml").unwrap_err(), @r"
    p.yaml:1:8: `prices.as_of`: `01.11.2026` is not a day as YYYY-MM-DD
    p.yaml:2:9: `prices.region`: must not be empty
    p.yaml:3:11: `prices.currency`: `dollars` is not a currency of three capital letters such as USD
    p.yaml:4:1: unknown key `hourly` in `prices`
      help: the keys here are as_of, region, currency, per_hour
    p.yaml:6:14: `m5.xlarge` is not of the form `ml.<family>.<size>`
    p.yaml:7:17: `prices.per_hour.ml.m5.xlarge`: expected a number of at least 0, found the text `free`
    p.yaml:8:17: `prices.per_hour.ml.c5.xlarge`: expected a number of at least 0, found -1
    ");
    insta::assert_snapshot!(parse_prices("", "p.yaml").unwrap_err(), @r"
    p.yaml:1:1: the file holds no prices
      help: it needs `as_of`, `region`, `currency` and `per_hour`: { ml.m5.xlarge: 0.23 }
    ");
    insta::assert_snapshot!(parse_prices("- 1", "p.yaml").unwrap_err(), @"p.yaml:1:1: `prices`: expected a mapping, found a list");
}
