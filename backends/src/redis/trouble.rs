//! Why the store does not work now, for those who watch over it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// What is wrong with each server. It starts with nothing wrong.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    each: Mutex<BTreeMap<String, String>>,
    all: watch::Sender<Option<Arc<str>>>,
}

impl Troubles {
    /// Takes note of what is wrong with `server`, if anything is.
    pub(super) fn report(&self, server: &str, why: Option<&str>) {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if each.get(server).map(String::as_str) == why {
            return;
        }
        match why {
            Some(why) => drop(each.insert(server.to_owned(), why.to_owned())),
            None => drop(each.remove(server)),
        }
        let all: Vec<String> = each.iter().map(|(server, why)| format!("{server}: {why}")).collect();
        self.all.send_replace((!all.is_empty()).then(|| all.join("; ").into()));
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.all.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_in_trouble_is_named_until_it_is_well() {
        let troubles = Troubles::default();
        let seen = troubles.watch();
        let shown = || seen.borrow().as_deref().map(str::to_owned);
        assert_eq!(shown(), None);
        troubles.report("settings", Some("it is gone"));
        troubles.report("counters", Some("it is slow"));
        assert_eq!(shown().as_deref(), Some("counters: it is slow; settings: it is gone"));
        troubles.report("counters", None);
        assert_eq!(shown().as_deref(), Some("settings: it is gone"));
        troubles.report("settings", None);
        assert_eq!(shown(), None);
    }
}
