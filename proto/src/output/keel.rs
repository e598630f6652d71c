//! What Keel's native webhook takes: the image, with its registry, and the tag.

use serde::Serialize;

use super::Rendered;
use crate::batch::{Batch, Change};

#[derive(Serialize)]
struct Payload<'a> {
    name: String,
    tag: &'a str,
}

pub(super) fn render(content: &Batch, change: &Change) -> Rendered {
    let name = format!("{}/{}", content.registry, content.repository);
    Rendered::json(&Payload { name, tag: change.tag.as_str() })
}
