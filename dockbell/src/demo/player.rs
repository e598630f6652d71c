//! Plays a recorded push against the intake, as a registry would send it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockbell_chassis::crypto::http_client;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::secret::Secret;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// What a distribution registry sent for one push of a two-platform image by skopeo, one body each.
const RECORDING: &str = include_str!("recording.json");
/// The pause between two plays.
const PAUSE: Duration = Duration::from_secs(4);
/// The pause between two notifications of one play.
const STEP: Duration = Duration::from_millis(40);

/// The pause before a notification is sent again.
const AGAIN: Duration = Duration::from_secs(1);
/// How many plays are remembered; a delivery comes within seconds of its play.
const PLAYS_REMEMBERED: usize = 100;

/// When the tag of each play was pushed.
#[derive(Debug, Clone, Default)]
pub(super) struct Plays(Arc<Mutex<HashMap<String, Instant>>>);

impl Plays {
    fn pushed(&self, tag: String) {
        let mut plays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plays.len() >= PLAYS_REMEMBERED {
            plays.clear();
        }
        plays.insert(tag, Instant::now());
    }

    /// How long ago `tag` was pushed.
    pub(super) fn since(&self, tag: &str) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tag).map(Instant::elapsed)
    }
}

/// Plays until `shutdown`.
pub(super) async fn play(intake: String, token: Secret, plays: Plays, shutdown: Shutdown) -> Result<(), BoxError> {
    let recording: Vec<Value> = serde_json::from_str(RECORDING)?;
    let client = http_client(|| reqwest::Client::builder().no_proxy())?;
    for number in 1u64.. {
        let pushed = async {
            super::say(&format!("push {number}: demo/app:{}, {} notifications", tag(number), recording.len()));
            for notification in &recording {
                sleep(STEP).await;
                // A registry announces the tag last, so this is the time of the last notification.
                plays.pushed(tag(number));
                send(&client, &intake, &token, played(notification.clone(), number)).await?;
            }
            sleep(PAUSE).await;
            Ok::<_, BoxError>(())
        };
        tokio::select! {
            () = shutdown.requested() => break,
            played = pushed => played?,
        }
    }
    Ok(())
}

/// Sends a notification, again and again while the intake asks for that, as a registry does.
async fn send(client: &reqwest::Client, intake: &str, token: &Secret, body: Value) -> Result<(), BoxError> {
    let body = body.to_string();
    loop {
        let request = client.post(format!("{intake}/ingest/registry")).bearer_auth(token.expose());
        let request = request.header("content-type", "application/vnd.docker.distribution.events.v1+json");
        let response = request.body(body.clone()).send().await?;
        if response.status() != StatusCode::SERVICE_UNAVAILABLE {
            response.error_for_status()?;
            return Ok(());
        }
        sleep(AGAIN).await;
    }
}

/// The notification as it would be sent now: a new id, the time, and a tag of its own.
fn played(mut notification: Value, number: u64) -> Value {
    for event in notification.get_mut("events").and_then(Value::as_array_mut).into_iter().flatten() {
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(event) = event.as_object_mut() {
            event.insert("id".to_owned(), json!(format!("{id}-{number}")));
            event.insert("timestamp".to_owned(), json!(SystemClock.now()));
        }
        if let Some(value) = event.pointer_mut("/target/tag") {
            *value = json!(tag(number));
        }
    }
    notification
}

fn tag(number: u64) -> String {
    format!("{number}.0")
}
