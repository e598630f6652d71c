//! Writes small images as OCI layout folders.
//!
//! Source: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What an image can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Platforms {
    /// linux/amd64, without an index.
    One,
    /// linux/amd64 and linux/arm64.
    Two,
}

/// A folder with one tagged image.
#[derive(Debug)]
pub(super) struct Layout {
    /// What the tag stands for.
    pub(super) digest: String,
}

struct Blobs(PathBuf);

/// What refers to a blob.
struct Descriptor {
    digest: String,
    fields: Map<String, Value>,
}

impl Layout {
    /// `content` makes the image different from others.
    pub(super) fn write(folder: &Path, tag: &str, platforms: Platforms, content: &str) -> io::Result<Self> {
        let blobs = Blobs(folder.join("blobs/sha256"));
        fs::create_dir_all(&blobs.0)?;
        let tagged = match platforms {
            Platforms::One => blobs.image("amd64", content)?,
            Platforms::Two => {
                let manifests = [blobs.image("amd64", content)?.fields, blobs.image("arm64", content)?.fields];
                let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
                blobs.add(INDEX, index.to_string().as_bytes())?
            }
        };
        let digest = tagged.digest.clone();
        let tagged = tagged.with("annotations", json!({ "org.opencontainers.image.ref.name": tag }));
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [tagged.fields] });
        fs::write(folder.join("index.json"), index.to_string())?;
        fs::write(folder.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
        Ok(Self { digest })
    }
}

impl Blobs {
    /// Adds config, layer and manifest of an image, and returns what refers to the manifest.
    fn image(&self, architecture: &str, content: &str) -> io::Result<Descriptor> {
        // Two empty blocks end a tar file; what follows them makes the layer unique.
        let mut layer = vec![0; 1024];
        layer.extend(format!("{architecture} {content}").bytes());
        let layer = self.add(LAYER, &layer)?;
        let root = json!({ "type": "layers", "diff_ids": [layer.digest] });
        let config = json!({ "architecture": architecture, "os": "linux", "config": {}, "rootfs": root });
        let config = self.add(CONFIG, config.to_string().as_bytes())?;
        let (config, layers) = (config.fields, [layer.fields]);
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let manifest = self.add(MANIFEST, manifest.to_string().as_bytes())?;
        Ok(manifest.with("platform", json!({ "architecture": architecture, "os": "linux" })))
    }

    fn add(&self, media_type: &str, content: &[u8]) -> io::Result<Descriptor> {
        let mut name = String::new();
        for byte in Sha256::digest(content) {
            write!(name, "{byte:02x}").map_err(io::Error::other)?;
        }
        fs::write(self.0.join(&name), content)?;
        let digest = format!("sha256:{name}");
        let descriptor = Descriptor { digest: digest.clone(), fields: Map::new() };
        Ok(descriptor
            .with("mediaType", media_type.into())
            .with("digest", digest.into())
            .with("size", content.len().into()))
    }
}

impl Descriptor {
    fn with(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }
}
