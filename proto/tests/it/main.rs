//! What documents promise about formats, checked against the code.

#[cfg(test)]
mod formats;
#[cfg(test)]
mod golden;
