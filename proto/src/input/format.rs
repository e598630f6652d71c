//! The dialects, by the names that configuration uses.

use serde::{Deserialize, Serialize};

/// The dialect of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    /// Whatever headers and body show themselves to be.
    #[default]
    Auto,
    /// Dockbell's own event.
    Native,
    /// A CNCF Distribution envelope (v1 or v2), or one event of it without the envelope.
    Distribution,
    /// GitLab's container registry: a distribution envelope with additions.
    Gitlab,
    /// A webhook of Azure Container Registry: one bare event.
    Acr,
    /// Harbor, in its default format or as a `CloudEvent`.
    Harbor,
    /// zot: `CloudEvents`, binary or structured.
    Zot,
    /// Any `CloudEvent` about an image.
    Cloudevents,
    /// Quay.
    Quay,
    /// GitHub's container registry: the webhooks `package` and `registry_package`.
    Ghcr,
    /// Docker Hub.
    Dockerhub,
    /// Amazon ECR, through `EventBridge`.
    Ecr,
    /// Google's Artifact Registry and Container Registry, through Pub/Sub.
    Gar,
    /// Alibaba's Container Registry.
    Alibaba,
    /// `JFrog` Artifactory.
    Jfrog,
    /// Azure Container Registry, through Event Grid.
    Eventgrid,
    /// angos.
    Angos,
}

impl InputFormat {
    /// Every format.
    pub const ALL: [Self; 17] = [
        Self::Auto,
        Self::Native,
        Self::Distribution,
        Self::Gitlab,
        Self::Acr,
        Self::Harbor,
        Self::Zot,
        Self::Cloudevents,
        Self::Quay,
        Self::Ghcr,
        Self::Dockerhub,
        Self::Ecr,
        Self::Gar,
        Self::Alibaba,
        Self::Jfrog,
        Self::Eventgrid,
        Self::Angos,
    ];

    /// The name that configuration uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Distribution => "distribution",
            Self::Gitlab => "gitlab",
            Self::Acr => "acr",
            Self::Harbor => "harbor",
            Self::Zot => "zot",
            Self::Cloudevents => "cloudevents",
            Self::Quay => "quay",
            Self::Ghcr => "ghcr",
            Self::Dockerhub => "dockerhub",
            Self::Ecr => "ecr",
            Self::Gar => "gar",
            Self::Alibaba => "alibaba",
            Self::Jfrog => "jfrog",
            Self::Eventgrid => "eventgrid",
            Self::Angos => "angos",
        }
    }

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Whether the registry that such a body seems to come from is only the likeliest: one that is configured is right.
    pub const fn guesses_the_registry(self) -> bool {
        matches!(self, Self::Alibaba | Self::Jfrog)
    }

    /// What a body of this format is; it finishes the sentence "expected …".
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Auto => {
                "a distribution envelope with `events`, one event with `action` and `target`, a native event with \
                 `schema`, or the notification of another registry that docs/formats.md names"
            }
            Self::Native => "an object with `\"schema\": \"dockbell.event/1\"`",
            Self::Distribution | Self::Gitlab => "an object with `events`, or one event with `action` and `target`",
            Self::Acr => "one event with `action` and `target`, or `{\"action\": \"ping\"}`",
            Self::Harbor => "an object with `type` and `event_data`, or a CloudEvent with `data.resources`",
            Self::Zot | Self::Cloudevents => "a CloudEvent: headers `ce-…`, or an object with `specversion` and `type`",
            Self::Quay => "an object with `repository` and `docker_url` or `updated_tags`",
            Self::Ghcr => "the header X-GitHub-Event, or an object with `package` or `registry_package`",
            Self::Dockerhub => "an object with `push_data` and `repository.repo_name`",
            Self::Ecr => "an object with `detail-type` and `detail`",
            Self::Gar => "an object with `message.data`, or one with `action` and `digest` or `tag`",
            Self::Alibaba => "an object with `push_data` and `repository.repo_full_name`",
            Self::Jfrog => "an object with `domain` and `event_type`, or its `data` alone",
            Self::Eventgrid => "an array of objects with `eventType`",
            Self::Angos => "an object with `kind` and `namespace`",
        }
    }
}
