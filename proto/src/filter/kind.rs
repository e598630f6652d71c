//! What was pushed, by media types.
//!
//! Sources: the OCI image specification 1.1 (manifest, index, and its guidance for artifacts: the media type of the config
//! tells what an artifact is), Docker's image manifest v2 schema 2, Helm's HIP-6.

use serde::{Deserialize, Serialize};

use crate::batch::{Change, config_and_layers};

/// What a tag names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An image for one platform.
    Image,
    /// An index, or a list of manifests: images for several platforms.
    Index,
    /// A Helm chart.
    Chart,
    /// Anything else.
    Artifact,
}

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// What only images have for a manifest.
const IMAGES: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];
/// What images, charts and artifacts have for a manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const CHART_CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Image, Self::Index, Self::Chart, Self::Artifact];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Index => "index",
            Self::Chart => "chart",
            Self::Artifact => "artifact",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What the tag may name: one kind if the source tells enough of the manifest, several if it does not.
    pub fn possible(change: &Change) -> &'static [Self] {
        let Some(media_type) = change.media_type.as_deref() else { return &Self::ALL };
        if INDEXES.contains(&media_type) {
            return &[Self::Index];
        }
        if let Some(kind) = config_and_layers(&change.blobs).0.and_then(|config| config.media_type.as_deref()) {
            return Self::of_config(kind);
        }
        match media_type {
            MANIFEST => &[Self::Image, Self::Chart, Self::Artifact],
            media_type if IMAGES.contains(&media_type) => &[Self::Image],
            // Some sources tell what is in the manifest, in the place of what it is.
            media_type => Self::of_config(media_type),
        }
    }

    fn of_config(media_type: &str) -> &'static [Self] {
        match media_type {
            CHART_CONFIG => &[Self::Chart],
            media_type if IMAGE_CONFIGS.contains(&media_type) => &[Self::Image],
            _ => &[Self::Artifact],
        }
    }
}
