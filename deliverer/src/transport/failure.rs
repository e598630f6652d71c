//! What a failed exchange was: found by the types of its causes, and told without the URL.

use std::error::Error;
use std::io;

use dockbell_proto::outcome::{Outcome, Phase};

use super::resolve::{ForbiddenName, LookUpError};

/// Names the outcome of an exchange that ended in `error`.
pub(super) fn classify(error: &reqwest::Error) -> Outcome {
    if find::<ForbiddenName>(error).is_some() {
        // Which address it was would tell the webhook's owner about the network inside.
        return Outcome::Blocked { reason: "the host leads to an address that is not allowed".to_owned() };
    }
    if let Some(error) = find::<LookUpError>(error) {
        return unreachable(&error.to_string());
    }
    if error.is_timeout() {
        return Outcome::TimedOut { phase: if error.is_connect() { Phase::Connect } else { Phase::Headers } };
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return unreachable(&format!("the TLS handshake failed: {error}"));
    }
    if let Some(error) = find::<io::Error>(error) {
        return unreachable(broken(error.kind()));
    }
    unreachable(if error.is_connect() { "no connection could be made" } else { "the answer is not HTTP or broke off" })
}

fn unreachable(reason: &str) -> Outcome {
    Outcome::Unreachable { reason: reason.to_owned() }
}

fn broken(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            "the connection was reset"
        }
        io::ErrorKind::UnexpectedEof => "the connection was closed before the answer was complete",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "there is no route to the host",
        io::ErrorKind::TimedOut => "the connection timed out",
        _ => "the connection failed",
    }
}

/// The first cause of type `E`. An `io::Error` may wrap another error, which its `source` passes over.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<E>() {
            return Some(found);
        }
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| find::<E>(inner)) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
