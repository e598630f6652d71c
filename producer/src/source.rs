//! Sources: who may report events, in which format and with which secret.

use std::collections::BTreeMap;

use dockbell_proto::credential::Credential;
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::InputFormat;
use dockbell_proto::names::Registry;

/// One registry that reports events.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name, the last segment of its intake's path.
    pub name: SourceName,
    /// The format it reports in.
    pub format: InputFormat,
    /// Its secret, and how it shows it.
    pub credential: Credential,
    /// The registry that its events are about where they do not say it.
    pub registry: Option<Registry>,
}

/// All configured sources.
#[derive(Debug, Clone)]
pub struct Sources {
    by_name: BTreeMap<SourceName, Source>,
    default: Source,
}

impl Sources {
    /// These sources; `default` is the one of messages on the bus that name none.
    pub fn new(default: Source, others: Vec<Source>) -> Self {
        let all = others.into_iter().chain([default.clone()]);
        Self { by_name: all.map(|source| (source.name.clone(), source)).collect(), default }
    }

    /// The source of that name.
    pub fn get(&self, name: &str) -> Option<&Source> {
        self.by_name.get(name)
    }

    /// The source of messages that name none.
    pub fn default(&self) -> &Source {
        &self.default
    }

    /// The source of a message that names `name`, or none.
    pub fn named_or_default(&self, name: Option<&str>) -> Option<&Source> {
        match name {
            Some(name) => self.get(name),
            None => Some(&self.default),
        }
    }
}
