//! The id and the time that the service puts behind each record under `GenerateInferenceId`
//! (developer guide, "model-monitor-data-capture-batch"): in CSV two more cells, after a comma, of
//! which the guide shows the first with a blank before it; in JSON two more members.

use std::borrow::Cow;

use crate::answer_json::{member, scalar};

/// The members of a JSON record.
pub(crate) const ID_MEMBER: &str = "SageMakerInferenceId";
pub(crate) const TIME_MEMBER: &str = "SageMakerInferenceTime";

/// A time of nanoseconds with an offset is shorter.
const MAX_TIME_BYTES: usize = 40;

/// What an answer without them lacks.
pub(crate) const EXPECTED: &str =
    "an inference id and its time behind the answer, as `generate_inference_id` asks for";

/// A line of CSV without the two cells; `None` if they are not what they must be, or if another answer
/// follows them on the line: where that happens to all lines and each came twice, the count is right.
pub(crate) fn without(line: &str) -> Option<&str> {
    let (rest, time) = line.rsplit_once(',')?;
    let (answer, id) = rest.rsplit_once(',')?;
    let sound = is_id(id.trim_matches(' ')) && is_time(time.trim_matches(' '));
    (sound && !is_glued(answer)).then_some(answer)
}

/// Whether an id is in it, and a time that goes on with something else.
fn is_glued(answer: &str) -> bool {
    let cells = answer.split(',').zip(answer.split(',').skip(1));
    cells
        .filter(|(id, _)| is_id(id.trim_matches(' ')))
        .any(|(_, time)| begins_with_time(time.trim_start_matches(' ')))
}

/// Whether there is more than a time.
fn begins_with_time(text: &str) -> bool {
    let mut ends = text.char_indices().map(|(at, _)| at).take(MAX_TIME_BYTES);
    !is_time(text) && ends.any(|end| is_time(&text[..end]))
}

/// Whether an object has both.
pub(crate) fn has(members: &[(Cow<'_, str>, &str)]) -> bool {
    let is = |name, fits: fn(&str) -> bool| {
        let found = member(members, name).ok().flatten();
        let text = found.and_then(|value| scalar(value).ok().flatten());
        text.is_some_and(|text| fits(&text))
    };
    is(ID_MEMBER, is_id) && is(TIME_MEMBER, is_time)
}

/// A UUID: `1f1d57b1-2e6f-488c-8c30-db4e6d757861`.
fn is_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hex = |group: &&str| group.bytes().all(|b| b.is_ascii_hexdigit());
    groups.iter().map(|g| g.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(hex)
}

/// A time of ISO 8601 with its zone: `2022-08-30T00:49:15Z`. One that was cut short has none.
fn is_time(text: &str) -> bool {
    let mut shape = text.bytes().zip(b"0000-00-00T00:00:00");
    let fits = shape.all(|(b, s)| match s {
        b'0' => b.is_ascii_digit(),
        other => b == *other,
    });
    let rest = text.get(19..).unwrap_or_default();
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = |z: &str| {
        z.len() == 6
            && z.is_char_boundary(1)
            && z[1..].chars().all(|c| c == ':' || c.is_ascii_digit())
    };
    fits && (zone == "Z" || (zone.starts_with(['+', '-']) && offset(zone)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

    use super::*;
    use crate::answer_json::members;

    const ID: &str = "1f1d57b1-2e6f-488c-8c30-db4e6d757861";

    #[test]
    fn two_cells_behind_a_line() {
        for blank in ["", " "] {
            for time in [
                "2022-08-30T00:49:15Z",
                "2022-08-30T00:49:15.123Z",
                "2022-08-30T00:49:15+00:00",
            ] {
                let line = |answer: &str| format!("{answer},{blank}{ID},{time}");
                assert_eq!(without(&line("0")), Some("0"));
                assert_eq!(without(&line("\"a,b\",[1, 2]")), Some("\"a,b\",[1, 2]"));
                assert_eq!(without(&line("")), Some(""));
            }
        }
        let whole = format!("0,{ID},2022-08-30T00:49:15Z");
        for end in 0..whole.len() {
            assert_eq!(without(&whole[..end]), None, "{}", &whole[..end]);
        }
        assert_eq!(without(&format!("{whole}1")), None);
        assert_eq!(without("0.1,2"), None);
    }

    #[test]
    fn an_answer_behind_them_is_another_row() {
        for time in ["2022-08-30T00:49:15Z", "2022-08-30T00:49:15.123+00:00"] {
            for blank in ["", " "] {
                let ids = format!("{blank}{ID},{time}");
                for next in ["0.5", "\"é,b\"", "[1, 2]"] {
                    assert_eq!(without(&format!("0.5,{ids}{next},{ids}")), None, "{next}");
                }
                // The model's own.
                let own = format!("0.5,{ids},7");
                assert_eq!(without(&format!("{own},{ids}")), Some(own.as_str()));
            }
        }
    }

    #[test]
    fn two_members_of_an_object() {
        let text = format!(
            r#"{{"a":1,"SageMakerInferenceId":"{ID}","SageMakerInferenceTime":"2022-08-30T00:49:15Z"}}"#
        );
        assert!(has(&members(&text).unwrap()));
        for bad in [
            text.replace("Id", "No"),
            text.replace("15Z", "15"),
            text.replace("1f1d", "1f1"),
        ] {
            assert!(!has(&members(&bad).unwrap()), "{bad}");
        }
    }
}
