//! The service's JSONPath: what is a filter of its, what is not and where, and for which records.

use gristmill_plan::filter::{Filter, Records, Step};
use gristmill_plan::limits::Limits;
use proptest::prelude::*;

use crate::support::{plan, problems_of, spec};

fn parse(text: &str) -> Result<Filter, String> {
    Filter::parse(text, &Limits::default())
        .map_err(|wrong| format!("{}: {wrong} ({})", wrong.at, wrong.help))
}

fn wrong(text: &str) -> String {
    parse(text).unwrap_err()
}

#[test]
fn every_operator_of_the_guide_is_read() {
    let names = |names: &[&str]| Step::Names(names.iter().map(|n| (*n).to_owned()).collect());
    let range = |start, end| Step::Range { start, end };
    for (text, steps) in [
        ("$", vec![]),
        ("$.id", vec![names(&["id"])]),
        ("$.id.*", vec![names(&["id"]), Step::Any]),
        ("$[*]", vec![Step::Any]),
        (
            "$['id','SageMakerOutput']",
            vec![names(&["id", "SageMakerOutput"])],
        ),
        (
            "$.field1.['child1','child2']",
            vec![names(&["field1"]), names(&["child1", "child2"])],
        ),
        ("$['a.b']", vec![names(&["a.b"])]),
        ("$[1]", vec![Step::Indexes(vec![1])]),
        ("$[1,3,5]", vec![Step::Indexes(vec![1, 3, 5])]),
        ("$[0,-1]", vec![Step::Indexes(vec![0, -1])]),
        ("$[2:5]", vec![range(Some(2), Some(5))]),
        ("$[:5]", vec![range(None, Some(5))]),
        ("$[2:]", vec![range(Some(2), None)]),
        ("$[-2:]", vec![range(Some(-2), None)]),
        (
            "$.features[0:2]",
            vec![names(&["features"]), range(Some(0), Some(2))],
        ),
    ] {
        let filter = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.steps().cloned().collect::<Vec<_>>(), steps, "{text}");
        assert_eq!(filter.is_root(), text == "$");
    }
}

#[test]
fn what_the_service_refuses_is_told_with_its_place() {
    // What it said of this one: "only single range filters of format (eg: [1:5]) are supported".
    insta::assert_snapshot!(wrong("$[0:2,246:]"), @"5: mixes ranges and places, or has two ranges; only one range such as `[1:5]` is supported (list the places, `$[0,5,6]`, or put the columns that are kept first and use one open range, `$[2:]`)");
    let all = [
        "",
        "id",
        "$a",
        "$.",
        "$..id",
        "$.a b",
        "$.a.length()",
        "$[",
        "$[]",
        "$[0",
        "$[0]x",
        "$[x]",
        "$[0, 1]",
        "$[ 0]",
        "$[0,5:]",
        "$[1:2:3]",
        "$[:]",
        "$[1,]",
        "$[99999999999]",
        "$[?(@.a)]",
        "$[\"a\"]",
        "$['a]",
        "$['']",
        "$['a',b]",
        "$['a', 'b']",
        "$['a','b.c']",
        "$['a',0]",
        "$[+1]",
        "$[--1]",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|text| format!("{text:14} {}", wrong(text)))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
                   0: must begin with `$`, found the end (`$` alone keeps everything)
    id             0: must begin with `$`, found `i` (`$` alone keeps everything)
    $a             1: expected `.` or `[`, found `a` (after `$` come steps such as `.name`, `['name']`, `[0]` or `[1:]`)
    $.             2: expected a name after `.`, found the end (a name with other characters than letters, digits, `_` and `-` stands in brackets: `['a b']`)
    $..id          1: `..`, a search in all depths, is not supported (the service knows `$`, `.name`, `*`, `['a','b']`, `[0,-1]` and `[1:]`)
    $.a b          3: expected `.` or `[`, found ` ` (after `$` come steps such as `.name`, `['name']`, `[0]` or `[1:]`)
    $.a.length()   10: a function is not supported (the service knows `$`, `.name`, `*`, `['a','b']`, `[0,-1]` and `[1:]`)
    $[             2: expected a whole number, found the end (places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`)
    $[]            2: expected a whole number, found `]` (places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`)
    $[0            3: expected `,` or `]`, found the end (close the brackets)
    $[0]x          4: expected `.` or `[`, found `x` (after `$` come steps such as `.name`, `['name']`, `[0]` or `[1:]`)
    $[x]           2: expected a whole number, found `x` (places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`)
    $[0, 1]        4: expected a whole number, found ` ` (remove the blank)
    $[ 0]          2: expected a whole number, found ` ` (remove the blank)
    $[0,5:]        5: mixes ranges and places, or has two ranges; only one range such as `[1:5]` is supported (list the places, `$[0,5,6]`, or put the columns that are kept first and use one open range, `$[2:]`)
    $[1:2:3]       5: mixes ranges and places, or has two ranges; only one range such as `[1:5]` is supported (list the places, `$[0,5,6]`, or put the columns that are kept first and use one open range, `$[2:]`)
    $[:]           3: has a range with neither a start nor an end (`$` alone keeps everything)
    $[1,]          4: expected a whole number, found `]` (places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`)
    $[99999999999] 2: `99999999999` is no place (places count from 0)
    $[?(@.a)]      2: a condition is not supported (the service knows `$`, `.name`, `*`, `['a','b']`, `[0,-1]` and `[1:]`)
    $["a"]         2: names stand in single quotes, found `"` (write `['name']`)
    $['a]          5: expected the name's closing `'`, found the end (a name cannot hold `'`, `\` or control characters)
    $['']          3: has a name without characters (write `['name']`)
    $['a',b]       6: expected a name in single quotes, found `b` (write `['a','b']`, without blanks)
    $['a', 'b']    6: expected a name in single quotes, found ` ` (write `['a','b']`, without blanks)
    $['a','b.c']   6: `b.c`: of several names in brackets none may hold a `.` (the service does not go deeper there: name attributes of one level)
    $['a',0]       6: expected a name in single quotes, found `0` (write `['a','b']`, without blanks)
    $[+1]          2: expected a whole number, found `+` (places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`)
    $[--1]         3: expected a whole number, found `-` (places count from 0, or from the end: `$[0,-1]`; names need quotes: `['age']`)
    "#);
}

#[test]
fn a_filter_has_63_characters_at_most() {
    let named = |n: usize| format!("$.{}", "é".repeat(n - 2));
    parse(&named(63)).unwrap();
    insta::assert_snapshot!(wrong(&named(64)), @"63: has 64 characters; the service takes at most 63 (put the columns that are kept apart first in `prepare.select`: then one open range such as `$[2:]` is enough)");
}

#[test]
fn records_of_csv_are_arrays_and_those_of_json_lines_objects() {
    let fits = |text: &str, records| parse(text).unwrap().fits(records).is_ok();
    for text in ["$", "$[0]", "$[0,-1]", "$[3:]", "$[-2:]"] {
        assert!(fits(text, Records::Csv), "{text}");
    }
    for text in [
        "$.a", "$['a']", "$[*]", "$.*", "$[0][1]", "$[0].a", "$[1:4]", "$[:-1]", "$[:5]",
    ] {
        assert!(!fits(text, Records::Csv), "{text}");
    }
    for text in ["$", "$.a", "$['a','b']", "$.*", "$.a[0]", "$.a[1:]"] {
        assert!(fits(text, Records::JsonLines), "{text}");
    }
    for text in ["$[0]", "$[1:]", "$.a[1:4]"] {
        assert!(!fits(text, Records::JsonLines), "{text}");
    }
    let end = parse("$[1:4]").unwrap().fits(Records::Csv).unwrap_err();
    assert_eq!(
        (end.at, end.help.as_str()),
        (1, "write `[1,2,3]` or `[1,2,3,4]`, as you mean it")
    );
}

#[test]
fn places_are_within_the_columns() {
    let within = |text: &str| parse(text).unwrap().within(3).is_ok();
    for text in ["$", "$[2]", "$[0,-3]", "$[2:]", "$[-3:]"] {
        assert!(within(text), "{text}");
    }
    for text in ["$[3]", "$[-4]", "$[0,3]", "$[3:]", "$[-4:]"] {
        assert!(!within(text), "{text}");
    }
}

/// `FINE` with an input filter as written.
fn with_filter(scalar: &str) -> String {
    problems_of(&[(
        "instance_type: ml.m5.xlarge",
        &format!("instance_type: ml.m5.xlarge\n  data_processing: {{ input_filter: {scalar} }}"),
    )])
}

#[test]
fn the_column_is_that_of_the_character_in_the_file() {
    let column = |scalar: &str| {
        let told = with_filter(scalar);
        let place = told.split(": ").next().unwrap().to_owned();
        place.rsplit(':').next().unwrap().parse::<usize>().unwrap()
    };
    // The scalar begins at column 36.
    for (scalar, at) in [
        ("'$[0]x'", 36 + 5),
        ("\"$[0]x\"", 36 + 5),
        ("'$[''a''x'", 36 + 8),
        ("\"$['a'x\"", 36 + 6),
        ("'$[''é'',x]'", 36 + 9),
        // A character that is escaped: the scalar's beginning.
        ("\"$[\\x30]x\"", 36),
    ] {
        assert_eq!(column(scalar), at, "{scalar}");
    }
}

#[test]
fn columns_that_only_the_input_shows_are_checked_when_they_are_known() {
    let edits = |filter: &str| {
        [
            (
                "  select: [month, day, distance]\n",
                "  drop: [day]\n".to_owned(),
            ),
            (
                "instance_type: ml.m5.xlarge",
                format!(
                    "instance_type: ml.m5.xlarge\n  data_processing: {{ input_filter: '{filter}' }}"
                ),
            ),
        ]
    };
    let drafted = |filter: &str| {
        let edits = edits(filter);
        let edits: Vec<(&str, &str)> = edits.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let drafted = gristmill_plan::draft(
            &spec(&edits),
            &crate::support::inventory(),
            &crate::support::sample(),
        );
        drafted
            .map(|plan| plan.columns.shards.len())
            .map_err(|p| p.to_string())
    };
    assert_eq!(drafted("$[2]"), Ok(3));
    insta::assert_snapshot!(drafted("$[0,3]").unwrap_err(), @r"
    p.yaml:17:38: `transform.data_processing.input_filter`: `$[0,3]`: asks for column 3, but what it is applied to has 3
      help: columns count from 0: here 0 to 2
    ");
}

#[test]
fn filters_go_into_the_request() {
    let plan = plan(&[(
        "instance_type: ml.m5.xlarge",
        "instance_type: ml.m5.xlarge\n  data_processing: { input_filter: '$[1:]', output_filter: '$[0,-1]', join_source: input }",
    )]);
    let request = serde_json::to_value(&plan.request).unwrap();
    insta::assert_snapshot!(request["DataProcessing"], @r#"{"InputFilter":"$[1:]","OutputFilter":"$[0,-1]","JoinSource":"Input"}"#);
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Zéß_0-9 .$\\[-]{1,4}"
}

fn step() -> impl Strategy<Value = Step> {
    let bound = || proptest::option::of(-99..99i32);
    prop_oneof![
        Just(Step::Any),
        name().prop_map(|name| Step::Names(vec![name])),
        proptest::collection::vec("[a-z ]{1,3}", 2..4).prop_map(Step::Names),
        proptest::collection::vec(-99..99i32, 1..4).prop_map(Step::Indexes),
        (bound(), bound())
            .prop_filter("one of them", |(a, b)| a.is_some() || b.is_some())
            .prop_map(|(start, end)| Step::Range { start, end }),
    ]
}

fn written(steps: &[Step]) -> String {
    let steps = steps.iter().map(ToString::to_string);
    std::iter::once("$".to_owned()).chain(steps).collect()
}

proptest! {
    #[test]
    fn what_is_written_reads_back(steps in proptest::collection::vec(step(), 0..4)) {
        let text = written(&steps);
        let filter = parse(&text).unwrap();
        prop_assert_eq!(filter.steps().cloned().collect::<Vec<_>>(), steps);
        prop_assert_eq!(filter.to_string(), text);
    }

    /// The grammar said again, by a regular expression.
    #[test]
    fn what_the_grammar_makes_is_read(
        text in r"\$((\.[a-z_]{1,3}|\.\*|\[\*\]|\.?\[-?[0-9]{1,2}(,-?[0-9]{1,2}){0,2}\]|\[-?[0-9]{1,2}:(-?[0-9])?\]|\[:[0-9]\]|\.?\['[a-z ]{1,3}'(,'[a-z ]{1,3}'){0,2}\])){0,3}"
    ) {
        prop_assert!(parse(&text).is_ok(), "{}", text);
    }

    /// A character less, more or other: read or not, the place is inside, and what is read is read
    /// again from what it is written as.
    #[test]
    fn nothing_panics_and_places_are_inside(
        steps in proptest::collection::vec(step(), 0..4),
        at in any::<prop::sample::Index>(),
        other in proptest::option::of("[\\[\\]'\".,:*?$0-9a ()@é-]"),
    ) {
        let mut chars: Vec<char> = written(&steps).chars().collect();
        let at = at.index(chars.len());
        chars.splice(at..=at, other.iter().flat_map(|text| text.chars()));
        let text: String = chars.into_iter().collect();
        match Filter::parse(&text, &Limits::default()) {
            Ok(filter) => {
                let again = parse(&filter.to_string()).unwrap();
                prop_assert!(again.steps().eq(filter.steps()));
            }
            Err(wrong) => prop_assert!(wrong.at <= text.chars().count(), "{:?}", wrong),
        }
    }

    #[test]
    fn any_text_has_an_answer(text in any::<String>()) {
        if let Err(wrong) = Filter::parse(&text, &Limits::default()) {
            prop_assert!(wrong.at <= text.chars().count());
            prop_assert!(!wrong.help.is_empty());
        }
    }

    #[test]
    fn places_that_fit_are_those_that_pick_something(index in -9..9i32, columns in 1..9usize) {
        let filter = parse(&format!("$[{index}]")).unwrap();
        let from_end = columns as i64 + i64::from(index);
        let place = if index < 0 { from_end } else { i64::from(index) };
        let picked = usize::try_from(place).ok().and_then(|place| (0..columns).nth(place));
        prop_assert_eq!(filter.within(columns).is_ok(), picked.is_some());
    }
}
