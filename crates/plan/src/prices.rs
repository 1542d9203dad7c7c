//! A price file: what an hour of an instance costs, on a date, in a region. One is built in, as an
//! example; `--prices FILE` puts another in its place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::problem::{Problem, Problems, code};
use crate::table::PRICES;
use crate::tree::{self, Nothing, place};
use crate::walk::Walker;

/// The name of the one that is built in.
pub const EXAMPLE: &str = "built-in example";

const EXAMPLE_TEXT: &str = include_str!("../prices/us-east-1.yaml");

const NOTHING: Nothing = Nothing {
    message: "the file holds no prices",
    help: "it needs `as_of`, `region`, `currency` and `per_hour`: { ml.m5.xlarge: 0.23 }",
};

/// Prices of instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// The file, or [`EXAMPLE`].
    #[serde(skip)]
    pub file: String,
    /// The day on which they were so, `YYYY-MM-DD`.
    pub as_of: String,
    /// Where: `us-east-1`.
    pub region: String,
    /// `USD`; three letters (ISO 4217).
    pub currency: String,
    /// `ml.…` to the price of one instance for one hour.
    pub per_hour: BTreeMap<String, f64>,
}

impl Prices {
    /// Those that are built in: public list prices of a few common types, and maybe out of date.
    pub fn example() -> Prices {
        // A test holds that it can be read; without prices, costs are unknown.
        parse_prices(EXAMPLE_TEXT, EXAMPLE).unwrap_or_default()
    }

    /// What an instance costs for an hour, in [`Prices::currency`]. Never a guess.
    ///
    /// # Errors
    /// Why that is not known, as a sentence.
    pub fn of(&self, instance_type: &str, region: Option<&str>) -> Result<f64, String> {
        let Some(region) = region else {
            return Err(format!(
                "no region is set, and the prices ({}) are those of {}",
                self.file, self.region
            ));
        };
        if region != self.region {
            return Err(format!(
                "the prices ({}) are those of {}, and this is {region}",
                self.file, self.region
            ));
        }
        let price = self.per_hour.get(instance_type).copied();
        price.ok_or_else(|| format!("the prices ({}) have no {instance_type}", self.file))
    }
}

/// A price file, YAML or JSON. `file` is its name for messages.
///
/// # Errors
/// Every mistake in it, with its place there.
pub fn parse_prices(text: &str, file: &str) -> Result<Prices, Problems> {
    let doc = tree::parse_as(text, file, NOTHING)?;
    let mut walker = Walker::literal(file);
    let value = walker.node(&doc.root, &PRICES, "prices", doc.root.at);
    let mut problems = doc.problems;
    problems.append(&mut walker.problems);
    for name in value["per_hour"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
    {
        if let Err(why) = limits::instance_type(name) {
            let at = walker.places.of(&format!("prices.per_hour.{name}"));
            let message = format!("`{}` {why}", tree::shorten(name));
            problems.push(Problem::new(at, code::BAD_VALUE, message));
        }
    }
    if !problems.is_empty() {
        return Err(doc.secrets.redact(Problems(problems)).sorted());
    }
    let read = serde_json::from_value::<Prices>(value);
    let mut prices = read.map_err(|error| {
        let message = format!("the prices passed all checks but cannot be read: {error}");
        Problems(vec![Problem::new(
            place(file, (1, 1)),
            code::BAD_VALUE,
            message,
        )])
    })?;
    file.clone_into(&mut prices.file);
    Ok(prices)
}
