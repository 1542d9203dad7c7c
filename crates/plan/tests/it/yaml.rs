//! What is YAML to us, and what is not.

use crate::support::{FINE, problems, problems_of};

#[test]
fn a_broken_file_has_a_place() {
    insta::assert_snapshot!(problems("version: 1\nname: [a\nsource: x\n"), @"[syntax] p.yaml:3:7: not valid YAML: illegal placement of ':' indicator");
    insta::assert_snapshot!(problems("version: 1\n\tname: a\n"), @r"
    [syntax] p.yaml:1:10: not valid YAML: while scanning a plain scalar, found a tab
      help: YAML is indented with spaces, never with tabs
    ");
    insta::assert_snapshot!(problems("name: \"a\nb: 1\n"), @"[syntax] p.yaml:1:7: not valid YAML: invalid indentation in quoted scalar");
}

#[test]
fn a_key_twice_is_found_wherever_it_is() {
    insta::assert_snapshot!(problems_of(&[("  format: csv", "  format: csv\n  max_rows: 5\n  format: csv.gz")]), @r"
    [duplicate-key] p.yaml:15:3: `format` is already there, on line 13
      help: keep one of them
    ");
}

#[test]
fn what_could_surprise_is_refused() {
    insta::assert_snapshot!(problems(&format!("{FINE}---\nversion: 1\n")), @"[unsupported-yaml] p.yaml:21:1: a second document begins here; a file holds one pipeline");
    insta::assert_snapshot!(problems("version: 1\nname: &n a\nsource: *n\n"), @r"
    [unsupported-yaml] p.yaml:2:7: YAML anchors and aliases (`&…`, `*…`) are not accepted
      help: write the value out; a text that begins with `*` or `&` needs quotes
    ");
    insta::assert_snapshot!(problems("version: !!int 1\n"), @"[unsupported-yaml] p.yaml:1:10: YAML tags (`!…`) are not accepted");
    insta::assert_snapshot!(problems("? [a, b]\n: 1\n"), @r#"
    [syntax] p.yaml:1:3: a key must be plain text, not a list or a mapping
      help: a template needs quotes: "{{ … }}"
    "#);
}

#[test]
fn a_template_without_quotes_says_so() {
    insta::assert_snapshot!(problems_of(&[("model: late-v1", "model: {{ params.run_date }}")]), @r#"
    [syntax] p.yaml:15:10: a key must be plain text, not a list or a mapping
      help: a template needs quotes: "{{ … }}"
    "#);
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = format!("a: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    insta::assert_snapshot!(problems(&deep), @"[too-large] p.yaml:1:259: nested more than 32 levels deep");
    let many = format!("a: [{}]\n", "1,".repeat(200_000));
    insta::assert_snapshot!(problems(&many), @"[too-large] p.yaml:1:200003: the file has more than 100000 keys and values");
    let long = " ".repeat((1 << 20) + 1);
    insta::assert_snapshot!(problems(&long), @"[too-large] p.yaml:1:1: the file has 1048577 bytes; at most 1048576 are read");
}

#[test]
fn plain_yes_and_no_are_texts() {
    assert_eq!(
        problems_of(&[("[month, day, distance]", "[yes, no, y, n, on, off]")]),
        ""
    );
    assert_eq!(
        problems_of(&[("[month, day, distance]", "['2013', \"007\", 'true', '']")])
            .lines()
            .count(),
        1
    );
}

#[test]
fn places_count_characters_and_survive_crlf_and_a_byte_order_mark() {
    insta::assert_snapshot!(problems_of(&[("[month, day, distance]", "[名前, 名前]")]), @"[column] p.yaml:11:16: `prepare.select` names `名前` twice");
    let windows = format!(
        "\u{feff}{}",
        FINE.replace("late-v1", "late_v1").replace('\n', "\r\n")
    );
    insta::assert_snapshot!(problems(&windows), @"[bad-value] p.yaml:15:10: `transform.model`: `late_v1` holds `_`; only letters, digits and `-` are allowed");
}
