//! Dockbell's vocabulary and wire formats: every word that two of its processes must agree on.
//!
//! Nothing here does I/O or draws a random number, and only [`clock::SystemClock`] reads a clock: time and
//! chance are arguments.

#![warn(missing_docs)]

pub mod address;
pub mod audit;
pub mod batch;
pub mod callback;
pub mod chain;
pub mod clock;
pub mod credential;
pub mod delivery;
pub mod event;
pub mod filter;
pub mod health;
pub mod ids;
pub mod input;
pub mod message;
pub mod names;
pub mod operations;
pub mod options;
pub mod order;
pub mod outcome;
pub mod output;
pub mod pattern;
pub mod placeholder;
pub mod policy;
pub mod proof;
pub mod secret;
pub mod signature;
pub mod target;
mod text;
pub mod tls;
pub mod token;
pub mod trace;
pub mod webhook;
