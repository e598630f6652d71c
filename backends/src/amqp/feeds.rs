//! All queues of one consumer: those of the present configuration, and what earlier ones left.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::feed::Feed;
use super::inbox::Inbox;
use super::incarnation::Incarnations;
use super::outbox::Outbox;
use super::sources::{self, Role, Source};
use super::status::Status;

/// What fills the inbox of one consumer.
#[derive(Debug)]
pub(super) struct Feeds {
    pub(super) role: Role,
    pub(super) prefetch: NonZeroU16,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outbox: Outbox,
    pub(super) incarnations: Incarnations,
    pub(super) status: Arc<Status>,
    pub(super) tasks: TaskTracker,
    pub(super) gone: CancellationToken,
    pub(super) closed: CancellationToken,
}

impl Feeds {
    /// Starts a feed for each queue, for those that are found later too, until no more messages are wanted.
    pub(super) async fn run(mut self) {
        let mut fed = HashSet::new();
        for source in sources::present(&self.outbox.config, self.role) {
            self.start(source, &mut fed);
        }
        loop {
            let incarnation = self.incarnations.borrow_and_update().clone();
            for source in incarnation.iter().flat_map(|incarnation| incarnation.left.of(self.role)) {
                self.start(source.clone(), &mut fed);
            }
            tokio::select! {
                biased;
                () = self.closed.cancelled() => return,
                () = self.gone.cancelled() => return,
                changed = self.incarnations.changed() => if changed.is_err() { return },
            }
        }
    }

    fn start(&self, source: Source, fed: &mut HashSet<String>) {
        if !fed.insert(source.name.clone()) {
            return;
        }
        let started = Feed {
            source,
            prefetch: self.prefetch,
            inbox: Arc::clone(&self.inbox),
            outbox: self.outbox.clone(),
            incarnations: self.incarnations.clone(),
            status: Arc::clone(&self.status),
            gone: self.gone.clone(),
            closed: self.closed.clone(),
        };
        self.tasks.spawn(started.run());
    }
}
