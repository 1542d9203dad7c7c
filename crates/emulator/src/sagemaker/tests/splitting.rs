use proptest::prelude::*;

use crate::assume::{Assumptions, BlankLines};
use crate::sagemaker::settings::Split;
use crate::sagemaker::split::{Cut, SplitError, split};

fn bodies(
    input: &[u8],
    split_type: Split,
    limit: u64,
    blank_lines: BlankLines,
) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut all = Vec::new();
    let cut = Cut {
        split: split_type,
        limit: Some(limit),
        assume: Assumptions {
            blank_lines,
            ..Assumptions::default()
        },
    };
    split(input, cut, &mut |body| {
        all.push(body);
        true
    })?;
    Ok(all)
}

fn longest_line(input: &[u8]) -> u64 {
    input
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0) as u64
}

proptest! {
    /// Whatever the payload: all bytes, in order, whole lines, within the limit, none empty, and no
    /// body that could have taken the next body's first line.
    #[test]
    fn bodies_put_together_are_the_input(input in "([a-c,]{0,9}\r?\n){0,40}[a-c]{0,5}", extra in 0u64..40) {
        let input = input.into_bytes();
        let limit = longest_line(&input) + extra;
        let all = bodies(&input, Split::Lines, limit, BlankLines::Send).unwrap();
        prop_assert_eq!(all.concat(), input);
        prop_assert!(all.iter().all(|b| !b.is_empty() && b.len() as u64 <= limit));
        for pair in all.windows(2) {
            prop_assert_eq!(pair[0].last(), Some(&b'\n'));
            let first = pair[1].split_inclusive(|b| *b == b'\n').next().unwrap();
            prop_assert!((pair[0].len() + first.len()) as u64 > limit);
        }
    }

    #[test]
    fn single_records_are_the_lines(input in "([a-c]{0,4}\n){0,20}[a-c]{0,3}") {
        let lines: Vec<Vec<u8>> = input.as_bytes().split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        prop_assert_eq!(bodies(input.as_bytes(), Split::SingleLines, 100, BlankLines::Send).unwrap(), lines);
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused(input in "([a-c]{0,9}\n){1,20}", short in 1u64..5) {
        let limit = longest_line(input.as_bytes()).saturating_sub(short);
        let refused = matches!(
            bodies(input.as_bytes(), Split::Lines, limit, BlankLines::Send),
            Err(SplitError::TooLarge)
        );
        prop_assert!(refused);
    }
}

#[test]
fn blank_lines_are_left_out_where_the_switch_says_so() {
    let all = bodies(b"a\n\nb\r\n\r\n", Split::Lines, 100, BlankLines::Skip).unwrap();
    assert_eq!(all, [b"a\nb\r\n".to_vec()]);
}

#[test]
fn a_whole_object_within_the_limit_is_one_body() {
    assert_eq!(
        bodies(b"ab\nc", Split::Whole, 4, BlankLines::Send).unwrap(),
        [b"ab\nc".to_vec()]
    );
    assert!(matches!(
        bodies(b"ab\ncd", Split::Whole, 4, BlankLines::Send),
        Err(SplitError::TooLarge)
    ));
}
