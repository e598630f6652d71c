//! Why the bus does not work as it should, as far as it knows, in one place for whoever watches.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// What can be in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The consuming connection.
    Consuming,
    /// The publishing connection.
    Publishing,
    /// The broker takes no publishes, as in an alarm.
    Blocked,
    /// The exchanges and queues.
    Topology,
}

const PARTS: [Part; 4] = [Part::Consuming, Part::Publishing, Part::Blocked, Part::Topology];

/// The trouble of each part.
#[derive(Debug)]
pub(super) struct Trouble {
    parts: Mutex<Vec<(Part, String)>>,
    shown: watch::Sender<Option<Arc<str>>>,
}

impl Trouble {
    /// Both connections are still to be made.
    pub(super) fn at_start() -> Self {
        let trouble = Self { parts: Mutex::default(), shown: watch::Sender::new(None) };
        trouble.set(Part::Consuming, Some("the broker is not reached yet".to_owned()));
        trouble.set(Part::Publishing, Some("nothing can be published yet".to_owned()));
        trouble
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.shown.subscribe()
    }

    /// Sets or clears the trouble of a part.
    pub(super) fn set(&self, part: Part, trouble: Option<String>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.retain(|(other, _)| *other != part);
        parts.extend(trouble.map(|trouble| (part, trouble)));
        let mut told: Vec<&str> = Vec::new();
        for wanted in PARTS {
            let text = parts.iter().find(|(part, _)| *part == wanted).map(|(_, text)| text.as_str());
            told.extend(text.filter(|text| !told.contains(text)));
        }
        let shown: Option<Arc<str>> = (!told.is_empty()).then(|| told.join("; ").into());
        self.shown.send_if_modified(|present| {
            let is_new = *present != shown;
            *present = shown;
            is_new
        });
    }

    /// Whether that part is in trouble.
    pub(super) fn is_of(&self, part: Part) -> bool {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().any(|(other, _)| *other == part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trouble_of_all_parts_is_shown_until_all_of_it_is_over() {
        let trouble = Trouble::at_start();
        let shown = trouble.watch();
        let text = || shown.borrow().as_deref().map(str::to_owned);
        assert_eq!(text().as_deref(), Some("the broker is not reached yet; nothing can be published yet"));
        trouble.set(Part::Topology, Some("queue a is missing".to_owned()));
        trouble.set(Part::Publishing, None);
        trouble.set(Part::Consuming, Some("the broker is away: refused".to_owned()));
        assert_eq!(text().as_deref(), Some("the broker is away: refused; queue a is missing"));
        trouble.set(Part::Topology, None);
        trouble.set(Part::Consuming, None);
        assert_eq!(text(), None);
    }
}
