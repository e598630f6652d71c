//! References to images, as they stand in what registries tell.

use serde_json::Value;

use super::distribution::references;
use super::field::{at, list};
use super::report::Action;
use crate::event::Reference;
use crate::names::{Registry, Tag};

/// `host/path:tag@digest`, of which only the path is always there. Nothing in it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image<'a> {
    pub(super) host: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

impl<'a> Image<'a> {
    /// Takes a reference apart, also one with a scheme. The tag is what stands behind the last colon after the last
    /// slash, because a host may have a port.
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, filled(digest)));
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, filled(tag)),
            _ => (name, None),
        };
        match name.split_once('/') {
            Some((host, path)) if is_host(host) => Self { host: Some(host), path, tag, digest },
            _ => Self { host: None, path: name, tag, digest },
        }
    }

    pub(super) fn registry(&self) -> Option<Registry> {
        self.host.and_then(|host| Registry::parse(host).ok())
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What stands before the first slash is a host if it could be none but a host (as Docker decides it).
fn is_host(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

/// The tag that an `action` is about. Registries put the digest in its place where there is none. One that is no
/// tag makes a push useless, and does not matter to anything else.
pub(super) fn tag(action: &Action, text: Option<&str>) -> Result<Option<Tag>, &'static str> {
    let Some(text) = text.filter(|text| !text.is_empty() && !text.contains(':')) else { return Ok(None) };
    match Tag::parse(text) {
        Ok(tag) => Ok(Some(tag)),
        Err(_) if *action == Action::Push => Err("the tag is not a tag"),
        Err(_) => Ok(None),
    }
}

/// What a manifest names: config and layers of an image, or the manifests of an index.
pub(super) fn named_by(manifest: &Value, media_type: &str) -> Vec<Reference> {
    let config = at(manifest, &["config"]).map(std::slice::from_ref).unwrap_or_default();
    [config, list(manifest, &["layers"]), list(manifest, &["manifests"])]
        .into_iter()
        .flat_map(|descriptors| references(descriptors, media_type))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_at_the_last_colon_after_the_last_slash() {
        let image = |host, path, tag, digest| Image { host, path, tag, digest };
        for (text, expected) in [
            ("h.test:5000/a/b:1", image(Some("h.test:5000"), "a/b", Some("1"), None)),
            ("h.test:5000/a/b", image(Some("h.test:5000"), "a/b", None, None)),
            ("https://h.test/a/b", image(Some("h.test"), "a/b", None, None)),
            ("localhost/a@sha256:aa", image(Some("localhost"), "a", None, Some("sha256:aa"))),
            ("h.test/a:1@sha256:aa", image(Some("h.test"), "a", Some("1"), Some("sha256:aa"))),
            ("ghcr.io/a/b:", image(Some("ghcr.io"), "a/b", None, None)),
            ("team/app", image(None, "team/app", None, None)),
            ("", image(None, "", None, None)),
        ] {
            assert_eq!(Image::of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_digest_is_no_tag_and_what_is_no_tag_spoils_only_a_push() {
        for text in [None, Some(""), Some("sha256:aa")] {
            assert_eq!(tag(&Action::Push, text), Ok(None));
        }
        assert_eq!(tag(&Action::Push, Some("1")), Ok(Some(Tag::parse("1").unwrap())));
        assert!(tag(&Action::Push, Some("-no tag")).is_err());
        assert_eq!(tag(&Action::Delete, Some("-no tag")), Ok(None));
    }
}
