//! A flood of reports to the intake of producers, as registries send them: what is not accepted is reported again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dockbell_chassis::crypto::http_client;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::secret::Secret;
use reqwest::{Client, StatusCode, Url};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Due, Kept, Sent};

/// Lines that report at once, each one push after the other.
const LINES: usize = 128;
/// Pushes of one line that wait; with more the intake is far behind.
const WAITING: usize = 2_000;
/// A registry does not wait for longer.
const REPORT: Duration = Duration::from_secs(5);
/// Before what was not accepted is reported again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long after the last push was due pushes are still reported.
const LAST_WAIT: Duration = Duration::from_secs(30);
/// A notification of nothing, which is answered as any other.
const NOTHING: &str = "{}";

/// The intakes of all producers, and what they ask for.
#[derive(Debug, Clone)]
pub(crate) struct Intakes {
    urls: Arc<[Url]>,
    token: Arc<Secret>,
    http: Client,
}

/// What became of a report.
enum Answer {
    Accepted,
    /// Not now; it may have been taken all the same if nobody answered.
    Again,
}

impl Intakes {
    /// Returns once each of these URLs has accepted a notification of nothing.
    pub(crate) async fn connect(urls: Vec<Url>, token: Secret) -> Result<Self, BoxError> {
        let http = http_client(|| Client::builder().no_proxy().timeout(REPORT))?;
        let intakes = Self { urls: urls.into(), token: Arc::new(token), http };
        for url in intakes.urls.iter() {
            let answer = intakes.post(url, NOTHING.as_bytes().to_vec()).await.map_err(|error| {
                format!("nobody answers at {url}: {}. Is a producer running there?", innermost(&error))
            })?;
            judge(url, answer)?;
        }
        Ok(intakes)
    }

    pub(super) async fn run(
        &self,
        pushes: impl Iterator<Item = Due>,
        start: Instant,
        sent: &Arc<Sent>,
    ) -> Result<Kept, BoxError> {
        let (mut lines, mut reporting) = (Vec::new(), JoinSet::new());
        for number in 0..LINES {
            let (sender, receiver) = mpsc::channel(WAITING);
            reporting.spawn(self.clone().report_all(number, receiver, Arc::clone(sent)));
            lines.push(sender);
        }
        let mut kept = Kept::default();
        for due in pushes {
            let at = start + due.at;
            if at > Instant::now() {
                sleep_until(at).await;
            }
            let Some(line) = lines.get(due.line % LINES) else { continue };
            // A line that ended has an error to tell, which comes below.
            match line.try_send(due) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Closed(_)) => break,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err("the intake is far behind with its answers: lower the rate".into());
                }
            }
            sent.due.fetch_add(1, Ordering::Relaxed);
            kept.longest_lag = kept.longest_lag.max(at.elapsed());
        }
        drop(lines);
        let deadline = Instant::now() + LAST_WAIT;
        loop {
            match tokio::time::timeout_at(deadline, reporting.join_next()).await {
                Ok(Some(line)) => {
                    let line = line??;
                    kept.accepted.extend(line.accepted);
                    kept.repeated.extend(line.repeated);
                }
                Ok(None) => return Ok(kept),
                Err(_) => {
                    return Err(
                        format!("the intake does not accept what was reported, {LAST_WAIT:?} after the end").into()
                    );
                }
            }
        }
    }

    /// Reports what comes, one push after the other.
    async fn report_all(
        self,
        number: usize,
        mut pushes: mpsc::Receiver<Due>,
        sent: Arc<Sent>,
    ) -> Result<Kept, BoxError> {
        let mut kept = Kept::default();
        let Some(url) = number.checked_rem(self.urls.len()).and_then(|number| self.urls.get(number)) else {
            return Err("there must be an intake".into());
        };
        while let Some(due) = pushes.recv().await {
            for body in due.bodies {
                while let Answer::Again = self.report(url, body.clone()).await? {
                    kept.repeated.push(due.event);
                    sleep(AGAIN).await;
                }
            }
            kept.accepted.push(due.event);
            sent.accepted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(kept)
    }

    async fn report(&self, url: &Url, body: Vec<u8>) -> Result<Answer, BoxError> {
        match self.post(url, body).await {
            Ok(status) => judge(url, status),
            // It is away, or too slow: a registry reports again.
            Err(_) => Ok(Answer::Again),
        }
    }

    async fn post(&self, url: &Url, body: Vec<u8>) -> reqwest::Result<StatusCode> {
        let request = self.http.post(url.clone()).bearer_auth(self.token.expose());
        Ok(request.header("content-type", "application/json").body(body).send().await?.status())
    }
}

/// The reason that says something.
fn innermost(error: &dyn std::error::Error) -> &dyn std::error::Error {
    error.source().map_or(error, innermost)
}

/// What an answer means; what reporting again does not mend is an error.
fn judge(url: &Url, answer: StatusCode) -> Result<Answer, BoxError> {
    let trouble = match answer.as_u16() {
        202 => return Ok(Answer::Accepted),
        408 | 429 | 500..=599 => return Ok(Answer::Again),
        401 | 403 => "the token is not that of the source",
        404 => "there is no such source: the URL is that of a producer, and ends in /ingest/SOURCE",
        _ => "it is no intake of Dockbell",
    };
    Err(format!("{url} answered {answer}: {trouble}").into())
}

#[cfg(test)]
mod tests {
    use dockbell_testkit::receiver::{Answer as Scripted, Receiver};

    use super::*;

    fn due(event: usize) -> Due {
        Due {
            event,
            at: Duration::ZERO,
            repository: "a".to_owned(),
            line: 0,
            bodies: vec![event.to_string().into_bytes()],
        }
    }

    async fn intakes(receiver: &Receiver) -> Intakes {
        let url = receiver.url("/ingest/registry").parse().unwrap();
        receiver.answer_always(Scripted::Status(202));
        Intakes::connect(vec![url], Secret::new("t")).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_not_accepted_is_reported_again_before_what_follows_in_its_line() {
        let receiver = Receiver::start().await;
        let intakes = intakes(&receiver).await;
        receiver.answer_with(vec![Scripted::Status(503), Scripted::Close]);
        let kept = intakes.run([due(7), due(8)].into_iter(), Instant::now(), &Arc::default()).await.unwrap();
        assert_eq!((kept.accepted, kept.repeated), (vec![7, 8], vec![7, 7]));
        let bodies: Vec<_> = receiver.requests_from(1).iter().map(|request| request.body.clone()).collect();
        assert_eq!(bodies, ["7", "7", "7", "8"]);
    }

    #[tokio::test]
    async fn what_reporting_again_does_not_mend_is_told_at_once() {
        let receiver = Receiver::start().await;
        let intakes = intakes(&receiver).await;
        receiver.answer_with(vec![Scripted::Status(401)]);
        let error = intakes.run([due(7)].into_iter(), Instant::now(), &Arc::default()).await.unwrap_err();
        assert!(error.to_string().contains("the token is not that of the source"), "{error}");
        let nowhere = Intakes::connect(vec!["http://127.0.0.1:1/ingest/a".parse().unwrap()], Secret::new("t")).await;
        assert!(nowhere.unwrap_err().to_string().contains("Is a producer running there?"));
    }
}
