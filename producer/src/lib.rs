//! The producer: intake → windows → batches.
//!
//! An event's way, module by module: [`intake`] takes it in over HTTP, [`decode`] reads it, [`stamp`] gives
//! it its order, [`publish`] puts it on the bus, as [`inbox`] does with what others published; [`collect`]
//! consumes it, [`custody`] holds the duty to settle it, [`window`] groups it, [`fold`] makes the batch, and
//! [`publish`] sends that on. [`service`] puts it all together.

pub mod collect;
pub mod custody;
pub mod decode;
pub mod fold;
pub mod inbox;
pub mod intake;
pub mod metrics;
pub mod publish;
mod reader;
pub mod service;
pub mod settings;
pub mod source;
mod spans;
pub mod stamp;
pub mod tokens;
pub mod weight;
pub mod window;
