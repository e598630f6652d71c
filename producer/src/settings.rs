//! The producer's settings.

mod sources;

use std::num::NonZeroU16;
use std::time::Duration;

use dockbell_chassis::config::Reader;
use dockbell_proto::ids::SourceName;
use dockbell_proto::secret::Secret;

use crate::source::Source;
use crate::window::{PolicyError, WindowPolicy};
use sources::{check, read_source};

pub use sources::SourceSettings;

/// The name of the source that needs no configuration.
pub const DEFAULT_SOURCE: &str = "registry";

/// What the producer is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When windows close.
    pub policy: WindowPolicy,
    /// How many events are held at most.
    pub prefetch: NonZeroU16,
    /// The default source.
    pub default_source: SourceSettings,
    /// The secret of the default source; none if it was not set.
    pub ingest_token: Option<Secret>,
    /// The other sources.
    pub sources: Vec<Source>,
}

impl Settings {
    /// Reads the settings. What is wrong is noted in `reader`.
    pub fn read(reader: &mut Reader) -> Self {
        let policy = read_policy(reader);
        let prefetch = reader.count("window.prefetch", 20_000u16, 1..=u16::MAX);
        if usize::from(prefetch) < policy.max_events() {
            reader.reject("window.prefetch", "must not be less than window.max_events, or no window could fill");
        }
        let own_token = reader.text(&format!("sources.{DEFAULT_SOURCE}.token"));
        let ingest_token = reader.text("ingest_token").or(own_token).map(Secret::new);
        let default_source = SourceSettings::read(reader, DEFAULT_SOURCE);
        if let Some(secret) = &ingest_token {
            check(reader, "ingest_token", &default_source.proof, secret);
        }
        let others = reader.table_names("sources").into_iter().filter(|name| name != DEFAULT_SOURCE);
        let others: Vec<String> = others.collect();
        Self {
            policy,
            prefetch: NonZeroU16::new(prefetch).unwrap_or(NonZeroU16::MIN),
            default_source,
            ingest_token,
            sources: others.iter().filter_map(|name| read_source(reader, name)).collect(),
        }
    }

    /// The default source with this secret.
    pub fn default_source(&self, secret: Secret) -> Source {
        self.default_source.clone().into_source(default_name(), secret)
    }
}

fn default_name() -> SourceName {
    #[expect(clippy::expect_used, reason = "only the constant is given")]
    SourceName::parse(DEFAULT_SOURCE).expect("a name")
}

fn read_policy(reader: &mut Reader) -> WindowPolicy {
    let quiet = reader.duration("window.quiet", Duration::from_secs(1));
    // Who sets a long quiet time alone means windows to be that long.
    let max_wait = reader.duration("window.max_wait", Duration::from_secs(5).max(quiet));
    let max_events = reader.count("window.max_events", 1000usize, 1..=10_000);
    WindowPolicy::new(quiet, max_wait, max_events).unwrap_or_else(|error| {
        let key = match error {
            PolicyError::Quiet => "window.quiet",
            PolicyError::MaxWait => "window.max_wait",
            PolicyError::MaxEvents => "window.max_events",
        };
        reader.reject(key, error.to_string());
        WindowPolicy::default()
    })
}
