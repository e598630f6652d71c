//! The two ports of Dockbell, [`Bus`] and [`Store`], and their adapters.
//!
//! What an adapter MUST do stands in `docs/contracts.md`; each rule there is the name of a test in
//! `dockbell_testkit::conformance`, which every adapter passes.

#![warn(missing_docs)]

pub mod amqp;
pub mod bus;
pub mod embedded;
mod identity;
pub mod keyring;
pub mod redis;
pub mod repeat;
pub mod store;

pub use bus::Bus;
pub use identity::ClientIdentity;
pub use store::Store;
