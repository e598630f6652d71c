//! What a failed exchange was, and whose fault: found by the types of its causes, and told without the URL.

use std::error::Error;
use std::io;

use dockbell_proto::outcome::{Outcome, Phase};
use hyper_util::client::legacy::Error as LegacyError;
use rustls::{AlertDescription, CertificateError, Error as TlsError};

use super::client::ConnectTimedOut;
use super::dial::Elsewhere;
use super::names::LookUpError;
use super::proxy::ProxyError;
use super::resolve::ForbiddenHost;

/// Names the outcome of an exchange that ended in `error`.
pub(super) fn classify(error: &(dyn Error + 'static)) -> Outcome {
    // Before the others, of which one may be why it is away.
    if let Some(error) = find::<ProxyError>(error) {
        return of_proxy(error);
    }
    if find::<ForbiddenHost>(error).is_some() || find::<Elsewhere>(error).is_some() {
        return forbidden();
    }
    if let Some(error) = find::<LookUpError>(error) {
        let reason = error.to_string();
        return if error.is_ours() { Outcome::Hindered { reason } } else { Outcome::Unreachable { reason } };
    }
    if find::<ConnectTimedOut>(error).is_some() {
        return Outcome::TimedOut { phase: Phase::Connect };
    }
    if let Some(error) = find::<TlsError>(error) {
        return unreachable(&of_handshake(error));
    }
    if let Some(error) = find::<io::Error>(error) {
        return of_connection(error);
    }
    let is_connecting = find::<LegacyError>(error).is_some_and(LegacyError::is_connect);
    unreachable(if is_connecting { "no connection could be made" } else { "the answer is not HTTP or broke off" })
}

/// Which address it was would tell the webhook's owner about the network inside.
fn forbidden() -> Outcome {
    Outcome::Blocked { reason: "the host leads to an address that is not allowed".to_owned() }
}

/// What a proxy of the operator is at fault for is no fault of the receiver. What it refuses, the operator does.
fn of_proxy(error: &ProxyError) -> Outcome {
    let reason = error.to_string();
    match error {
        ProxyError::Away(_) | ProxyError::Strange | ProxyError::Credentials => Outcome::Hindered { reason },
        ProxyError::Failed(_) => Outcome::Unreachable { reason },
        ProxyError::Refused => forbidden(),
    }
}

fn unreachable(reason: &str) -> Outcome {
    Outcome::Unreachable { reason: reason.to_owned() }
}

/// The words of the library for some of it list every algorithm there is, and every name that a certificate is for.
fn of_handshake(error: &TlsError) -> String {
    use CertificateError as Certificate;
    let certificate = match error {
        TlsError::InvalidCertificate(certificate) => certificate,
        TlsError::AlertReceived(alert) => return format!("the TLS handshake failed: {}", of_alert(*alert, error)),
        _ => return format!("the TLS handshake failed: {error}"),
    };
    let flaw = match certificate {
        Certificate::Expired | Certificate::ExpiredContext { .. } => "has expired",
        Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "is not valid yet",
        Certificate::UnknownIssuer => "is not from an authority that is trusted here",
        Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => "is for another name",
        Certificate::Revoked => "was revoked",
        Certificate::UnsupportedSignatureAlgorithmContext { .. }
        | Certificate::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "is signed in a way that is not accepted"
        }
        _ => "is not valid",
    };
    format!("the TLS handshake failed: the certificate of the receiver {flaw}")
}

/// What a receiver says about what it was shown (RFC 8446, section 6.2).
fn of_alert(alert: AlertDescription, error: &TlsError) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => "the receiver wants a certificate (tls.client_certificate)".to_owned(),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => "the receiver does not accept the certificate of the webhook".to_owned(),
        _ => error.to_string(),
    }
}

/// What this machine lacks is our fault. A receiver that is away, and whatever lies between, are not: if they are away
/// all at once, that is noticed over many hosts.
fn of_connection(error: &io::Error) -> Outcome {
    match error.raw_os_error().and_then(lacking) {
        Some(reason) => Outcome::Hindered { reason: reason.to_owned() },
        None => unreachable(broken(error.kind())),
    }
}

/// What this machine lacks, if a call of the system failed with this code because of it.
fn lacking(code: i32) -> Option<&'static str> {
    match code {
        libc::EMFILE | libc::ENFILE => Some("this machine has no file descriptor left for a connection"),
        libc::ENOBUFS | libc::ENOMEM => Some("this machine has no memory left for a connection"),
        // Of a name only addresses with a route are dialled, so that a port is what is lacking, or it was a literal.
        libc::EADDRNOTAVAIL => Some("this machine has no port or address left for a connection"),
        libc::ENETUNREACH => Some("this machine has no route to the network of the host"),
        libc::ENETDOWN => Some("the network of this machine is down"),
        _ => None,
    }
}

fn broken(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "the connection was refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            "the connection was reset"
        }
        io::ErrorKind::UnexpectedEof => "the connection was closed before the answer was complete",
        io::ErrorKind::HostUnreachable => "there is no route to the host",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_our_fault_and_a_host_that_is_away_is_not() {
        let is_ours = |code| matches!(of_connection(&io::Error::from_raw_os_error(code)), Outcome::Hindered { .. });
        for code in [
            libc::EMFILE,
            libc::ENFILE,
            libc::ENOBUFS,
            libc::ENOMEM,
            libc::EADDRNOTAVAIL,
            libc::ENETUNREACH,
            libc::ENETDOWN,
        ] {
            assert!(is_ours(code), "{code}");
        }
        for code in [libc::ECONNREFUSED, libc::ECONNRESET, libc::EHOSTUNREACH, libc::ETIMEDOUT, libc::EPIPE] {
            assert!(!is_ours(code), "{code}");
        }
    }
}
