//! GitHub's container registry: the webhooks `package` and `registry_package`, one for each manifest.
//!
//! Source: *Webhook events and payloads* of GitHub's documentation.

use serde_json::Value;

use super::Entry;
use super::field::{at, count, first_text, short, short_text, text, time};
use super::headers::Headers;
use super::image::{Image, named_by, tag};
use super::report::{Action, Report};
use crate::event::Reference;
use crate::ids::EventId;
use crate::names::{Digest, Registry, Repository};

/// The host of the registry, where the package does not say it.
const HOST: &str = "ghcr.io";

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(headers: &Headers, body: &Value) -> Option<Vec<Entry>> {
    let package = at(body, &["package"]).or_else(|| at(body, &["registry_package"])).filter(|value| value.is_object());
    let event = headers.get("x-github-event");
    if let (Some(package), None | Some("package" | "registry_package")) = (package, event) {
        return Some(vec![entry(headers, body, package)]);
    }
    let is_ping = || at(body, &["zen"]).is_some() && at(body, &["hook_id"]).is_some();
    let noise = event.or_else(|| is_ping().then_some("ping"))?;
    Some(vec![Ok(Report::noise(noise))])
}

fn entry(headers: &Headers, body: &Value, package: &Value) -> Entry {
    if !is_image(package) {
        return Ok(Report::noise("a package that is no image"));
    }
    let version = at(package, &["package_version"]).unwrap_or(&Value::Null);
    let action = action(text(body, &["action"]).unwrap_or_default());
    let tag = tag(&action, tag_of(version))?;
    let image = text(version, &["package_url"]).map(Image::of).filter(|image| image.host.is_some());
    let metadata = at(version, &["container_metadata"]).unwrap_or(&Value::Null);
    Ok(Report {
        id: headers.get("x-github-delivery").and_then(|id| EventId::parse(id).ok()),
        time: time(version, &["updated_at"]),
        registry: image.and_then(|image| image.registry()).or_else(|| Registry::parse(HOST).ok()),
        repository: repository(package, image),
        media_type: short_text(metadata, &["manifest", "media_type"]),
        size: count(metadata, &["manifest", "size"]),
        pusher: short_text(body, &["sender", "login"]),
        references: references(version, metadata),
        ..Report::of_manifest(action, tag, digest(version))
    })
}

/// GitHub has packages of many kinds. The type of some images says that of another kind, and the ecosystem is right.
fn is_image(package: &Value) -> bool {
    let of_images = |kind: &str| kind.eq_ignore_ascii_case("container") || kind.eq_ignore_ascii_case("docker");
    ["package_type", "ecosystem"].iter().filter_map(|member| text(package, &[member])).any(of_images)
}

fn action(name: &str) -> Action {
    match name {
        "published" | "updated" | "create" | "created" => Action::Push,
        "deleted" => Action::Delete,
        other => Action::Other(short(other)),
    }
}

/// The tag; else the version, which is one where it is no digest.
fn tag_of(version: &Value) -> Option<&str> {
    first_text(version, &[&["container_metadata", "tag", "name"], &["name"], &["version"]])
}

fn digest(version: &Value) -> Option<Digest> {
    let paths: [&[&str]; 4] = [
        &["container_metadata", "tag", "digest"],
        &["container_metadata", "manifest", "digest"],
        &["version"],
        &["name"],
    ];
    paths.iter().filter_map(|path| text(version, path)).find_map(|digest| Digest::parse(digest).ok())
}

/// The reference that people pull has the name; else it is that of owner and package. Accounts are shown in the case
/// that they were typed in, and references are always in lower case.
fn repository(package: &Value, image: Option<Image<'_>>) -> Option<Repository> {
    let of_package = || {
        let owner = first_text(package, &[&["owner", "login"], &["namespace"]])?;
        Some(format!("{owner}/{}", text(package, &["name"])?))
    };
    let name = image.map(|image| image.path.to_owned()).or_else(of_package)?;
    Repository::parse(&name.to_lowercase()).ok()
}

/// What the manifest names: as an object, or in packages of 2019 as a text of the manifest itself.
fn references(version: &Value, metadata: &Value) -> Vec<Reference> {
    let as_text = || {
        let manifest = serde_json::from_str::<Value>(text(version, &["manifest"])?).ok()?;
        Some(named_by(&manifest, "mediaType"))
    };
    let as_object = at(metadata, &["manifest"]).map(|manifest| named_by(manifest, "media_type"));
    as_object.or_else(as_text).unwrap_or_default()
}
