//! The producer over the embedded adapter, over a bus that fails, and over what registries really send.

#[cfg(test)]
mod amqp_dialects;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod collector_crash;
#[cfg(test)]
mod collector_poison;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod dialects;
#[cfg(test)]
mod expectation;
#[cfg(test)]
mod faulty;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod inbox;
#[cfg(test)]
mod inbox_crash;
#[cfg(test)]
mod intake;
#[cfg(test)]
mod intake_proofs;
#[cfg(test)]
mod intake_refusals;
#[cfg(test)]
mod intake_tokens;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod size;
