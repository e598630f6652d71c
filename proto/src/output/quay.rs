//! Quay's payload of a push: every tag of the repository that changed.

use serde::Serialize;

use super::Rendered;
use crate::batch::Batch;

#[derive(Serialize)]
struct Payload<'a> {
    name: &'a str,
    repository: &'a str,
    namespace: &'a str,
    docker_url: String,
    homepage: String,
    updated_tags: Vec<&'a str>,
}

pub(super) fn render(content: &Batch) -> Rendered {
    let payload = Payload {
        name: content.repository.base_name(),
        repository: content.repository.as_str(),
        namespace: content.repository.namespace().unwrap_or_default(),
        // Receivers parse it as the reference of an image: a scheme would make it none.
        docker_url: format!("{}/{}", content.registry, content.repository),
        homepage: format!("https://{}/{}", content.registry, content.repository),
        updated_tags: content.changes.iter().map(|change| change.tag.as_str()).collect(),
    };
    Rendered::json(&payload)
}
