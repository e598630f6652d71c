//! Development only: what the tests of several crates share.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

pub mod authority;
pub mod clock;
pub mod collector;
pub mod command_receiver;
pub mod conformance;
mod free;
pub mod listening;
pub mod name_server;
pub mod oracle;
pub mod proxy;
pub mod rabbitmq;
pub mod receiver;
pub mod redis;
pub mod registry;
pub mod rogue;
pub mod sample;
pub mod spellings;
pub mod wait;
