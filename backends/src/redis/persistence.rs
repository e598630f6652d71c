//! Whether the server that keeps webhooks keeps them when it restarts.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::{InfoDict, cmd};

/// What the server says of its persistence; none where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Persistence {
    /// Whether it logs every write.
    pub append_only: Option<bool>,
    /// Whether it writes snapshots from time to time.
    pub snapshots: Option<bool>,
    /// Whether it removes keys of its own choice, webhooks too, when its memory is full.
    pub evicts: Option<bool>,
}

impl Persistence {
    /// Whether a restart keeps the webhooks. None if the server does not say.
    pub fn is_safe(&self) -> Option<bool> {
        let persists = match (self.append_only, self.snapshots) {
            (Some(true), _) | (_, Some(true)) => true,
            (Some(false), Some(false)) => false,
            _ => return None,
        };
        Some(persists && self.evicts != Some(true))
    }

    /// What an operator should know of it, and do; none if all is well.
    pub fn note(&self) -> Option<String> {
        let kept = match (self.append_only, self.snapshots) {
            (Some(true), _) => None,
            (_, Some(true)) => Some(
                "settings are kept in snapshots only: a crash loses the changes since the last one (set appendonly yes)",
            ),
            (Some(false), Some(false)) => {
                Some("settings are not persistent: appendonly is off and no snapshots are made (set appendonly yes)")
            }
            _ => {
                Some("whether settings are persistent is not known: the server does not say (appendonly should be yes)")
            }
        };
        let evicted = self.evicts.unwrap_or(false).then_some(
            "settings may be removed when memory is full (set maxmemory-policy noeviction, or volatile-lru)",
        );
        let notes: Vec<&str> = kept.into_iter().chain(evicted).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// Asks the server, which may forbid each question.
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> Self {
        let info: Option<InfoDict> = cmd("INFO").query_async(connection).await.ok();
        let text = |name: &str| info.as_ref().and_then(|info| info.get::<String>(name));
        let config: Option<HashMap<String, String>> =
            cmd("CONFIG").arg("GET").arg("save").query_async(connection).await.ok();
        Self {
            append_only: text("aof_enabled").map(|value| value == "1"),
            snapshots: config.and_then(|found| found.get("save").map(|value| !value.is_empty())),
            evicts: evicts(text("maxmemory"), text("maxmemory_policy")),
        }
    }
}

/// What settings are made of does not expire, and the policies on what does leave it alone.
fn evicts(limit: Option<String>, policy: Option<String>) -> Option<bool> {
    Some(limit? != "0" && policy?.starts_with("allkeys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_called_safe() {
        let known = |append_only, snapshots, evicts| Persistence { append_only, snapshots, evicts };
        for (persistence, is_safe, note) in [
            (known(Some(true), Some(false), Some(false)), Some(true), ""),
            (known(Some(true), None, None), Some(true), ""),
            (known(Some(false), Some(true), None), Some(true), "snapshots only"),
            (known(Some(false), Some(false), None), Some(false), "set appendonly yes"),
            (known(Some(true), None, Some(true)), Some(false), "set maxmemory-policy"),
            (known(None, None, None), None, "not known"),
        ] {
            assert_eq!(persistence.is_safe(), is_safe, "{persistence:?}");
            let said = persistence.note().unwrap_or_default();
            assert!(said.contains(note) && said.is_empty() == note.is_empty(), "{persistence:?}: {said}");
        }
    }

    #[test]
    fn only_a_policy_on_all_keys_may_remove_webhooks() {
        let evicts = |limit: &str, policy: &str| evicts(Some(limit.to_owned()), Some(policy.to_owned()));
        assert_eq!(evicts("1000000", "allkeys-lru"), Some(true));
        for (limit, policy) in [("0", "allkeys-lru"), ("1000000", "volatile-lru"), ("1000000", "noeviction")] {
            assert_eq!(evicts(limit, policy), Some(false), "{limit} {policy}");
        }
    }
}
