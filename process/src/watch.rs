//! Watches the backends: what they tell of themselves becomes readiness.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::amqp::Amqp;
use dockbell_backends::embedded::Embedded;
use dockbell_backends::redis::RedisStore;
use dockbell_chassis::admin::Component;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use tokio::sync::watch;
use tokio::time::sleep;

/// How long a backend may need at the start before its trouble is told.
const PATIENCE: Duration = Duration::from_secs(3);

/// A backend that is open.
#[derive(Debug, Clone)]
pub(crate) enum Opened {
    Embedded(Arc<Embedded>),
    Amqp(Arc<Amqp>),
    Redis(Arc<RedisStore>),
}

impl Opened {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Amqp(_) => "amqp",
            Self::Redis(_) => "redis",
        }
    }

    /// Why it does not work; none while it does.
    fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        match self {
            Self::Embedded(embedded) => embedded.trouble(),
            Self::Amqp(amqp) => amqp.trouble(),
            Self::Redis(redis) => redis.trouble(),
        }
    }

    /// What an operator should know although it works.
    fn note(&self) -> Option<String> {
        match self {
            Self::Redis(redis) => redis.persistence().note(),
            Self::Embedded(_) | Self::Amqp(_) => None,
        }
    }

    /// Returns when it can never work again in this process.
    async fn broken(&self) -> String {
        match self {
            Self::Embedded(embedded) => embedded.broken().await,
            // Servers come back.
            Self::Amqp(_) | Self::Redis(_) => pending().await,
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Embedded(embedded) => embedded.close().await,
            Self::Amqp(amqp) => amqp.close().await,
            Self::Redis(redis) => redis.close().await,
        }
    }
}

/// Tells `component` what becomes of a backend, until `shutdown`. One that is broken is an error: what it holds
/// is known again only after it was opened anew.
pub(crate) async fn watch(opened: Opened, component: Component, shutdown: Shutdown) -> Result<(), BoxError> {
    let mut trouble = opened.trouble();
    // That nothing is connected yet is no news, unless it lasts.
    let mut told = trouble.borrow().clone();
    let (mut patience, mut is_patient) = (std::pin::pin!(sleep(PATIENCE)), true);
    loop {
        let reason = trouble.borrow_and_update().clone();
        if told != reason {
            tell(opened.name(), reason.as_deref());
            told.clone_from(&reason);
        }
        match (reason, opened.note()) {
            (Some(reason), _) => component.unready(&*reason),
            (None, Some(note)) => component.ready_but(note),
            (None, None) => component.ready(),
        }
        tokio::select! {
            () = shutdown.requested() => {
                component.unready("shutting down");
                return Ok(());
            }
            reason = opened.broken() => {
                component.unready(reason.as_str());
                return Err(format!("the {} store failed: {reason}", opened.name()).into());
            }
            changed = trouble.changed() => changed?,
            () = &mut patience, if is_patient => (is_patient, told) = (false, None),
        }
    }
}

fn tell(backend: &'static str, trouble: Option<&str>) {
    if let Some(reason) = trouble {
        tracing::warn!(backend, reason, "a backend does not work; what needs it waits");
    } else {
        tracing::info!(backend, "a backend works");
    }
}
