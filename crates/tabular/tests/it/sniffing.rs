//! Dialects found from the data: those that a table was written in, and none that would change it.

use gristmill_tabular::{
    Dialect, Found, NO_QUOTE, Stated, TabularError, settle_dialect, sniff_dialect, sniff_stated,
};
use proptest::prelude::*;

fn found(text: &str) -> String {
    let guess = sniff_stated(text.as_bytes(), true, &Stated::default());
    let options = guess.options().unwrap_or_else(|| "as usual".to_owned());
    format!("{options} ({:.2})", guess.confidence)
}

fn settled(text: &str) -> Result<(Dialect, Found, Option<String>), TabularError> {
    let settled = settle_dialect("in.csv", text.as_bytes(), true, &Stated::default())?;
    Ok((settled.dialect, settled.found, settled.advice))
}

#[test]
fn each_part_is_found() {
    insta::assert_snapshot!(found("id,name\n1,Ada\n2,Bob\n"), @"as usual (0.97)");
    insta::assert_snapshot!(found("id;v\n1;0,5\n2;1,5\n3;2,25\n"), @"--delimiter ';' (0.64)");
    insta::assert_snapshot!(found("id\tname\n1\tAda, B.\n2\tBob\n"), @"--delimiter tab (0.88)");
    insta::assert_snapshot!(found("a|b|c\n1|x;y|2\n3|z|4\n"), @"--delimiter '|' (0.94)");
    insta::assert_snapshot!(found("id,name\n1,'a, b'\n2,'c, d'\n3,'e'\n"), @r#"--quote "'" (0.99)"#);
    insta::assert_snapshot!(found("id,said\n1,\"a \\\"b\\\" c\"\n2,\"d\"\n3,\"e\"\n"), @r"--escape '\' (0.99)");
    insta::assert_snapshot!(found("# made by hand\nid,n\n# half\n1,2\n3,4\n5,6\n"), @"--comment '#' (0.99)");
    insta::assert_snapshot!(found("Report of May\n\nid,n,x\n1,2,a\n3,4,b\n5,6,c\n"), @"--skip-lines 2 (0.99)");
    insta::assert_snapshot!(found("1,2.5,x\n2,3.5,y\n3,4.5,z\n"), @"--header no (0.97)");
    insta::assert_snapshot!(found("a b c\n1 2 3\n4 5 6\n7 8 9\n"), @"--delimiter ' ' (0.63)");
    insta::assert_snapshot!(found("name\nAda\nBob\n"), @"as usual (0.49)");
    insta::assert_snapshot!(found(""), @"as usual (0.00)");
}

#[test]
fn what_is_usual_stays_as_it_is() {
    for text in [
        "a,b\n1,2\n",
        "a,b\n'x','y'\n'z','w'\n",
        "when\n2020-01-01 12:30:00\n2021-01-01 12:30:00\n",
        "first last\nAda Lovelace\nAlan Turing\n",
        "a,b\nx;y,1\nz,2\n",
        "name\nAda\n",
        "1\n2\n",
        "a\n",
        "",
    ] {
        let (dialect, from, _) = settled(text).unwrap();
        assert_eq!(
            (dialect, from),
            (Dialect::default(), Found::Default),
            "{text:?}"
        );
    }
}

#[test]
fn another_delimiter_is_used_only_where_it_is_sure() {
    let (dialect, from, _) = settled("a;b\n1;x,y\n2;'z'\n").unwrap();
    let semicolon = Dialect {
        delimiter: b';',
        ..Dialect::default()
    };
    assert_eq!((dialect, from), (semicolon, Found::Detected));
    let unclear = settled("a;b\n1;2\n3;4;5\n6;7;8;9\nx\n1;2\n5;6\n").unwrap_err();
    insta::assert_snapshot!(unclear, @"in.csv: the delimiter is unclear: most records have 1 column with ',' and 2 columns with ';': state it (source.delimiter, --delimiter)");
    let unclear = settled("a,b;c,d\n1,5;2,5\n3,5;4,5\n").map(|(dialect, ..)| dialect.delimiter);
    assert_eq!(unclear.unwrap(), b',', "as many columns as a comma makes");
}

#[test]
fn a_header_of_three_names_alone_is_a_table() {
    let delimiter = |text: &str| settled(text).unwrap().0.delimiter;
    assert_eq!(delimiter("id\tfirst name\tage in years\n"), b'\t');
    assert_eq!(delimiter("id of the row|the name|age"), b'|');
    assert_eq!(delimiter("the name|of one column\n"), b',');
    assert_eq!(delimiter("a,b;c;d\n"), b',');
}

#[test]
fn what_would_leave_out_lines_is_advised_not_done() {
    let advice = |text: &str| {
        let (dialect, from, advice) = settled(text).unwrap();
        assert_eq!(
            (dialect, from),
            (Dialect::default(), Found::Default),
            "{text:?}"
        );
        advice.unwrap_or_default()
    };
    insta::assert_snapshot!(advice("Report of May\n\nid,n,x\n1,2,a\n3,4,b\n5,6,c\n"), @"--skip-lines 2");
    insta::assert_snapshot!(advice("# by hand\nid,n\n# half\n1,2\n3,4\n5,6\n"), @"--comment '#'");
    insta::assert_snapshot!(advice("1,2.5,x\n2,3.5,y\n3,4.5,z\n"), @"--header no");
    insta::assert_snapshot!(advice("a,b\n1,2\n"), @"");
}

#[test]
fn an_escape_must_be_seen_to_the_end() {
    let text = "id,said\n1,\"a \\\"b\\\", c\"\n2,\"d\"\n3,\"e\"\n";
    let escaped = |text: &str, whole| {
        let settled = settle_dialect("in.csv", text.as_bytes(), whole, &Stated::default()).unwrap();
        settled.dialect.escape.map(char::from)
    };
    assert_eq!(escaped(text, true), Some('\\'));
    assert_eq!(escaped(text, false), None, "the rest may hold others");
    // As an escape it would be taken out of the path.
    let path = format!("{text}4,\"C:\\temp\"\n");
    assert_eq!(escaped(&path, true), None);
}

#[test]
fn what_is_stated_holds() {
    let text = b"a;b\n1;2\n3;4\n";
    let stated = Stated {
        delimiter: Some(b','),
        quote: Some(NO_QUOTE),
        header: Some(false),
        skip_lines: Some(1),
        ..Stated::default()
    };
    let guess = sniff_stated(text, true, &stated);
    assert_eq!(guess.dialect, stated.or_usual());
    assert_eq!(guess.confidence, 1.0);
    let settled = settle_dialect("in.csv", text, true, &stated).unwrap();
    assert_eq!(
        (settled.dialect, settled.found),
        (stated.or_usual(), Found::Stated)
    );
}

#[test]
fn a_dialect_is_the_same_after_json() {
    let odd = Dialect {
        delimiter: b'\t',
        quote: NO_QUOTE,
        escape: Some(b'\\'),
        comment: Some(b'#'),
        header: false,
        skip_lines: 3,
    };
    for dialect in [odd, Dialect::default()] {
        let text = serde_json::to_string(&dialect).unwrap();
        assert_eq!(
            serde_json::from_str::<Dialect>(&text).unwrap(),
            dialect,
            "{text}"
        );
    }
}

/// How a table is written.
#[derive(Debug, Clone, Copy)]
struct Written {
    delimiter: char,
    quote: char,
    backslash: bool,
    line_end: &'static str,
}

fn written() -> impl Strategy<Value = Written> {
    let delimiter = proptest::sample::select(&[',', '\t', ';', '|'][..]);
    let quote = proptest::sample::select(&['"', '\''][..]);
    let line_end = proptest::sample::select(&["\n", "\r\n", "\r"][..]);
    (delimiter, quote, any::<bool>(), line_end).prop_map(
        |(delimiter, quote, backslash, line_end)| Written {
            delimiter,
            quote,
            backslash,
            line_end,
        },
    )
}

/// Numbers, dates, words, and texts that hold every separator.
fn row() -> impl Strategy<Value = (i32, String, String, String)> {
    let date =
        (2000u32..2030, 1u32..13, 1u32..29).prop_map(|(y, m, d)| format!("{y}-{m:02}-{d:02}"));
    (
        any::<i32>(),
        date,
        "[A-Z][a-z]{1,8}",
        "[a-z]{1,5}[,;|\t\"' a-z]{0,12}[a-z]",
    )
}

fn text_of(how: Written, rows: &[(i32, String, String, String)]) -> String {
    let double = if how.backslash { '\\' } else { how.quote };
    let quoted = |text: &str| {
        let inner: String = text
            .chars()
            .flat_map(|c| (c == how.quote).then_some(double).into_iter().chain([c]))
            .collect();
        format!("{0}{inner}{0}", how.quote)
    };
    let mut text = format!("id{0}day{0}name{0}note{1}", how.delimiter, how.line_end);
    for (id, day, name, note) in rows {
        let cells = [id.to_string(), day.clone(), name.clone(), quoted(note)];
        text.push_str(&cells.join(&how.delimiter.to_string()));
        text.push_str(how.line_end);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_dialect_that_a_table_was_written_in_is_found(
        how in written(),
        rows in proptest::collection::vec(row(), 3..40),
    ) {
        let text = text_of(how, &rows);
        let guess = sniff_stated(text.as_bytes(), true, &Stated::default());
        prop_assert_eq!(char::from(guess.dialect.delimiter), how.delimiter, "{}", text);
        prop_assert_eq!(char::from(guess.dialect.quote), how.quote, "{}", text);
        prop_assert!(guess.dialect.header);
        prop_assert_eq!(guess.dialect.skip_lines, 0);
        let escaped = how.backslash && rows.iter().any(|r| r.3.contains(how.quote));
        prop_assert_eq!(guess.dialect.escape, escaped.then_some(b'\\'), "{}", text);
        prop_assert!(guess.confidence > 0.6, "{guess:?}: {}", text);
    }

    #[test]
    fn a_table_in_the_usual_dialect_is_read_in_it(
        rows in proptest::collection::vec(("[a-z;|\t' ]{0,8}", "[0-9;|\t' ]{0,8}", "[a-z;|\t]{1,4}"), 1..30),
    ) {
        let mut text = "a,b,c\n".to_owned();
        for (a, b, c) in rows {
            text.push_str(&format!("{a},{b},{c}\n"));
        }
        let settled = settle_dialect("in.csv", text.as_bytes(), true, &Stated::default());
        prop_assert_eq!(settled.unwrap().dialect, Dialect::default());
    }

    #[test]
    fn nothing_panics_and_confidences_are_shares(
        text in proptest::collection::vec(proptest::sample::select(&b"ab1.,;\t| :'\"\\#\n\r\x00\xff\x1f"[..]), 0..300),
        whole in any::<bool>(),
        skip_lines in proptest::option::of(0u64..4),
    ) {
        let stated = Stated { skip_lines, ..Stated::default() };
        let guess = sniff_stated(&text, whole, &stated);
        let parts = guess.confidences;
        for share in [guess.confidence, parts.delimiter, parts.quote, parts.escape, parts.comment, parts.skip_lines, parts.header] {
            prop_assert!((0.0..=1.0).contains(&share), "{guess:?}");
        }
        guess.dialect.check().unwrap();
        prop_assert_eq!(sniff_dialect(&text), sniff_stated(&text, false, &Stated::default()));
        let _ = settle_dialect("in.csv", &text, whole, &stated);
    }
}
