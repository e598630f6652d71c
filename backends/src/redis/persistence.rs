//! Whether the server that keeps webhooks keeps them when it restarts.

use std::collections::HashMap;

use redis::cmd;

use super::link::Link;

/// What the server says of its persistence; none where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Persistence {
    /// Whether it logs every write.
    pub append_only: Option<bool>,
    /// Whether it writes snapshots from time to time.
    pub snapshots: Option<bool>,
    /// Whether it removes keys of its own choice when its memory is full.
    pub evicts: Option<bool>,
}

impl Persistence {
    /// Whether a restart loses nothing but the last moments. None if the server does not say.
    pub fn is_safe(&self) -> Option<bool> {
        let persists = match (self.append_only, self.snapshots) {
            (Some(true), _) | (_, Some(true)) => true,
            (Some(false), Some(false)) => false,
            _ => return None,
        };
        Some(persists && self.evicts != Some(true))
    }

    /// Asks the server, which may forbid it.
    pub(super) async fn ask(link: &Link) -> Self {
        let setting = async |name: &str| {
            let ask = async |connection: &mut _| -> Result<HashMap<String, String>, _> {
                cmd("CONFIG").arg("GET").arg(name).query_async(connection).await
            };
            let found = link.with(ask).await.ok()?;
            found.get(name).cloned()
        };
        Self {
            append_only: setting("appendonly").await.map(|value| value == "yes"),
            snapshots: setting("save").await.map(|value| !value.is_empty()),
            evicts: evicts(setting("maxmemory").await, setting("maxmemory-policy").await),
        }
    }
}

fn evicts(limit: Option<String>, policy: Option<String>) -> Option<bool> {
    Some(limit? != "0" && policy? != "noeviction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_called_safe() {
        let known = |append_only, snapshots, evicts| Persistence { append_only, snapshots, evicts };
        for (persistence, is_safe) in [
            (known(Some(true), Some(false), Some(false)), Some(true)),
            (known(Some(false), Some(true), None), Some(true)),
            (known(Some(false), Some(false), None), Some(false)),
            (known(Some(true), None, Some(true)), Some(false)),
            (known(None, None, None), None),
        ] {
            assert_eq!(persistence.is_safe(), is_safe, "{persistence:?}");
        }
    }
}
