//! One attempt: render, sign, POST.

use std::sync::Arc;

use dockbell_backends::store::StoreError;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::callback::public_url::PublicUrl;
use dockbell_proto::callback::ticket::Ticket;
use dockbell_proto::clock::Clock;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::outcome::Outcome;
use dockbell_proto::output::{Rendered, in_header, render};
use dockbell_proto::placeholder::{expand, has_placeholder};
use dockbell_proto::secret::Secret;
use dockbell_proto::target::TargetUrl;
use dockbell_proto::webhook::{Format, Webhook};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::directory::Directory;
use crate::transport::{Exchange, Post, Transport};

/// Why nothing is sent to a receiver that nobody vouches for.
const SKIP_VERIFY: &str =
    "the webhook skips the verification of its receiver, which the operator does not allow (targets.allow_skip_verify)";

/// What attempts are made with.
#[derive(Debug)]
pub struct Attempter {
    /// Which webhooks there are, and since when which repositories.
    pub directory: Arc<Directory>,
    /// Which addresses may be reached.
    pub policy: Arc<AddressPolicy>,
    /// Whether a webhook may have its receiver believed whatever that shows.
    pub allows_skip_verify: bool,
    /// The way out.
    pub transport: Transport,
    /// Where receivers report what came of a delivery; nowhere, if none.
    pub public_url: Option<PublicUrl>,
    /// The time of signatures.
    pub clock: Arc<dyn Clock>,
}

impl Attempter {
    /// Makes the next attempt of `delivery`, to `target` if the URL of the webhook was read and judged already. An error is
    /// ours: nothing was sent.
    pub async fn attempt(
        &self,
        webhook: &Webhook,
        delivery: &Delivery,
        target: Option<TargetUrl>,
    ) -> Result<Exchange, StoreError> {
        if !webhook.enabled {
            return Ok(unsent("the webhook is disabled".to_owned()));
        }
        let content = &delivery.content;
        let url = match target.map_or_else(|| self.target(webhook, delivery), Ok) {
            Ok(url) => url,
            Err(reason) => return Ok(unsent(reason)),
        };
        if webhook.tls.skip_verify && !self.allows_skip_verify {
            return Ok(unsent(SKIP_VERIFY.to_owned()));
        }
        let first_seen = if webhook.format.tells_creation() {
            self.directory.first_seen(&content.registry, &content.repository, content.opened_at).await?
        } else {
            content.opened_at
        };
        let callback_url = self.callback_url(webhook, delivery);
        let told = (first_seen, callback_url.expose());
        let rendered = match render(webhook.format, &webhook.options, content, told) {
            Ok(rendered) => rendered,
            Err(error) => return Ok(unsent(error.to_string())),
        };
        if webhook.format == Format::Alin && in_header(&content.repository).is_none() {
            let why = "the name of the repository does not fit a header: it is sent without";
            tracing::warn!(webhook.id = %webhook.id, delivery.id = %delivery.id, "{why}");
        }
        let headers = headers(webhook, delivery, &rendered, self.clock.now());
        let mut exchange =
            self.transport.post_with(Post { url, headers, body: rendered.body.into() }, &webhook.tls).await;
        mask(&mut exchange.body, callback_url.expose());
        Ok(exchange)
    }

    /// Where this attempt goes. The error says why it cannot.
    fn target(&self, webhook: &Webhook, delivery: &Delivery) -> Result<TargetUrl, String> {
        let typed = webhook.url.expose();
        TargetUrl::parse(&expand(typed, &delivery.content), &self.policy).map_err(|error| {
            if has_placeholder(typed) {
                format!("with its placeholders filled in, the {error}")
            } else {
                error.to_string()
            }
        })
    }

    /// Where the receiver of this attempt reports; empty, if nowhere.
    fn callback_url(&self, webhook: &Webhook, delivery: &Delivery) -> Secret {
        match &self.public_url {
            Some(url) if webhook.format == Format::Dockerhub => {
                url.callback_url(&Ticket::of(delivery, &webhook.proofs.secret.current))
            }
            _ => Secret::default(),
        }
    }
}

/// Receivers that answer with what they got must not bring a ticket into the history.
fn mask(answer: &mut Vec<u8>, callback_url: &str) {
    let Some(ticket) = callback_url.rsplit('/').next().filter(|ticket| !ticket.is_empty()) else { return };
    let text = String::from_utf8_lossy(answer);
    if text.contains(ticket) {
        *answer = text.replace(ticket, "***").into_bytes();
    }
}

/// Nothing could be sent, and no repetition would change that.
fn unsent(reason: String) -> Exchange {
    Exchange { outcome: Outcome::Blocked { reason }, body: Vec::new(), took: std::time::Duration::ZERO }
}

/// The headers of the format, the owner's, and what proves exactly this body at this time.
fn headers(webhook: &Webhook, delivery: &Delivery, rendered: &Rendered, now: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Both were checked when they were made; one that is no header after all must not keep the body back.
    let header = |name: &str, value: &str| HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
    headers.extend(rendered.headers.iter().filter_map(|(name, value)| header(name, value)));
    let own = webhook.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in own.chain(webhook.proofs.headers(delivery.id.as_str(), now, &rendered.body)) {
        if let Some((name, mut value)) = header(name, value.expose()) {
            // No log and no trace of a library shows it.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}
