#![allow(clippy::unwrap_used)]

use super::csv::Filter;
use super::*;
use crate::assume::{SliceEnd, SliceOverrun};

fn assuming(slice_end: SliceEnd) -> Assumptions {
    Assumptions {
        slice_end,
        ..Assumptions::default()
    }
}

fn processing(input: &str, output: &str, join: bool) -> Processing {
    of(Records::Csv, input, output, join)
}

fn of(records: Records, input: &str, output: &str, join: bool) -> Processing {
    let request = DataProcessing {
        input_filter: Some(input.to_owned()),
        output_filter: Some(output.to_owned()),
        join_source: join.then(|| "Input".to_owned()),
    };
    Processing::parse(Some(&request), records, Assumptions::default())
        .unwrap()
        .unwrap()
}

fn picked(path: &str, slice_end: SliceEnd) -> Result<String, ProcessingError> {
    let filter = Filter::parse(path, assuming(slice_end)).unwrap();
    let out = csv::request(&filter, b"a,b,c,d,e\n")?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn filters_pick_by_index_and_by_range() {
    for (path, exclusive, inclusive) in [
        ("$", "a,b,c,d,e\n", "a,b,c,d,e\n"),
        ("$[2]", "c\n", "c\n"),
        ("$[0,-1]", "a,e\n", "a,e\n"),
        ("$[4, 0 ,0]", "e,a,a\n", "e,a,a\n"),
        ("$[1:]", "b,c,d,e\n", "b,c,d,e\n"),
        ("$[-2:]", "d,e\n", "d,e\n"),
        ("$[1:4]", "b,c,d\n", "b,c,d,e\n"),
        ("$[:1]", "a\n", "a,b\n"),
        ("$[:-1]", "a,b,c,d\n", "a,b,c,d,e\n"),
    ] {
        assert_eq!(
            picked(path, SliceEnd::Exclusive).unwrap(),
            exclusive,
            "{path}"
        );
        assert_eq!(
            picked(path, SliceEnd::Inclusive).unwrap(),
            inclusive,
            "{path}"
        );
    }
}

#[test]
fn what_a_record_does_not_have_is_an_error() {
    for path in [
        "$[5]", "$[-6]", "$[0,5]", "$[5:]", "$[1:6]", "$[3:2]", "$[:-6]",
    ] {
        let error = picked(path, SliceEnd::Exclusive).unwrap_err();
        let expected = format!("record 1 of a request: {path} is not within its 5 columns");
        assert_eq!(error.to_string(), expected);
    }
    picked("$[1:5]", SliceEnd::Exclusive).unwrap();
    picked("$[1:5]", SliceEnd::Inclusive).unwrap_err();
}

#[test]
fn a_range_may_be_clipped() {
    let clip = Assumptions {
        slice_overrun: SliceOverrun::Clip,
        ..Assumptions::default()
    };
    let filter = Filter::parse("$[3:9]", clip).unwrap();
    assert_eq!(csv::request(&filter, b"a,b,c,d,e\n").unwrap(), b"d,e\n");
    csv::request(&filter, b"a,b,c\n").unwrap_err();
}

#[test]
fn what_is_no_filter_of_csv_is_refused() {
    let why = |path| {
        Filter::parse(path, Assumptions::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        why("$[0:2,246:]"),
        "Invalid JsonPath: $[0:2,246:]: only single range filters of format (eg: [1:5]) are supported"
    );
    for path in [
        "",
        "$.a",
        "$['a']",
        "$[]",
        "$[0",
        "[0]",
        "$[x]",
        "$[1:2:3]",
        "$[0]x",
        "$[99999999999999999999]",
    ] {
        assert!(why(path).contains("expected indexes"), "{path}");
    }
}

#[test]
fn a_join_puts_the_unfiltered_record_before_the_answer() {
    let joined = processing("$[1:]", "$", true);
    let body = b"7,\"x, \"\"y\"\"\",1\r\n8,,2";
    assert_eq!(joined.request(body).unwrap(), b"\"x, \"\"y\"\"\",1\n,2\n");
    let out = joined.reply(body, b"0.5\n0.25").unwrap();
    assert_eq!(out, b"7,\"x, \"\"y\"\"\",1,0.5\n8,,2,0.25\n");
    let ids = processing("$[1:]", "$[0,-1]", true);
    assert_eq!(ids.reply(body, b"0.5\n0.25\n").unwrap(), b"7,0.5\n8,0.25\n");
}

#[test]
fn without_a_join_the_output_filter_sees_the_answer_alone() {
    let first = processing("$", "$[0]", false);
    assert_eq!(first.request(b"1,2\n").unwrap(), b"1,2\n");
    assert_eq!(first.reply(b"1,2\n", b"8,9\n").unwrap(), b"8\n");
}

#[test]
fn another_number_of_answers_is_an_error() {
    let joined = processing("$", "$", true);
    for (reply, found) in [(&b"1\n"[..], 1), (b"1\n2\n3\n", 3), (b"", 0)] {
        let error = joined.reply(b"a\nb\n", reply).unwrap_err();
        assert_eq!(error, ProcessingError::Records { expected: 2, found });
    }
    let open = joined.reply(b"a\n\"b\n", b"1\n2\n").unwrap_err();
    assert_eq!(open, ProcessingError::Quote { record: 2 });
}

proptest::proptest! {
    #[test]
    fn joined_cells_are_those_of_both_sides(rows in proptest::collection::vec(("[a-z\" ]{0,6}", "[0-9,]{0,6}"), 1..8)) {
        let body: String = rows.iter().map(|(cell, _)| format!("\"{}\",1\n", cell.replace('"', "\"\""))).collect();
        let reply: String = rows.iter().map(|(_, answer)| format!("{answer}\n")).collect();
        let joined = processing("$", "$", true).reply(body.as_bytes(), reply.as_bytes()).unwrap();
        let expected: String = body.lines().zip(reply.lines()).map(|(b, r)| format!("{b},{r}\n")).collect();
        proptest::prop_assert_eq!(String::from_utf8(joined).unwrap(), expected);
    }

    #[test]
    fn no_filter_and_no_bytes_make_it_panic(path in "\\$?\\[?[-0-9,:a-z]{0,8}\\]?", body: Vec<u8>, reply: Vec<u8>) {
        let request = DataProcessing { input_filter: Some(path), output_filter: None, join_source: Some("Input".to_owned()) };
        if let Ok(Some(processing)) = Processing::parse(Some(&request), Records::Csv, assuming(SliceEnd::Inclusive)) {
            let _ = processing.request(&body);
            let _ = processing.reply(&body, &reply);
        }
    }
}

fn json_lines(input: &str, output: &str, join: bool) -> Processing {
    of(Records::JsonLines, input, output, join)
}

/// What the model gets of a record.
fn asked(input: &str, record: &str) -> Result<String, ProcessingError> {
    let sent = of(Records::Json, input, "$[0]", false).request(record.as_bytes())?;
    Ok(String::from_utf8(sent).unwrap())
}

#[test]
fn json_filters_pick_by_name_and_by_place() {
    let record = r#"{"id": 7, "x": {"a": 1.50, "b": [1, 2e3, 3]}, "l": [{"k": 1}, {"k": 2}]}"#;
    for (path, expected) in [
        ("$", record),
        ("$.id", "7"),
        ("$['id']", "7"),
        ("$.x.a", "1.50"),
        ("$['x'].b[-1]", "3"),
        ("$.x.b[0,2]", "[1,3]"),
        ("$.x.b[1:]", "[2e3,3]"),
        ("$.x.b[0:1]", "[1]"),
        ("$['l','id']", r#"{"l":[{"k": 1}, {"k": 2}],"id":7}"#),
        ("$.l[*].k", "[1,2]"),
        ("$.l.*.k", "[1,2]"),
        ("$.x[*]", "[1.50,[1, 2e3, 3]]"),
        ("$.l[0,1].k", "[1,2]"),
    ] {
        assert_eq!(asked(path, record).unwrap(), expected, "{path}");
    }
    for path in [
        "$.no",
        "$.id.a",
        "$[0]",
        "$.x.b[3]",
        "$.x.b[1:9]",
        "$['id','no']",
        "$.l[*].no",
    ] {
        let missing = ProcessingError::Missing {
            record: 1,
            path: path.to_owned(),
        };
        assert_eq!(asked(path, record), Err(missing));
    }
    assert!(matches!(
        asked("$.id", "{"),
        Err(ProcessingError::Json { record: 1, .. })
    ));
}

#[test]
fn what_is_no_filter_of_json_is_refused() {
    let refused = |path: &str| {
        let request = DataProcessing {
            input_filter: Some(path.to_owned()),
            ..DataProcessing::default()
        };
        let parsed = Processing::parse(Some(&request), Records::Json, Assumptions::default());
        parsed.unwrap_err().to_string()
    };
    assert!(refused("$.a[0:2,5:]").contains("only single range filters"));
    for path in [
        "",
        "a",
        "$a",
        "$.",
        "$..a",
        "$['a",
        "$[]",
        "$['']",
        "$['a','b'].c",
        "$[?(@.a)]",
        "$[0]]",
    ] {
        assert!(refused(path).contains("expected $ and then"), "{path}");
    }
}

#[test]
fn json_lines_are_joined_record_by_record() {
    let joined = json_lines("$.features", "$", true);
    let body = b"{\"features\": [1,2], \"SageMakerOutput\": 9}\n{\"features\":[3]}";
    assert_eq!(joined.request(body).unwrap(), b"[1,2]\n[3]\n");
    let out = joined.reply(body, b"0.5\n{\"p\": 1.0}\n").unwrap();
    let expected = "{\"features\":[1,2],\"SageMakerOutput\":0.5}\n{\"features\":[3],\"SageMakerOutput\":{\"p\": 1.0}}\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let one = joined.reply(body, b"0.5\n").unwrap_err();
    assert_eq!(
        one,
        ProcessingError::Records {
            expected: 2,
            found: 1
        }
    );
    let scores = json_lines("$", "$['id','SageMakerOutput']", true);
    let out = scores.reply(b"{\"x\":1,\"id\":\"a\"}\n", b"0.5").unwrap();
    assert_eq!(out, b"{\"id\":\"a\",\"SageMakerOutput\":0.5}\n");
}

#[test]
fn a_json_input_that_is_no_object_becomes_one() {
    let joined = of(Records::Json, "$", "$", true);
    let out = joined.reply(b"[1,2]", b"{\"p\":1}").unwrap();
    assert_eq!(
        out,
        b"{\"SageMakerInput\":[1,2],\"SageMakerOutput\":{\"p\":1}}"
    );
    let alone = of(Records::Json, "$", "$.p", false);
    assert_eq!(alone.reply(b"[1,2]", b"{\"p\": 0.10}").unwrap(), b"0.10");
}

#[test]
fn further_fields_are_put_into_records() {
    let with = |record: &str| with_fields(record.as_bytes(), &[("id", "x\"")]);
    assert_eq!(with(r#"{"a": 1,"id":2}"#).unwrap(), r#"{"a":1,"id":"x\""}"#);
    assert_eq!(
        with("0.5").unwrap(),
        r#"{"SageMakerOutput":0.5,"id":"x\""}"#
    );
    assert_eq!(with("nothing"), None);
}

proptest::proptest! {
    #[test]
    fn no_json_filter_and_no_bytes_make_it_panic(path in "\\$[-0-9,:a-z.*'\\[\\]]{0,9}", body: Vec<u8>, reply: Vec<u8>) {
        let request = DataProcessing { input_filter: Some(path.clone()), output_filter: Some(path), join_source: Some("Input".to_owned()) };
        for records in [Records::Json, Records::JsonLines] {
            if let Ok(Some(processing)) = Processing::parse(Some(&request), records, Assumptions::default()) {
                let _ = processing.request(&body);
                let _ = processing.reply(&body, &reply);
            }
        }
    }
}
