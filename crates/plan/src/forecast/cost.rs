//! Hours to money, by a price file.

use serde::{Deserialize, Serialize};

use crate::pace::Range;
use crate::planner::Basis;
use crate::prices::Prices;

/// What hours of an instance cost, or why that is not known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// In [`PriceUsed::currency`]; `None` where the price is not known.
    pub range: Option<Range>,
    /// What it was reckoned with.
    pub price: Option<PriceUsed>,
    /// Why there is none.
    pub unknown: Option<String>,
}

/// A price, and where it is from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriceUsed {
    /// The price file.
    pub file: String,
    /// The day on which it was so.
    pub as_of: String,
    /// The AWS region.
    pub region: String,
    /// Three letters.
    pub currency: String,
    /// Of one instance.
    pub per_hour: f64,
}

impl Cost {
    /// For instances of a type, no hours yet.
    pub(crate) fn of(instance_type: &str, basis: &Basis<'_>) -> Cost {
        let example;
        let prices = match basis.prices {
            Some(prices) => prices,
            None => {
                example = Prices::example();
                &example
            }
        };
        match prices.of(instance_type, basis.region) {
            Err(why) => Cost {
                unknown: Some(why),
                ..Cost::default()
            },
            Ok(per_hour) => Cost {
                price: Some(PriceUsed {
                    file: prices.file.clone(),
                    as_of: prices.as_of.clone(),
                    region: prices.region.clone(),
                    currency: prices.currency.clone(),
                    per_hour,
                }),
                ..Cost::default()
            },
        }
    }

    /// The same for so many hours.
    pub(crate) fn for_hours(&self, hours: Range) -> Cost {
        let price = self.price.as_ref();
        Cost {
            range: price.map(|price| hours.times(price.per_hour)),
            ..self.clone()
        }
    }

    /// What an instance costs for an hour, if that is known in US dollars: what
    /// [`crate::budget::spent`] takes.
    pub fn usd_per_hour(&self) -> Option<f64> {
        let dollars = self.price.as_ref().filter(|price| price.currency == "USD");
        dollars.map(|price| price.per_hour)
    }
}
