//! What documents promise about formats, and what others read, checked against the code.

#[cfg(test)]
mod consumers;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod targets;
