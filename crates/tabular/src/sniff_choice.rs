//! The dialect to read with: the usual one, another that is surely better, or a refusal.

use crate::dialect::{Dialect, NO_QUOTE};
use crate::sniff::{SURE, Sniff};
use crate::sniff_candidates::WEAK;
use crate::sniff_fit::Fit;

/// From here on if every record is as it should be, and not so in the usual dialect.
const SURE_IF_EVEN: f64 = 0.5;

/// What to read with.
pub(crate) enum Choice {
    Usual,
    Other(Dialect),
    Unclear(Box<Fit>, Box<Fit>),
}

/// Another dialect beside the usual one.
enum Compared {
    Better,
    AsGood,
    Worse,
}

impl Sniff<'_> {
    /// Whether a dialect may be used without being stated. An escape takes itself out of every cell:
    /// that it stands before quotes only must have been seen to the end. So do apostrophes, which
    /// have to be common, with no double quotes beside them; and quotes that mean nothing would stay.
    fn is_safe(&self, fit: &Fit, usual: &Dialect) -> bool {
        let plain = self.whole && fit.escapes_are_plain;
        let escape = fit.dialect.escape == usual.escape || fit.dialect.escape.is_none() || plain;
        let quote = match fit.dialect.quote {
            quote if quote == usual.quote => true,
            b'\'' => fit.is_well_quoted() && !fit.double_quotes,
            quote => quote != NO_QUOTE,
        };
        escape && quote
    }

    /// What to read with.
    pub(crate) fn choice(&self, usual: &Dialect) -> Choice {
        let same = |d: &Dialect| {
            (d.delimiter, d.quote, d.escape) == (usual.delimiter, usual.quote, usual.escape)
        };
        let Some((own_score, own)) = self.fits.iter().find(|(_, f)| same(&f.dialect)) else {
            return match self.best_usable(usual) {
                Some((_, best)) => Choice::Other(used(best, usual)),
                None => Choice::Usual,
            };
        };
        let tables = |f: &Fit| f.width > 1 && !WEAK.contains(&f.dialect.delimiter);
        let Some((seen_score, seen)) = self.fits.iter().find(|(_, f)| tables(f)) else {
            return Choice::Usual;
        };
        // Any text is one column; what looks more like a table has to be told from that.
        let doubtful = own.width == 1
            && seen.dialect.delimiter != usual.delimiter
            && seen_score > own_score
            && (seen.records > 1 || own.torn > 0);
        let unclear = |fit: &Fit| Choice::Unclear(Box::new(own.clone()), Box::new(fit.clone()));
        match self
            .best_usable(usual)
            .map(|(score, best)| (best, self.compared(own, *own_score, best, *score)))
        {
            Some((best, Compared::Better)) => {
                Choice::Other(used(self.plainest(best, usual), usual))
            }
            Some((best, Compared::AsGood)) => unclear(best),
            Some((_, Compared::Worse)) | None if doubtful => unclear(seen),
            Some((_, Compared::Worse)) | None => Choice::Usual,
        }
    }

    /// The best of those that may be used without being stated.
    fn best_usable(&self, usual: &Dialect) -> Option<&(f64, Fit)> {
        let usable =
            |f: &Fit| f.width > 1 && !WEAK.contains(&f.dialect.delimiter) && self.is_safe(f, usual);
        self.fits.iter().find(|(_, f)| usable(f))
    }

    /// Of the ways to quote under the delimiter of `best`, the usual one if nothing speaks against it.
    fn plainest<'b>(&'b self, best: &'b Fit, usual: &Dialect) -> &'b Fit {
        let plain = |d: &Dialect| {
            (d.delimiter, d.quote, d.escape) == (best.dialect.delimiter, usual.quote, usual.escape)
        };
        let plain = self
            .fits
            .iter()
            .find(|(_, f)| plain(&f.dialect) && f.is_even());
        plain.map_or(best, |(_, fit)| fit)
    }

    /// The usual dialect against the best other one.
    fn compared(&self, own: &Fit, own_score: f64, best: &Fit, score: f64) -> Compared {
        let (own_d, best_d) = (&own.dialect, &best.dialect);
        if (own_d.delimiter, own_d.quote, own_d.escape)
            == (best_d.delimiter, best_d.quote, best_d.escape)
        {
            return Compared::Worse;
        }
        let single = best.records < 2 && best.width < 3 && own.torn == 0;
        let fits = own.width > 1 && own.is_even();
        if single || (fits && (!best.is_even() || best.width < own.width)) {
            return Compared::Worse;
        }
        if own_d.delimiter == best_d.delimiter {
            // Another way to quote must leave nothing unexplained, which the usual one does.
            let explains = best.alike == best.records && best.torn == 0;
            return match explains && !fits {
                true => Compared::Better,
                false => Compared::Worse,
            };
        }
        if fits && score < own_score * 1.25 {
            return Compared::AsGood;
        }
        // The header of a table that has no rows yet: as one column it loses its names.
        let header_alone = self.whole && own_d.header && best.records == 1 && own.width == 1;
        if header_alone && best.width > 2 {
            return Compared::Better;
        }
        let confidence = self.confidence_of_delimiter(best_d.delimiter);
        let even = best.is_even() && !own.is_even() && best.records > 2;
        match confidence >= SURE || (even && confidence >= SURE_IF_EVEN) {
            true => Compared::Better,
            false => Compared::Worse,
        }
    }
}

/// What is used of a dialect that was found: comments and lines before the table would be left out
/// of it, so they have to be stated.
fn used(fit: &Fit, usual: &Dialect) -> Dialect {
    Dialect {
        comment: usual.comment,
        skip_lines: usual.skip_lines,
        header: usual.header,
        ..fit.dialect
    }
}
