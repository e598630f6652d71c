//! A recorded notification: headers and body.
//!
//! A file is the body alone, or `{"method", "headers", "body"}` where headers matter.

use serde_json::Value;

/// What a registry sent.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    /// Headers by their names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Recording {
    pub(crate) fn of(file: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(file).unwrap_or_default();
        let (Some(headers), Some(body)) = (value["headers"].as_object(), value.get("body")) else {
            return Self { headers: Vec::new(), body: file.to_vec() };
        };
        let header = |(name, value): (&String, &Value)| (name.to_ascii_lowercase(), value.as_str().unwrap().to_owned());
        let mut headers: Vec<_> = headers.iter().map(header).collect();
        headers.retain(|(name, _)| name != "authorization");
        Self { headers, body: body.to_string().into_bytes() }
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn headers(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}
