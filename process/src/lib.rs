//! What every process of Dockbell is made of, between its first argument and its exit code: the settings of
//! its backends, their opening, watching and closing, and what it tells of itself meanwhile.

pub mod command;
mod depth;
pub mod files;
pub mod keys;
pub mod limits;
pub mod listen;
mod numbers;
pub mod process;
pub mod servers;
mod watch;

pub use process::{Process, ProcessError};

/// The allocator of all processes. A process that lets deliveries wait makes and drops many small values, and holds
/// some of them for long, which the system's allocator was seen to spend a quarter of its time on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
