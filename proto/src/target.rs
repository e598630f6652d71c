//! The URL of a webhook, checked before anything is sent to it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::{Host, Url};

use crate::address::{AddressPolicy, Forbidden};

/// The longest URL that is accepted, in bytes.
pub const URL_LIMIT: usize = 2048;
/// Path segments longer than this may be credentials and are masked when a URL is shown.
const SHOWN_SEGMENT: usize = 20;

/// A URL that may be dialled as far as its text tells: http or https, no user info, and no literal
/// address that the policy forbids. What its name resolves to is judged when it is dialled.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl(Url);

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The text is not a URL that could be dialled.
    #[error("url {0}")]
    Invalid(String),
    /// The URL names an address that the policy forbids.
    #[error(
        "url points to the host {host}, and {forbidden}; an operator can allow it with targets.allow (DOCKBELL_TARGETS_ALLOW={host}:{port})"
    )]
    Forbidden {
        /// The host as it was understood.
        host: String,
        /// The port.
        port: u16,
        /// The rule.
        forbidden: Forbidden,
    },
    /// The URL names an address that the operator denies.
    #[error("url points to the host {host}, and the operator denies that network (targets.deny)")]
    Denied {
        /// The host as it was understood.
        host: String,
    },
    /// The URL names a port that the policy forbids.
    #[error(
        "url names the port {port}, at which other services than receivers of webhooks are found; an operator can allow it for the addresses that the host has with targets.allow (such as DOCKBELL_TARGETS_ALLOW=192.0.2.1:{port})"
    )]
    Port {
        /// The port.
        port: u16,
    },
    /// The URL names a host that only an inner network knows.
    #[error(
        "url points to the host {host}, whose name only an inner network knows; an operator can allow the addresses that it has there with targets.allow (such as DOCKBELL_TARGETS_ALLOW=10.1.0.0/16)"
    )]
    Inner {
        /// The host.
        host: String,
    },
}

impl TargetUrl {
    /// Reads and judges a URL.
    pub fn parse(text: &str, policy: &AddressPolicy) -> Result<Self, TargetError> {
        // The parser strips blanks and turns `\` into `/`, so the raw text is looked at first.
        if text.len() > URL_LIMIT {
            return Err(invalid(format!("is longer than {URL_LIMIT} bytes")));
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
            return Err(invalid("contains blanks, control characters or a backslash"));
        }
        let url = Url::parse(text).map_err(|error| invalid(format!("cannot be read: {error}")))?;
        check_shape(&url)?;
        let port =
            url.port_or_known_default().filter(|port| *port != 0).ok_or_else(|| invalid("has no usable port"))?;
        check_host(&url, port, policy)?;
        Ok(Self(url))
    }

    /// The whole URL, secrets included.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// The host, which is not a secret.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

fn invalid(problem: impl Into<String>) -> TargetError {
    TargetError::Invalid(problem.into())
}

fn check_shape(url: &Url) -> Result<(), TargetError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("must start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "must not hold a user name or password; send credentials as `headers`, for example `Authorization`",
        ));
    }
    if url.fragment().is_some() {
        return Err(invalid("must not have a fragment (#…), which is never sent"));
    }
    Ok(())
}

/// Judges literals in every spelling that the parser understands, and the name `localhost`, which stands
/// for a literal.
fn check_host(url: &Url, port: u16, policy: &AddressPolicy) -> Result<(), TargetError> {
    let literal = match url.host() {
        None => return Err(invalid("has no host")),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(name)) if is_localhost(name) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(Host::Domain(name)) => return check_name(name, port, policy),
    };
    let refuse = |forbidden| {
        let host = match literal {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        match forbidden {
            Forbidden::Denied => TargetError::Denied { host },
            Forbidden::Class { .. } | Forbidden::Port { .. } => TargetError::Forbidden { host, port, forbidden },
        }
    };
    policy.check(SocketAddr::new(literal, port)).map_err(refuse)
}

/// Judges what a name and a port tell; the addresses are judged when they are dialled.
fn check_name(name: &str, port: u16, policy: &AddressPolicy) -> Result<(), TargetError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = |label: &str| (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-');
    if name.len() > 253 || !name.split('.').all(fits) {
        return Err(invalid("has an empty or too long label in its host, or one that begins or ends with a hyphen"));
    }
    // Names of the internet's hosts have letters, digits and hyphens (RFC 1123, section 2.1); those of containers have
    // underscores, too.
    let is_of_hosts = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !name.bytes().all(|byte| is_of_hosts(byte) || (byte == b'_' && policy.has_exceptions())) {
        return Err(invalid("has a character in its host that is no letter, digit, hyphen or dot"));
    }
    if is_inner(name) && !policy.has_exceptions() {
        return Err(TargetError::Inner { host: name.to_owned() });
    }
    policy.check_port(port).map_err(|_| TargetError::Port { port })
}

/// Endings that the internet's name servers do not know: by RFC 6762, 7686, 8375 and ICANN's reservation of `internal`,
/// or by the use of routers and clusters.
const INNER_ENDINGS: [&str; 13] = [
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "svc",
    "consul",
    "onion",
    "home.arpa",
    "workgroup",
];

/// Whether a name is of an inner network: it has one label, which only a search list could complete, or such an ending.
fn is_inner(name: &str) -> bool {
    let ends = |ending: &&str| name.strip_suffix(*ending).is_some_and(|rest| rest.ends_with('.'));
    !name.contains('.') || INNER_ENDINGS.iter().any(ends)
}

/// Whether a name stands for this machine (RFC 6761, section 6.3). Such a name is dialled as `127.0.0.1`.
pub fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// The URL as it may be shown: values of the query and long path segments are masked.
impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        for segment in self.0.path_segments().into_iter().flatten() {
            f.write_str(if segment.len() > SHOWN_SEGMENT { "/***" } else { "/" })?;
            f.write_str(if segment.len() > SHOWN_SEGMENT { "" } else { segment })?;
        }
        for (place, pair) in self.0.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
            f.write_str(if place == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((key, _)) => write!(f, "{key}=***")?,
                None => f.write_str("***")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TargetUrl, TargetError> {
        TargetUrl::parse(text, &AddressPolicy::default())
    }

    #[test]
    fn literals_in_every_spelling_are_refused_with_the_setting_that_allows_them() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http:/127.0.0.1/",
            "http://localhost/",
            "http://localhost./",
            "http://a.localhost/",
            "http://ｌｏｃａｌｈｏｓｔ/",
            "https://169.254.169.254/latest",
            "http://10.0.0.1:8080/",
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, TargetError::Forbidden { .. }), "{text}: {error}");
            assert!(error.to_string().contains("DOCKBELL_TARGETS_ALLOW="), "{text}: {error}");
        }
    }

    #[test]
    fn the_setting_that_a_refusal_names_allows_the_url() {
        for text in ["http://127.0.0.1:9000/a", "http://[fd00::1]/", "https://10.0.0.1/"] {
            let message = parse(text).unwrap_err().to_string();
            let (_, rest) = message.split_once("DOCKBELL_TARGETS_ALLOW=").unwrap();
            let policy = AddressPolicy::new(vec![rest.trim_end_matches(')').parse().unwrap()]);
            assert!(TargetUrl::parse(text, &policy).is_ok(), "{text}: {message}");
        }
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        for text in [
            "",
            "//a/",
            "a",
            "ftp://a/",
            "file:///etc/passwd",
            "http+unix://a/",
            "http://user:pass@example.com/",
            "http://example.com\\@127.0.0.1/",
            " http://example.com/",
            "http://exa\nmple.com/",
            "http://example.com/#a",
            "http://example.com:0/",
            "http://example..com/",
            "http://./",
        ] {
            assert!(matches!(parse(text), Err(TargetError::Invalid(_))), "{text:?}: {:?}", parse(text));
        }
    }

    #[test]
    fn a_shown_url_hides_what_may_be_a_credential() {
        let url =
            parse("https://hooks.example.com:8443/services/T0123456789/abcdefghijklmnopqrstuvwxyz?token=canary&flag")
                .unwrap();
        assert_eq!(url.to_string(), "https://hooks.example.com:8443/services/T0123456789/***?token=***&***");
        assert_eq!(format!("{url:?}"), url.to_string());
    }
}
