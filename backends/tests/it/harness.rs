//! Embedded adapters to test.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dockbell_backends::bus::{Bus, Outgoing};
use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::keyring::{Keyring, new_key};
use dockbell_backends::store::Store;
use dockbell_proto::clock::Clock;
use dockbell_testkit::clock::ManualClock;
use dockbell_testkit::conformance::bus::{BusHarness, QUEUE_BYTES};
use dockbell_testkit::conformance::store::StoreHarness;
use dockbell_testkit::sample;
use jiff::Timestamp;
use tempfile::{NamedTempFile, TempDir};

/// A clock that shows [`sample::moment`].
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(sample::moment()))
}

/// A keyring with one new key, whose file is gone.
pub(crate) fn new_keys() -> Arc<Keyring> {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), new_key()).unwrap();
    Arc::new(Keyring::read(file.path()).unwrap())
}

pub(crate) fn open(folder: &Path, limits: EmbeddedLimits) -> Embedded {
    Embedded::open(folder, clock(), limits).unwrap()
}

pub(crate) fn outgoing(id: &str, body: Vec<u8>) -> Outgoing {
    Outgoing { id: id.to_owned(), key: "key".to_owned(), headers: Vec::new(), body: body.into(), maybe_repeated: false }
}

/// What a process that ends now leaves behind. Nothing may be under way in the store.
pub(crate) fn leavings(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for name in ["dockbell.db", "dockbell.db-wal"] {
        fs::copy(folder.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

pub(crate) struct EmbeddedBus {
    folder: TempDir,
    bus: Arc<Embedded>,
}

impl EmbeddedBus {
    const LIMITS: fn() -> EmbeddedLimits = || EmbeddedLimits { queue_bytes: QUEUE_BYTES, ..EmbeddedLimits::default() };

    pub(crate) fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let bus = Arc::new(open(folder.path(), Self::LIMITS()));
        Self { folder, bus }
    }
}

#[async_trait]
impl BusHarness for EmbeddedBus {
    fn bus(&self) -> Arc<dyn Bus> {
        Arc::<Embedded>::clone(&self.bus)
    }

    async fn crash(&mut self) {
        let folder = leavings(self.folder.path());
        self.bus = Arc::new(open(folder.path(), Self::LIMITS()));
        self.folder = folder;
    }
}

pub(crate) struct EmbeddedStore {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    store: Arc<Embedded>,
}

impl EmbeddedStore {
    pub(crate) fn open() -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), clock());
        let of_store: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let opened = Embedded::open_sealed(folder.path(), of_store, EmbeddedLimits::default(), new_keys());
        let store = Arc::new(opened.unwrap());
        Self { _folder: folder, clock, store }
    }
}

#[async_trait]
impl StoreHarness for EmbeddedStore {
    /// One process owns the file, so both handles are the same.
    fn stores(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (Arc::<Embedded>::clone(&self.store), Arc::<Embedded>::clone(&self.store))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
