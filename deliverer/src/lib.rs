//! The deliverer: batches → deliveries → attempts → verdicts.
//!
//! A batch's way, module by module: [`pull`] consumes it, [`directory`] knows the webhooks, [`route`] makes
//! its deliveries, [`under_way`] keeps copies of one apart, [`newest`] tells which are old news, [`attempt`] makes one attempt of
//! a delivery, for which [`transport`] POSTs and says what the outcome is, [`judge`] says what follows from it, and [`settle`] records
//! that and carries it out. [`operations`] tells operators of what it leads to. [`service`] puts it all together.

pub mod attempt;
pub mod burial;
pub mod chance;
pub mod directory;
pub mod fleet;
pub mod gate;
pub mod hosts;
pub mod judge;
pub mod lane;
pub mod line;
pub mod metrics;
pub mod newest;
pub mod operations;
pub mod pool;
pub mod pull;
pub mod remembered;
pub mod route;
pub mod service;
pub mod settings;
pub mod settle;
pub mod transport;
pub mod under_way;
pub mod unrecorded;
