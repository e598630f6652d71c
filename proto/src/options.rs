//! What a format leaves open, and what the owner of a webhook chose.
//!
//! A new option is a member of [`Options`], an entry of [`KNOWN`] and an arm of `Options::set`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::webhook::{self, Format};

/// The longest template, in bytes.
pub const SOURCE_LIMIT: usize = 32 * 1024;
/// The longest value of [`ContentType`], in bytes.
const CONTENT_TYPE_LIMIT: usize = 128;
/// The longest value of [`ImageHost`], in bytes.
const HOST_LIMIT: usize = 255;

/// The options of a webhook. What is none is as the format has it by default. A member of another format than the
/// webhook's has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// `dockerhub`: how the repository is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_name: Option<RepoName>,
    /// `alin`: the header that names the tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<TagHeader>,
    /// `alin`: what stands before the repository in `image`, in place of the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<ImageHost>,
    /// `cloudevents`: whether all tags that changed come in one POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batched: Option<bool>,
    /// `distribution`: of which version the envelope is said to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<EnvelopeVersion>,
    /// `template`: what writes the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// `template`: what the body is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<ContentType>,
}

/// An option that some format has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The format that has it.
    pub format: Format,
    /// Its name, which no other format uses for something else.
    pub name: &'static str,
    /// What it does and what it may be, in a sentence.
    pub about: &'static str,
}

/// Every option of every format.
pub const KNOWN: [Known; 7] = [
    Known {
        format: Format::Dockerhub,
        name: "repo_name",
        about: "how `repository.repo_name` names the repository: `short` (`team/app`, the default) or `qualified` (with the registry before it)",
    },
    Known {
        format: Format::Alin,
        name: "header",
        about: "the name of the header that carries the repository and the tag, in place of `x-alin-webhook`",
    },
    Known {
        format: Format::Alin,
        name: "host",
        about: "what stands before the repository in `image`, in place of the registry",
    },
    Known {
        format: Format::CloudEvents,
        name: "batched",
        about: "whether all tags that changed come in one POST, in the batched mode: `true` or `false`, the default",
    },
    Known {
        format: Format::Distribution,
        name: "version",
        about: "whose envelope it is said to be by its media type: that of Distribution 3 (`2`, the default) or of Distribution 2 (`1`)",
    },
    Known {
        format: Format::Template,
        name: "source",
        about: "the template (Jinja's language) that writes the body; it must be given",
    },
    Known {
        format: Format::Template,
        name: "content_type",
        about: "what the body is: `application/json`, the default, or any other media type",
    },
];

/// How `dockerhub` names a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepoName {
    /// As Docker Hub does: `team/app`.
    Short,
    /// With its registry, for receivers that take a name without one for Docker Hub's: `hub.example.com/team/app`.
    Qualified,
}

/// The version of the envelope of `distribution`, as its media type names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvelopeVersion {
    /// What Distribution 2 sends.
    #[serde(rename = "1")]
    V1,
    /// What Distribution 3 sends.
    #[serde(rename = "2")]
    V2,
}

/// The lower-case name of a header that a format may set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagHeader(String);

/// What may stand before a repository in the name of an image: a host, with a port and a path if need be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageHost(String);

/// The text of a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Source(String);

/// A media type, as the header `Content-Type` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentType(String);

impl Options {
    /// These, which were of the format `from`, as they are of the format `to` after `changes`: those of another
    /// format go, and so do those whose value is null. The error says of every one that is wrong what it may be.
    pub fn changed(&self, from: Format, to: Format, changes: &Map<String, Value>) -> Result<Self, String> {
        let mut options = if from == to { self.clone() } else { Self::default() };
        let set = |(name, value): (&String, &Value)| options.set(to, name, value).err();
        let problems: Vec<String> = changes.iter().filter_map(set).collect();
        if problems.is_empty() { Ok(options) } else { Err(problems.join("; ")) }
    }

    /// The options by name, as the API shows them.
    pub fn members(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }

    fn set(&mut self, format: Format, name: &str, value: &Value) -> Result<(), String> {
        match (format, name) {
            (Format::Dockerhub, "repo_name") => self.repo_name = read(name, value, RepoName::parse)?,
            (Format::Alin, "header") => self.header = read(name, value, TagHeader::parse)?,
            (Format::Alin, "host") => self.host = read(name, value, ImageHost::parse)?,
            (Format::CloudEvents, "batched") => self.batched = read(name, value, truth)?,
            (Format::Distribution, "version") => self.version = read(name, value, EnvelopeVersion::parse)?,
            (Format::Template, "source") => self.source = read(name, value, Source::parse)?,
            (Format::Template, "content_type") => self.content_type = read(name, value, ContentType::parse)?,
            _ => return Err(unknown(format, name)),
        }
        Ok(())
    }
}

impl RepoName {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "short" => Ok(Self::Short),
            "qualified" => Ok(Self::Qualified),
            _ => Err("must be short or qualified".to_owned()),
        }
    }
}

fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

impl EnvelopeVersion {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "1" => Ok(Self::V1),
            "2" => Ok(Self::V2),
            _ => Err("must be 1 or 2".to_owned()),
        }
    }
}

impl TagHeader {
    /// Reads the name of a header that an owner may set, or one of the format's own.
    pub fn parse(text: &str) -> Result<Self, String> {
        webhook::header_name(text, &["x-alin-"]).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ImageHost {
    /// Reads a host with what may belong to it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:/[]".contains(&byte);
        if text.is_empty() || text.len() > HOST_LIMIT || !text.bytes().all(fits) || text.split('/').any(str::is_empty) {
            let shape = "must be a host such as hub.example.com:5000, with a path after it if need be, and without https:// and a slash at its end";
            return Err(shape.to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Source {
    /// Takes a text that is short enough. Whether it is a template shows when it is rendered.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > SOURCE_LIMIT {
            return Err(format!("must be at most {SOURCE_LIMIT} bytes"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ContentType {
    /// What a body is if its owner says nothing.
    pub const JSON: &'static str = "application/json";

    /// Reads a media type with its parameters.
    pub fn parse(text: &str) -> Result<Self, String> {
        let essence = essence(text);
        let fits = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        let is_type = essence.split_once('/').is_some_and(|(kind, name)| fits(kind) && fits(name));
        if !is_type || text.len() > CONTENT_TYPE_LIMIT || !webhook::is_header_value(text) {
            return Err("must be a media type such as text/plain".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a body of this type must be JSON.
    pub fn is_json(text: &str) -> bool {
        let essence = essence(text).to_ascii_lowercase();
        essence == Self::JSON || essence.ends_with("/json") || essence.ends_with("+json")
    }
}

fn essence(text: &str) -> &str {
    text.split_once(';').map_or(text, |(essence, _)| essence).trim()
}

impl TryFrom<String> for ContentType {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ContentType> for String {
    fn from(content_type: ContentType) -> Self {
        content_type.0
    }
}

impl TryFrom<String> for TagHeader {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for ImageHost {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<TagHeader> for String {
    fn from(header: TagHeader) -> Self {
        header.0
    }
}

impl From<ImageHost> for String {
    fn from(host: ImageHost) -> Self {
        host.0
    }
}

/// A number or a truth value may be given as text too, as a command line does. `null` is as by default.
fn read<T>(name: &str, value: &Value, parse: fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    let parsed = match value {
        Value::Null => return Ok(None),
        Value::String(text) => parse(text),
        Value::Bool(_) | Value::Number(_) => parse(&value.to_string()),
        Value::Array(_) | Value::Object(_) => Err("must be text".to_owned()),
    };
    parsed.map(Some).map_err(|problem| format!("options: {name} {problem}"))
}

/// The longest name of an unknown option that is repeated, in characters.
const SHOWN_NAME: usize = 64;

fn unknown(format: Format, name: &str) -> String {
    let own: Vec<&str> = KNOWN.iter().filter(|known| known.format == format).map(|known| known.name).collect();
    let others = KNOWN.iter().filter(|known| known.name == name).map(|known| known.format.as_str());
    let name: String = name.chars().take(SHOWN_NAME).collect();
    let own = if own.is_empty() { "it has none".to_owned() } else { format!("it has {}", own.join(", ")) };
    let others: Vec<&str> = others.collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({name} is one of {})", others.join(", ")) };
    format!("options: the format {} has no option {name:?}; {own}{others}", format.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changed(format: Format, changes: &Value) -> Result<Options, String> {
        Options::default().changed(format, format, changes.as_object().unwrap())
    }

    #[test]
    fn an_option_is_taken_by_its_format_alone_and_a_refusal_says_what_there_is() {
        let options = changed(Format::Alin, &json!({"header": "X-Image", "host": "mirror.test:5000/cache"})).unwrap();
        assert_eq!(Value::Object(options.members()), json!({"header": "x-image", "host": "mirror.test:5000/cache"}));
        for (format, changes, part) in [
            (Format::Dockerhub, json!({"header": "x-image"}), "it has repo_name (header is one of alin)"),
            (Format::Keel, json!({"batched": true}), "it has none"),
            (Format::Dockerhub, json!({"repo_name": "long"}), "repo_name must be short or qualified"),
            (Format::Dockerhub, json!({"repo_name": []}), "repo_name must be text"),
            (Format::Alin, json!({"host": "https://a.test"}), "host must be a host"),
            (Format::Alin, json!({"host": ""}), "host must be a host"),
            (Format::Alin, json!({"header": "Host"}), "host cannot be set"),
            (Format::Alin, json!({"header": "webhook-id"}), "webhook-id cannot be set"),
            (Format::Alin, json!({"header": "a b", "host": "a b"}), "; "),
            (Format::Template, json!({"content_type": "json"}), "content_type must be a media type"),
            (Format::Template, json!({"content_type": "text/plain\r\nx: y"}), "content_type must be a media type"),
        ] {
            let error = changed(format, &changes).unwrap_err();
            assert!(error.contains(part), "{changes}: {error}");
        }
    }

    #[test]
    fn options_stay_until_they_are_null_or_the_format_is_another() {
        let both = changed(Format::Alin, &json!({"header": "x-image", "host": "a.test"})).unwrap();
        let change = |to, changes: Value| both.changed(Format::Alin, to, changes.as_object().unwrap()).unwrap();
        assert_eq!(change(Format::Alin, json!({})), both);
        let rest = change(Format::Alin, json!({"host": null}));
        assert_eq!(Value::Object(rest.members()), json!({"header": "x-image"}));
        assert_eq!(change(Format::Dockerhub, json!({})), Options::default());
    }

    #[test]
    fn every_known_option_can_be_set() {
        for known in KNOWN {
            let wrong = json!("\n".repeat(SOURCE_LIMIT + 1));
            let error = Options::default().set(known.format, known.name, &wrong).unwrap_err();
            assert!(error.starts_with(&format!("options: {} ", known.name)), "{error}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_a_later_version_kept_besides_is_left_out() {
        let text = r#"{"repo_name":"qualified","header":"x-image","host":"a.test","later":1}"#;
        let options: Options = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&options).unwrap(), text.replace(r#","later":1"#, ""));
        assert_eq!(serde_json::from_str::<Options>("{}").unwrap(), Options::default());
        assert!(serde_json::from_str::<Options>(r#"{"header":"host"}"#).is_err());
    }
}
