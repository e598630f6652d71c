//! What every process of Dockbell is made of, between its first argument and its exit code: the settings of
//! its backends, their opening, watching and closing, and what it tells of itself meanwhile.

pub mod command;
mod depth;
pub mod listen;
mod numbers;
pub mod process;
pub mod servers;
mod watch;

pub use process::{Process, ProcessError};
