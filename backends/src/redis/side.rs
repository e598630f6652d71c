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

    /// A call of `script` with what its guard needs; the other keys and arguments follow.
    pub(super) fn prepare<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(self.key("marker"));
        call.arg(self.marker.as_ref().map_or_else(Marker::none, |marker| marker.arguments()));
        call
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
