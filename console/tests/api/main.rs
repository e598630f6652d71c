//! The API as a caller meets it, on the adapter that needs no servers.

#[cfg(test)]
mod access;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod callbacks;
#[cfg(test)]
mod choosing;
#[cfg(test)]
mod deliveries;
#[cfg(test)]
mod document;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod options;
mod policy;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod standing;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trail;
#[cfg(test)]
mod webhooks;
