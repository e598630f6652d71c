//! Dockbell as a whole: the real binary, its real neighbours, and the rules of the house.

#[cfg(test)]
mod accounting;
#[cfg(test)]
mod callbacks;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod dead;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod described;
#[cfg(test)]
mod events;
#[cfg(test)]
mod failpoints;
#[cfg(test)]
mod failpoints_deliverer;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod fleet_away;
#[cfg(test)]
mod fleet_disk;
#[cfg(test)]
mod fleet_faults;
#[cfg(test)]
mod fleet_kill;
#[cfg(test)]
mod fleet_letters;
#[cfg(test)]
mod fleet_restart;
#[cfg(test)]
mod fleet_trace;
#[cfg(test)]
mod fleet_work;
#[cfg(test)]
mod flooded;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod house;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod load;
#[cfg(test)]
mod newest;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod payload;
#[cfg(test)]
mod poison;
#[cfg(test)]
mod process;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod verifying;
#[cfg(test)]
mod wall_clock;
#[cfg(test)]
mod watchers;
