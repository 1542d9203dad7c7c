//! Whether the first record of a table names its columns.

use crate::sniff_cells::is_value;

/// Cells of one record.
type Record<'a> = Vec<&'a [u8]>;

/// Whether the first of `records` is a header, and how sure that is, 0.5 to 1. Each column votes: it
/// has a name where the first cell is no value and the others are, and has none where the first is a
/// value like the others, or occurs again below.
pub(crate) fn has_header(records: &[Record<'_>]) -> (bool, f64) {
    let Some((first, rest)) = records.split_first() else {
        return (true, 0.5);
    };
    if rest.is_empty() {
        let values = first.iter().filter(|text| is_value(text)).count();
        return (values * 2 <= first.len(), 0.5);
    }
    let empty = first.iter().filter(|text| text.is_empty()).count();
    let votes: f64 = (0..first.len()).map(|i| vote(first[i], rest, i)).sum();
    // Names that are missing or given twice make poor names, and so do the values that they may be.
    let against = empty as f64 * 0.25 + repeated(first) as f64 * 0.25;
    let net = (votes - against) / first.len().max(1) as f64;
    // Most files have a header: without a vote there is one.
    (net > -0.15, 0.5 + 0.5 * (net + 0.15).abs().min(1.0))
}

/// 1 for a name, -1 against one, 0 where the column does not say.
fn vote(name: &[u8], rest: &[Record<'_>], column: usize) -> f64 {
    let cells = rest.iter().filter_map(|r| r.get(column));
    let (mut full, mut values, mut same, mut lengths) = (0usize, 0usize, 0usize, true);
    for cell in cells.filter(|c| !c.is_empty()) {
        full += 1;
        values += usize::from(is_value(cell));
        same += usize::from(*cell == name);
        lengths &= cell.len() == name.len();
    }
    if full == 0 || name.is_empty() {
        return 0.0;
    }
    let valued = values * 10 >= full * 9;
    match (is_value(name), valued) {
        (false, true) => 1.0,
        (true, true) => -1.0,
        (true, false) => -0.5,
        (false, false) if same > 0 => -0.6,
        // Codes of one length, and a text of that length above them.
        (false, false) if lengths && full > 2 => -0.1,
        (false, false) => 0.2,
    }
}

fn repeated(first: &Record<'_>) -> usize {
    let mut seen = std::collections::HashSet::new();
    first
        .iter()
        .filter(|text| !text.is_empty() && !seen.insert(**text))
        .count()
}
