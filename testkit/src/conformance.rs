//! What every adapter of the ports must do: one function per rule of `docs/contracts.md`, by its name.
//!
//! The rules are generic over the adapter. An adapter writes a harness and one test per rule that runs it.

#![expect(clippy::missing_panics_doc, reason = "every rule panics when it is broken")]

pub mod bus;
pub mod store;
