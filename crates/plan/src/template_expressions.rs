//! Where the expressions of a template are in a text, as far as can be told without reading them.

/// The expressions of a text, each with its braces; one with more braces inside is taken to go on to
/// the end of the text.
pub(crate) fn expressions(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find("{{")?..];
        let mut quote = None;
        let (mut end, mut inner) = (rest.len(), false);
        let bytes = rest.as_bytes();
        let mut at = 2;
        while at < bytes.len() {
            match (quote, bytes[at]) {
                (Some(_), b'\\') => at += 1,
                (Some(open), byte) if byte == open => quote = None,
                (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
                (None, b'{') => inner = true,
                (None, b'}') if !inner && bytes[at..].starts_with(b"}}") => {
                    end = at + 2;
                    break;
                }
                _ => {}
            }
            at += 1;
        }
        let (found, after) = rest.split_at(end);
        rest = after;
        Some(found)
    })
}

/// Whether there is a `*` in an expression outside its texts.
pub(crate) fn multiplies(expression: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    for byte in expression.bytes() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if byte == b'\\' => escaped = true,
            Some(open) if byte == open => quote = None,
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None if byte == b'*' => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;

    #[test]
    fn expressions_end_at_braces_outside_of_texts() {
        let of = |text| expressions(text).collect::<Vec<_>>();
        assert_eq!(of("s3://{{ a }}/{{ b }}/*.csv"), ["{{ a }}", "{{ b }}"]);
        assert_eq!(of(r#"{{ "}}\"}}" }}x"#), [r#"{{ "}}\"}}" }}"#]);
        assert_eq!(of("{{ {1: {2: 3}} }} x"), ["{{ {1: {2: 3}} }} x"]);
        assert_eq!(of("{{ a"), ["{{ a"]);
        assert!(of("a } }").is_empty());
    }

    #[test]
    fn a_star_in_a_text_multiplies_nothing() {
        assert!(multiplies("{{ 2 * 3 }}") && multiplies(r#"{{ "\"" * 3 }}"#));
        assert!(!multiplies(r#"{{ "a*\"*" ~ '*' }}"#));
    }
}
