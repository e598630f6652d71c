//! The consumers, and the payloads that each was seen to take or to refuse.

use dockbell_proto::webhook::Format;
use serde_json::Value;

use super::Consumer;
use super::Type::{self, Integer, Number, Text, TextOrNull, Texts, TextsOrNull};

const DOCKERHUB_COUNTS: &[(&str, Type)] = &[
    ("/push_data/pushed_at", Integer),
    ("/repository/date_created", Integer),
    ("/repository/star_count", Integer),
    ("/repository/comment_count", Integer),
];
const DOCKERHUB_NAMES: &[(&str, Type)] = &[("/push_data/tag", Text), ("/repository/repo_name", Text)];
const QUAY: &[(&str, Type)] = &[("/docker_url", Text), ("/updated_tags", Texts)];
const RESOURCE: &[(&str, Type)] =
    &[("/type", Text), ("/event_data/resources/0/resource_url", Text), ("/event_data/resources/0/tag", Text)];
const BARE: &[(&str, Type)] =
    &[("/action", Text), ("/target/repository", Text), ("/target/tag", Text), ("/request/host", Text)];
const JSON: Option<(&str, &str)> = Some(("content-type", "application/json"));

fn anything(_: &Value) -> bool {
    true
}

fn is_push(payload: &Value) -> bool {
    payload["action"] == "push"
}

fn is_first_a_push(payload: &Value) -> bool {
    payload["events"][0]["action"] == "push"
}

/// Every resource's URL is the reference of an image, and Harbor's other types are errors.
fn is_pushed_artifact(payload: &Value) -> bool {
    let url = payload["event_data"]["resources"][0]["resource_url"].as_str().unwrap_or_default();
    payload["type"] == "PUSH_ARTIFACT"
        && url.split_once('/').is_some_and(|(host, path)| !host.is_empty() && path.contains(':'))
}

fn is_of_a_container(payload: &Value) -> bool {
    let kind = payload["type"].as_str().unwrap_or_default();
    payload["specversion"] == "1.0" && (kind.contains("container") || kind.contains("image"))
}

/// The host is the third part of the URL, and the manifest's path follows it.
fn names_a_manifest(payload: &Value) -> bool {
    let url = payload["events"][0]["target"]["url"].as_str().unwrap_or_default();
    let has_host = url.split('/').nth(2).is_some_and(|host| !host.is_empty());
    is_first_a_push(payload) && has_host && url.contains("/manifests/")
}

pub(super) const CONSUMERS: &[Consumer] = &[
    Consumer {
        name: "Flux, dockerhub",
        format: Format::Dockerhub,
        needs: &[],
        reads: &[("/push_data/tag", Text), ("/repository/repo_url", Text)],
        asks: anything,
        header: None,
        taken: &["flux_dockerhub_minimal", "dockerhub_docs_current"],
        refused: &[],
    },
    Consumer {
        name: "Flux, quay",
        format: Format::Quay,
        needs: &[],
        reads: QUAY,
        asks: anything,
        header: None,
        taken: &["flux_quay_minimal", "quay_repo_push_keel"],
        refused: &[],
    },
    Consumer {
        name: "Flux, acr",
        format: Format::Acr,
        needs: &[],
        reads: &[("/action", Text), ("/target/repository", Text), ("/target/tag", Text)],
        asks: anything,
        header: None,
        taken: &["acr_push_docs"],
        refused: &[],
    },
    Consumer {
        name: "Keel, native",
        format: Format::Keel,
        needs: &[("/name", Text), ("/tag", Text)],
        reads: &[],
        asks: anything,
        header: None,
        taken: &["keel_native"],
        refused: &[],
    },
    Consumer {
        name: "Keel, dockerhub",
        format: Format::Dockerhub,
        needs: DOCKERHUB_NAMES,
        reads: DOCKERHUB_COUNTS,
        asks: anything,
        header: None,
        taken: &["dockerhub_keel_2017", "dockerhub_docs_current", "dockerhub_azure_app_service_minimal"],
        refused: &["dockerhub_docs_2016_comment_count_string", "dockerhub_docs_2018_float_exponent"],
    },
    Consumer {
        name: "Keel, harbor",
        format: Format::Harbor,
        needs: RESOURCE,
        reads: &[("/occur_at", Integer), ("/event_data/repository/date_created", Integer)],
        asks: is_pushed_artifact,
        header: None,
        taken: &["harbor_push_artifact_docs", "kargo_harbor_multiple_resources"],
        refused: &["flux_harbor1_legacy"],
    },
    Consumer {
        name: "Keel, registry notifications",
        format: Format::Distribution,
        needs: &[
            ("/events/0/action", Text),
            ("/events/0/target/repository", Text),
            ("/events/0/target/tag", Text),
            ("/events/0/request/host", Text),
        ],
        reads: &[("/events/0/target/size", Integer), ("/events/0/target/length", Integer)],
        asks: is_first_a_push,
        header: None,
        taken: &["distribution_passthrough_v2", "distribution_passthrough_v3"],
        refused: &["acr_push_docs"],
    },
    Consumer {
        name: "Keel, quay",
        format: Format::Quay,
        needs: QUAY,
        reads: &[],
        asks: anything,
        header: None,
        taken: &["quay_repo_push_keel", "kargo_quay_minimal"],
        refused: &["keel_native"],
    },
    Consumer {
        name: "Keel, azure",
        format: Format::Acr,
        needs: BARE,
        reads: &[],
        asks: is_push,
        header: None,
        taken: &["acr_push_docs"],
        refused: &["acr_ping"],
    },
    Consumer {
        name: "Image Updater, harbor",
        format: Format::Harbor,
        needs: RESOURCE,
        reads: &[],
        asks: is_pushed_artifact,
        header: JSON,
        taken: &["harbor_push_artifact_docs"],
        refused: &["flux_harbor1_legacy"],
    },
    Consumer {
        name: "Image Updater, quay.io",
        format: Format::Quay,
        needs: QUAY,
        reads: &[],
        asks: anything,
        header: None,
        taken: &["quay_repo_push_keel", "kargo_quay_minimal"],
        refused: &[],
    },
    Consumer {
        name: "Image Updater, acr",
        format: Format::Acr,
        needs: BARE,
        reads: &[("/target/digest", Text)],
        asks: is_push,
        header: None,
        taken: &["acr_push_docs"],
        refused: &["acr_ping"],
    },
    Consumer {
        name: "Image Updater, cloudevents",
        format: Format::CloudEvents,
        needs: &[
            ("/specversion", Text),
            ("/id", Text),
            ("/source", Text),
            ("/type", Text),
            ("/data/repository", Text),
            ("/data/tag", Text),
        ],
        reads: &[("/data/digest", Text), ("/data/registryUrl", Text), ("/subject", Text), ("/time", Text)],
        asks: is_of_a_container,
        header: Some(("content-type", "application/cloudevents+json")),
        taken: &["cloudevents_argocd_image_updater_generic"],
        refused: &["harbor_cloudevents_push_shape"],
    },
    Consumer {
        name: "Argo CD, harbor",
        format: Format::Harbor,
        needs: RESOURCE,
        reads: &[],
        asks: is_pushed_artifact,
        header: None,
        taken: &["harbor_push_artifact_docs"],
        refused: &["flux_harbor1_legacy"],
    },
    Consumer {
        name: "Kargo, dockerhub",
        format: Format::Dockerhub,
        needs: DOCKERHUB_NAMES,
        reads: &[("/push_data/media_type", TextOrNull)],
        asks: anything,
        header: None,
        taken: &["kargo_dockerhub_image", "kargo_dockerhub_helm_chart"],
        refused: &["dockerhub_own_repository_payload_2015"],
    },
    Consumer {
        name: "Kargo, quay",
        format: Format::Quay,
        needs: QUAY,
        reads: &[],
        asks: anything,
        header: None,
        taken: &["kargo_quay_minimal"],
        refused: &[],
    },
    Consumer {
        name: "Kargo, harbor",
        format: Format::Harbor,
        needs: RESOURCE,
        reads: &[],
        asks: is_pushed_artifact,
        header: None,
        taken: &["kargo_harbor_multiple_resources"],
        refused: &[],
    },
    Consumer {
        name: "Kargo, azure",
        format: Format::Acr,
        needs: BARE,
        reads: &[("/target/mediaType", Text)],
        asks: is_push,
        header: Some(("user-agent", "AzureContainerRegistry")),
        taken: &["acr_push_docs"],
        refused: &[],
    },
    Consumer {
        name: "Jenkins, dockerhub",
        format: Format::Dockerhub,
        needs: &[("/repository/repo_name", Text)],
        reads: &[("/callback_url", Text)],
        asks: anything,
        header: None,
        taken: &["dockerhub_own_repository_payload_2015", "dockerhub_public_repository_payload_2015"],
        refused: &["keel_native"],
    },
    Consumer {
        name: "Jenkins, registry",
        format: Format::Distribution,
        needs: &[("/events/0/action", Text), ("/events/0/target/url", Text), ("/events/0/timestamp", Text)],
        reads: &[],
        asks: names_a_manifest,
        header: None,
        taken: &["distribution_passthrough_v2", "distribution_passthrough_v3"],
        refused: &[],
    },
    Consumer {
        name: "Jenkins, acr",
        format: Format::Acr,
        needs: BARE,
        reads: &[],
        asks: is_push,
        header: None,
        taken: &["acr_push_docs"],
        refused: &["acr_ping"],
    },
    Consumer {
        name: "go-playground/webhooks",
        format: Format::Dockerhub,
        needs: &[],
        reads: &[
            ("/push_data/images", TextsOrNull),
            ("/push_data/pushed_at", Number),
            ("/repository/comment_count", Number),
            ("/repository/repo_name", Text),
        ],
        asks: Value::is_object,
        header: None,
        taken: &["dockerhub_docs_2018_float_exponent", "dockerhub_real_2021_multiarch_one_of_six"],
        refused: &["dockerhub_docs_2016_comment_count_string"],
    },
    Consumer {
        name: "Kudu",
        format: Format::Dockerhub,
        needs: DOCKERHUB_NAMES,
        reads: &[],
        asks: anything,
        header: None,
        taken: &["dockerhub_azure_app_service_minimal"],
        refused: &[],
    },
    Consumer {
        name: "Dokploy",
        format: Format::Dockerhub,
        needs: DOCKERHUB_NAMES,
        reads: &[],
        asks: anything,
        header: Some(("user-agent", "Go-http-client")),
        taken: &["dockerhub_docs_current"],
        refused: &[],
    },
];
