//! The deliverer over the embedded adapter, with a receiver that answers as it is told.

#[cfg(test)]
mod calling_back;
#[cfg(test)]
mod changing;
#[cfg(test)]
mod choosing;
mod claiming;
#[cfg(test)]
mod crashing;
#[cfg(test)]
mod delivering;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod misbehaving;
#[cfg(test)]
mod names;
#[cfg(test)]
mod outlawed;
#[cfg(test)]
mod overlapping;
#[cfg(test)]
mod proxying;
#[cfg(test)]
mod reaching;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod repeating;
#[cfg(test)]
mod street;
#[cfg(test)]
mod superseding;
#[cfg(test)]
mod suspending;
#[cfg(test)]
mod vouching;
#[cfg(test)]
mod watched;
