//! The columns of JSON Lines: every key of every object, in the order of first sight.

use crate::blocks::{Blocks, Cutting, Pool};
use crate::error::TabularError;
use crate::input::Input;
use crate::json_rows::{FoundKeys, keys_of};
use crate::ordered::{AHEAD, ordered_map};

/// The most columns that an input may have: more are keys that are data.
pub(crate) const MAX_COLUMNS: usize = 65_536;

/// Reads all inputs once. Memory: a few blocks a thread, and the names.
///
/// # Errors
/// More than [`MAX_COLUMNS`] of them; those of reading. Objects that are none are left out: none may be left.
pub(crate) fn discover(
    inputs: &[Input],
    cutting: &Cutting,
    threads: usize,
) -> Result<Vec<String>, TabularError> {
    let cutting = Cutting {
        names: Some(Vec::new()),
        ..cutting.clone()
    };
    let pool = Pool::default();
    let mut blocks = Blocks::open(inputs, &cutting, &pool)?;
    let mut found = FoundKeys::default();
    let file = inputs.first().map_or("", |input| input.name.as_str());
    let source = || blocks.next();
    let work = |block: crate::blocks::Block| {
        let keys = keys_of(&block);
        (keys, block)
    };
    ordered_map(threads, AHEAD, source, work, |(keys, block)| {
        for (place, name) in keys.iter().enumerate() {
            found.add(name, place);
        }
        pool.give(block, cutting.block_bytes);
        if found.names.len() > MAX_COLUMNS {
            return Err(TabularError::Header {
                file: file.into(),
                line: 1,
                problem: format!(
                    "the objects have more than {MAX_COLUMNS} different keys; if keys are data, \
                     write them as values"
                ),
            });
        }
        Ok(())
    })?;
    Ok(found.names)
}
