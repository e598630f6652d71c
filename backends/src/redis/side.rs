//! One of the two databases: its connection, the names of its keys, and how it is known again.

use std::fmt::Display;
use std::sync::Arc;

use redis::{FromRedisValue, Script, ScriptInvocation};

use crate::store::StoreError;

use super::link::Link;
use super::marker::Marker;

/// A database.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub(super) link: Arc<Link>,
    /// What the name of every key begins with.
    pub(super) base: Arc<str>,
    /// None where a loss is not fatal.
    pub(super) marker: Option<Arc<Marker>>,
}

impl Side {
    pub(super) fn key(&self, name: impl Display) -> String {
        format!("{}{name}", self.base)
    }

    /// A call of `script` with what its guard needs; the other keys and arguments follow. It fails until the
    /// database was reached for the first time: a call without a marker would take any for the right one.
    pub(super) fn prepare<'a>(&self, script: &'a Script) -> Result<ScriptInvocation<'a>, StoreError> {
        let guard = match &self.marker {
            Some(marker) => marker.arguments().ok_or_else(|| StoreError(self.link.why_down()))?,
            None => Marker::none(),
        };
        let mut call = script.prepare_invoke();
        call.key(self.key("marker")).arg(guard);
        Ok(call)
    }

    pub(super) async fn call<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        self.link.call(call).await
    }

    pub(super) fn see(&self, revision: u64) {
        if let Some(marker) = &self.marker {
            marker.see(revision);
        }
    }
}
