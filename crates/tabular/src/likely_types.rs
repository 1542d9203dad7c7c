//! Types that the beginning of an input suggests, so that it need be read only once: rows are written
//! under them at once, each cell is held to them, and where one does not fit, all is begun anew with
//! types from the whole input. What is published is the same in both ways.

use crate::arrow_columns::{Nulls, Rule};
use crate::blocks::Block;
use crate::error::TabularError;
use crate::format::Layout;
use crate::infer::{CSV_QUOTED, Guess, observe};
use crate::input::Input;
use crate::records::Rows;
use crate::refusals::Refusals;
use crate::rows::Pass;
use crate::scan::{ScanOptions, Typing};
use crate::schema::{Column, Schema};

/// What a look at the beginning of an input told.
pub(crate) enum FirstLook {
    /// There is more to come.
    Likely(LikelyTypes),
    /// That was all of it.
    Whole {
        schema: Schema,
        names: Vec<String>,
        /// Data rows, bad ones counted.
        rows: u64,
    },
    /// Types come from elsewhere, or need more than a glance at the text.
    None,
}

/// What the columns of an input are likely to be.
#[derive(Debug, Clone)]
pub(crate) struct LikelyTypes {
    pub(crate) names: Vec<String>,
    guesses: Vec<Guess>,
    null_tokens: Vec<String>,
}

impl FirstLook {
    /// Looks at the first rows.
    ///
    /// # Errors
    /// Those that a pass over the whole input would come upon first.
    pub(crate) fn at(inputs: &[Input], options: &ScanOptions) -> Result<Self, TabularError> {
        let csv = inputs.iter().all(|input| input.layout == Layout::Csv);
        if !csv || options.typing != Typing::Infer || options.sample_bytes == 0 {
            return Ok(Self::None);
        }
        let pass = Pass::open(inputs, options)?;
        let names = pass.names().to_vec();
        let dialect = pass.dialect();
        let mut guesses = vec![Guess::NONE; names.len()];
        let mut seen = 0;
        let look = |block: &Block, rows: &mut Rows| {
            let tokens = &options.null_tokens;
            observe(
                rows,
                block.text(),
                names.len(),
                &dialect,
                tokens,
                CSV_QUOTED,
            )
        };
        let mut refusals = Refusals::new(options.on_bad_row);
        let all = pass.run(&mut refusals, &(), look, |taken| {
            for (guess, found) in guesses.iter_mut().zip(taken.value) {
                *guess = guess.merge(found);
            }
            seen += taken.block.bytes_read();
            if seen < options.sample_bytes {
                Ok(())
            } else {
                Err(TabularError::Cancelled)
            }
        });
        let likely = LikelyTypes {
            names,
            guesses,
            null_tokens: options.null_tokens.clone(),
        };
        match all {
            Err(TabularError::Cancelled) if seen >= options.sample_bytes => {
                Ok(Self::Likely(likely))
            }
            Err(error) => Err(error),
            Ok(_) => {
                refusals.finish()?;
                Ok(Self::Whole {
                    schema: likely.schema(),
                    names: likely.names,
                    rows: refusals.total,
                })
            }
        }
    }
}

impl LikelyTypes {
    /// The columns as far as they are known.
    pub(crate) fn schema(&self) -> Schema {
        let nothing = vec![Nulls::default(); self.names.len()];
        Schema {
            columns: self.columns(&nothing),
        }
    }

    /// What the column at this place of the header is held to.
    pub(crate) fn rule(&self, place: usize) -> Rule {
        Rule::likely(
            place,
            self.guesses[place],
            &self.names[place],
            &self.null_tokens,
        )
    }

    /// The columns, once all cells were found to fit and to have these nulls besides; in the header's
    /// order.
    pub(crate) fn columns(&self, nulls: &[Nulls]) -> Vec<Column> {
        let guesses = self.guesses.iter().zip(nulls);
        let guesses = guesses.map(|(guess, nulls)| guess.with_nulls(*nulls));
        let named = self.names.iter().zip(guesses);
        named
            .map(|(name, guess)| guess.column(name, &self.null_tokens))
            .collect()
    }
}
