//! The HTTP intake: `POST /ingest/{source}`, with a secret behind it for what can send nothing but a URL. The path is
//! written nowhere, because of that secret.
//!
//! A registry repeats what is not answered with 2xx, for ever and before anything newer, so only what no
//! repetition could mend is refused: a body that is no notification at all.

mod answer;
mod handshake;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::Bytes;
use dockbell_backends::Bus;
use dockbell_backends::bus::Queue;
use dockbell_chassis::failpoint::reach;
use dockbell_chassis::trace;
use dockbell_proto::clock::Clock;
use dockbell_proto::credential::Presented;
use dockbell_proto::input::{Headers, validation_code};
use dockbell_proto::token::{PREFIX, Permission, Token};
use dockbell_proto::trace::TraceContext;
use futures_util::future::try_join_all;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use crate::decode::{BODY_LIMIT, Decoded, decode_body};
use crate::metrics::Metrics;
use crate::publish::event_message;
use crate::source::{Source, Sources};
use crate::stamp::Stamper;
use crate::tokens::Tokens;
use answer::{Answer, Counts};
use handshake::permission;

/// Why a report counts as none that a token does not reach.
const OUT_OF_REACH: &str = "the token does not reach the repository";
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How long the bus may take to make the events durable. A registry waits for one second by default.
const DURABLE_TIME: Duration = Duration::from_millis(500);

/// What the intake needs.
#[derive(Debug)]
pub struct Intake {
    /// Who may report.
    pub sources: Arc<Sources>,
    /// Where events go.
    pub bus: Arc<dyn Bus>,
    /// The time of stamps.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// Gives events their order.
    pub stamper: Stamper,
    /// Who else may report; nobody, where there is no store that says it.
    pub tokens: Option<Tokens>,
}

/// What let a request in.
#[derive(Debug)]
enum Pass {
    /// The secret of its source, unless its body must be seen first.
    Source,
    /// A token, which reaches some repositories.
    Token(Arc<Token>),
}

/// The routes of the intake.
pub fn router(intake: Intake) -> Router {
    let router = Router::new().route("/ingest/{source}", any(ingest)).route("/ingest/{source}/{secret}", any(ingest));
    router.with_state(Arc::new(intake))
}

async fn ingest(
    State(intake): State<Arc<Intake>>,
    path: Result<Path<Vec<String>>, PathRejection>,
    request: Request,
) -> Response {
    let began = Instant::now();
    // No source has the empty name, to which one that is not UTF-8 comes down.
    let mut segments = path.map(|Path(segments)| segments).unwrap_or_default().into_iter();
    let (source, segment) = (segments.next().unwrap_or_default(), segments.next());
    let trace = trace_of(request.headers());
    let span = tracing::info_span!("intake", otel.kind = "server");
    trace::continue_from(&span, &trace.traceparent, &trace.tracestate);
    let answer = match intake.take((&source, segment.as_deref()), request, &trace).instrument(span).await {
        Ok(answer) | Err(answer) => answer,
    };
    let response = answer.into_response();
    intake.metrics.intake_answered(response.status().as_u16(), began.elapsed());
    response
}

impl Intake {
    /// Takes one request in. Returns once its events are durable.
    async fn take(
        &self,
        (source, segment): (&str, Option<&str>),
        request: Request,
        trace: &TraceContext,
    ) -> Result<Answer, Answer> {
        let source = self.sources.get(source).ok_or(Answer::UnknownSource)?;
        if let Some(permission) = permission(request.method(), request.headers()) {
            return Ok(Answer::Permission(permission));
        }
        let (parts, body) = request.into_parts();
        let pass = self.admit(source, segment, &parts).await?;
        let headers = headers_of(&parts.headers);
        let body = read(body).await?;
        if matches!(pass, Pass::Source) && !source.credential.admits(presented(&parts.headers, segment), &body) {
            return Err(unproven(source));
        }
        if let Some(code) = validation_code(source.format, &body) {
            tracing::info!(source.name = %source.name, "Event Grid asked whether it may send, and may");
            return Ok(Answer::Validation(code));
        }
        let mut decoded = decode_body(source, (&headers, &body), || self.stamper.stamp(self.clock.now())).map_err(|error| {
            tracing::warn!(source.name = %source.name, error = %error, "a body was refused; the registry will repeat it");
            Answer::NoNotification(error.to_string())
        })?;
        if let Pass::Token(token) = pass {
            decoded.keep(|repository| token.scope.covers_repository(repository), OUT_OF_REACH);
        }
        let counts = Counts::of(&decoded);
        self.store(decoded, trace).await?;
        reach("events durable");
        self.count(source, &counts);
        Ok(Answer::Accepted(counts))
    }

    /// Checks what can be checked before the body is read.
    async fn admit(&self, source: &Source, segment: Option<&str>, request: &Parts) -> Result<Pass, Answer> {
        let presented = presented(&request.headers, segment);
        let pass = if source.credential.may_admit(presented) {
            Pass::Source
        } else {
            Pass::Token(self.bearer(source, presented).await?)
        };
        if request.method != Method::POST {
            return Err(Answer::NotPost);
        }
        let encoding = request.headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        if encoding.is_some_and(|encoding| encoding != b"identity") {
            return Err(Answer::Encoded);
        }
        Ok(pass)
    }

    /// The token that is presented in place of the secret of the source.
    async fn bearer(&self, source: &Source, presented: Presented<'_>) -> Result<Arc<Token>, Answer> {
        let Some(text) = token_in(presented) else { return Err(unproven(source)) };
        let Some(tokens) = &self.tokens else { return Err(Answer::NoTokens) };
        let found = tokens.presented(text, self.clock.now()).await.map_err(|error| {
            tracing::warn!(%error, "a token could not be looked up; its bearer is asked to come again");
            Answer::TokensAway
        })?;
        let token = found.ok_or_else(|| unproven(source))?;
        if token.scope.permits(Permission::Ingest) { Ok(token) } else { Err(Answer::NotForIngest) }
    }

    /// Makes the events durable, all of them or the request fails.
    async fn store(&self, decoded: Decoded, incoming: &TraceContext) -> Result<(), Answer> {
        let trace = current_trace(incoming);
        let publishes = decoded.events.into_iter().map(|mut event| {
            event.trace = trace.clone();
            async move {
                let message = event_message(&event).map_err(|error| error.to_string())?;
                self.bus.publish(Queue::Events, message).await.map_err(|error| error.to_string())
            }
        });
        match timeout(DURABLE_TIME, try_join_all(publishes)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Self::not_durable(&error)),
            Err(_) => Err(Self::not_durable("the bus did not confirm in time")),
        }
    }

    fn not_durable(problem: &str) -> Answer {
        tracing::warn!(error = problem, "events could not be made durable; the registry is asked to repeat them");
        Answer::NotDurable
    }

    fn count(&self, source: &Source, counts: &Counts) {
        self.metrics.events_reported(&source.name, "accepted", counts.accepted);
        self.metrics.events_reported(&source.name, "ignored", counts.ignored);
        self.metrics.events_reported(&source.name, "rejected", counts.rejected);
        if !counts.problems.is_empty() {
            tracing::warn!(source.name = %source.name, rejected = counts.rejected, problems = ?counts.problems, "events were rejected");
        }
    }
}

/// What is meant to be a token: behind any scheme of `Authorization`, or behind the name of the source.
fn token_in(presented: Presented<'_>) -> Option<&str> {
    let behind_scheme = presented.authorization.and_then(|value| value.split_whitespace().next_back());
    [behind_scheme, presented.segment].into_iter().flatten().find(|text| text.starts_with(PREFIX))
}

fn unproven(source: &Source) -> Answer {
    tracing::warn!(source.name = %source.name, "a request did not show the secret of its source");
    Answer::Unproven(source.credential.proof.clone())
}

fn presented<'a>(headers: &'a HeaderMap, segment: Option<&'a str>) -> Presented<'a> {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    Presented { authorization: header("authorization"), signature: header("x-hub-signature-256"), segment }
}

async fn read(body: Body) -> Result<Bytes, Answer> {
    let collected = timeout(BODY_TIME, Limited::new(body, BODY_LIMIT).collect()).await.map_err(|_| Answer::TooSlow)?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Answer::TooLarge),
        Err(_) => Err(Answer::Broken),
    }
}

/// The headers that a format may read.
fn headers_of(headers: &HeaderMap) -> Headers {
    Headers::of(headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))))
}

fn trace_of(headers: &HeaderMap) -> TraceContext {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    TraceContext::from_headers(header("traceparent"), header("tracestate"))
}

/// The trace of the current span, or the one that came in where no tracing is set up.
fn current_trace(incoming: &TraceContext) -> TraceContext {
    let (traceparent, tracestate) = trace::current_context();
    if traceparent.is_empty() { incoming.clone() } else { TraceContext { traceparent, tracestate } }
}
