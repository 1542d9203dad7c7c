//! Names with wildcards: `*` stands for any characters, `?` for one.

/// Does `name` fit `pattern`, whole?
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not fit: that star takes one more.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (p, n) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The patterns of a rule; any of them may fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patterns(pub(super) Vec<String>);

impl Patterns {
    /// By the whole name or by what follows its last slash.
    pub(super) fn fit(&self, name: &str) -> bool {
        let base = name.rsplit('/').next().unwrap_or(name);
        self.0.iter().any(|p| fits(p, name) || fits(p, base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*-0000?.csv*", "run-00003.csv.gz", true),
            ("*-0000?.csv", "run-00013.csv", false),
            ("**b**", "abc", true),
            ("a?", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        let patterns = Patterns(vec!["x.csv".to_owned(), "in/y*".to_owned()]);
        assert!(patterns.fit("in/x.csv") && patterns.fit("in/y/z") && !patterns.fit("x.csv.gz"));
    }
}
