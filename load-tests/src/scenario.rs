//! A scenario as its file tells it: what is sent, who receives it, and what works on it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use dockbell_chassis::config::variable_of;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::webhook::Format;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::schedule::{Shape, Spread};
use crate::troubles::Trouble;

/// What is sent and received is remembered until the end.
const MOST_DELIVERIES: usize = 5_000_000;
/// Settings that the runner gives, each of which would break it.
const OURS: [&str; 6] = ["admin_token", "amqp.url", "ingest_token", "listen", "redis.url", "secrets.key_file"];

/// What a run does. What its file leaves out is as it is here by default.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// A sentence for people.
    pub(crate) about: String,
    #[serde(default)]
    pub(crate) load: Load,
    #[serde(default)]
    pub(crate) repositories: Repositories,
    #[serde(default)]
    pub(crate) webhooks: Webhooks,
    #[serde(default)]
    pub(crate) fleet: Made,
    /// Of our processes, by their dotted keys.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, Setting>,
    /// What ails receivers.
    #[serde(default, rename = "trouble")]
    pub(crate) troubles: Vec<Trouble>,
}

/// What is sent, and how fast.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Load {
    pub(crate) way: Way,
    /// Pushes per second.
    pub(crate) rate: f64,
    /// Seconds before what is measured.
    pub(crate) warm_up: u64,
    /// Seconds that are measured.
    pub(crate) seconds: u64,
    /// Seconds that what is owed may still take after the last push.
    pub(crate) patience: u64,
}

/// How events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Published to the exchange `registry.events`.
    Amqp,
    /// Sent to the intake, as a registry does.
    Http,
}

/// What is pushed to.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Repositories {
    pub(crate) count: usize,
    pub(crate) spread: Spreading,
    /// Of the law of Zipf.
    pub(crate) exponent: Option<f64>,
    /// Tags of a repository that are pushed again and again; each push has a tag of its own, if none.
    pub(crate) tags: Option<usize>,
    /// The share of pushes that are multi-arch.
    pub(crate) bursts: f64,
    /// Of such a push.
    pub(crate) platforms: usize,
}

/// How pushes are dealt to repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Spreading {
    Even,
    Zipf,
}

/// Who receives.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    pub(crate) per_repository: usize,
    pub(crate) format: Format,
    /// Whether receivers verify signatures.
    pub(crate) verify: bool,
}

/// Our processes, besides the console.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Made {
    pub(crate) producers: usize,
    pub(crate) deliverers: usize,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged, expecting = "expected a text, a number, true or false")]
pub(crate) enum Setting {
    Text(String),
    Switch(bool),
    Count(i64),
}

impl Default for Load {
    fn default() -> Self {
        Self { way: Way::Amqp, rate: 200.0, warm_up: 5, seconds: 30, patience: 30 }
    }
}

impl Default for Repositories {
    fn default() -> Self {
        Self { count: 100, spread: Spreading::Even, exponent: None, tags: None, bursts: 0.0, platforms: 2 }
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { per_repository: 1, format: Format::Dockerhub, verify: true }
    }
}

impl Default for Made {
    fn default() -> Self {
        Self { producers: 1, deliverers: 2 }
    }
}

impl Scenario {
    /// Reads a file, which `change` may then change before it is checked. The error names the file, the key, and what to
    /// do.
    pub(crate) fn read(path: &Path, change: impl FnOnce(&mut Self)) -> Result<Self, BoxError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            format!(
                "{}: {error}; scripts/load run takes a file, such as load-tests/scenarios/steady.toml, \
                 and paths count from the root of the repository",
                path.display()
            )
        })?;
        Self::parse(&text, change).map_err(|problem| format!("{}: {problem}", path.display()).into())
    }

    fn parse(text: &str, change: impl FnOnce(&mut Self)) -> Result<Self, String> {
        let mut scenario: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        change(&mut scenario);
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), String> {
        let Load { rate, warm_up, seconds, patience, .. } = self.load;
        within("load.rate", rate, 0.01..=100_000.0)?;
        within("load.warm_up", warm_up, 0..=600)?;
        within("load.seconds", seconds, 1..=3_600)?;
        within("load.patience", patience, 1..=600)?;
        self.repositories.check(self.webhooks.format)?;
        within("webhooks.per_repository", self.webhooks.per_repository, 1..=20)?;
        if matches!(self.webhooks.format, Format::Template | Format::Empty) {
            return Err(
                "webhooks.format: a body of this format does not tell which push it is about: take another, such as \
                        dockerhub or batch"
                    .to_owned(),
            );
        }
        within("fleet.producers", self.fleet.producers, 1..=16)?;
        within("fleet.deliverers", self.fleet.deliverers, 1..=64)?;
        if let Some(key) = OURS.iter().find(|key| self.settings.contains_key(**key)) {
            return Err(format!("settings.\"{key}\" is given by the run itself: leave it out"));
        }
        let deliveries = self.plan().events().saturating_mul(self.webhooks.per_repository);
        if deliveries > MOST_DELIVERIES {
            return Err(format!(
                "load.rate × (load.warm_up + load.seconds) × webhooks.per_repository: {deliveries} deliveries are more than \
                 the {MOST_DELIVERIES} that a run remembers: lower one of them"
            ));
        }
        self.troubles.iter().try_for_each(|trouble| trouble.check(warm_up + seconds))
    }

    /// When what is due.
    pub(crate) fn plan(&self) -> Plan {
        let (warm_up, length) = (Duration::from_secs(self.load.warm_up), Duration::from_secs(self.load.seconds));
        Plan { rate: self.load.rate, repositories: self.repositories.count, warm_up, length }
    }

    /// The settings as variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.settings.iter().map(|(key, value)| (variable_of(key), value.to_string()))
    }

    pub(crate) fn webhooks(&self) -> usize {
        self.repositories.count * self.webhooks.per_repository
    }
}

impl Repositories {
    fn check(&self, format: Format) -> Result<(), String> {
        within("repositories.count", self.count, 1..=100_000)?;
        within("repositories.bursts", self.bursts, 0.0..=1.0)?;
        within("repositories.platforms", self.platforms, 1..=64)?;
        match (self.spread, self.exponent) {
            (Spreading::Zipf, None) => {
                return Err("repositories.exponent is absent: spread = \"zipf\" needs one, such as 1.0".to_owned());
            }
            (Spreading::Even, Some(_)) => {
                return Err(
                    "repositories.exponent says nothing of spread = \"even\": leave it out, or say \"zipf\"".to_owned()
                );
            }
            (_, exponent) => within("repositories.exponent", exponent.unwrap_or(1.0), 0.01..=5.0)?,
        }
        let Some(tags) = self.tags else { return Ok(()) };
        within("repositories.tags", tags, 1..=10_000)?;
        if format != Format::Batch {
            return Err(
                "repositories.tags: of tags that are pushed again and again only webhooks.format = \"batch\" tells \
                        which push it is about: set that, or leave tags out"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What the pushes are.
    pub(crate) fn shape(&self) -> Shape {
        let spread = match self.spread {
            Spreading::Even => Spread::Even,
            Spreading::Zipf => Spread::Zipf(self.exponent.unwrap_or(1.0)),
        };
        Shape { spread, tags: self.tags, bursts: self.bursts, platforms: self.platforms }
    }
}

impl Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Switch(switch) => switch.fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

/// Whether a value is possible.
pub(crate) fn within<T: PartialOrd + Display + Copy>(
    key: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), String> {
    // What is no number is in no range.
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("{key} = {value} is not possible: set it to {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests;
