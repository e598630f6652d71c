//! Development only: what the tests of several crates share.

pub mod clock;
pub mod conformance;
pub mod receiver;
pub mod registry;
pub mod sample;
pub mod wait;
