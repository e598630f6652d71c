//! What every process needs: a lifecycle, settings, telemetry, and a listener with its admin routes.
//!
//! Nothing here knows what Dockbell does.

pub mod admin;
pub mod authorization;
pub mod config;
pub mod crypto;
pub mod failpoint;
pub mod lifecycle;
pub mod limits;
pub mod listener;
pub mod telemetry;
pub mod trace;
