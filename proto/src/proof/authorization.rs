//! What the `Authorization` of attempts carries.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;
use crate::webhook::{HEADER_VALUE_LIMIT, is_header_value};

/// The header that carries it.
pub const AUTHORIZATION_HEADER: &str = "authorization";

/// What the `Authorization` of attempts carries. The constructors see to it that a header can hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// This value, verbatim, as Harbor sends it.
    Verbatim(Secret),
    /// `Basic`, with a user and a password.
    Basic {
        /// The user, without a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `Bearer`, with a token.
    Bearer(Secret),
}

impl Authorization {
    /// `value` as it is. The error says what is wrong without its value, as do those of the others.
    pub fn verbatim(value: &str) -> Result<Self, String> {
        Self::Verbatim(Secret::new(value)).checked("value")
    }

    /// This user with this password.
    pub fn basic(user: &str, password: &str) -> Result<Self, String> {
        // RFC 7617: what stands before the first colon is the user, and neither holds control characters.
        if user.contains(':') || user.chars().chain(password.chars()).any(char::is_control) {
            return Err("user must not contain a colon, and neither it nor password control characters".to_owned());
        }
        if user.is_empty() && password.is_empty() {
            return Err("user and password must not both be empty".to_owned());
        }
        Self::Basic { user: user.to_owned(), password: Secret::new(password) }.checked("user and password")
    }

    /// This token.
    pub fn bearer(token: &str) -> Result<Self, String> {
        if token.contains([' ', '\t']) {
            return Err("token must not contain blanks".to_owned());
        }
        Self::Bearer(Secret::new(token)).checked("token")
    }

    /// The value of the header.
    pub fn value(&self) -> String {
        match self {
            Self::Verbatim(value) => value.expose().to_owned(),
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()),
        }
    }

    fn checked(self, what: &str) -> Result<Self, String> {
        let value = self.value();
        if value.is_empty() || value == "Bearer " {
            return Err(format!("{what} must not be empty"));
        }
        if !is_header_value(&value) {
            return Err(format!(
                "{what} must be visible ASCII, without blanks around it, of which the header does not exceed {HEADER_VALUE_LIMIT} bytes"
            ));
        }
        Ok(self)
    }
}
