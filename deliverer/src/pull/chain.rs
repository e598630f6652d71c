//! Chains: what waits for the report of another webhook's receiver.

use std::sync::Arc;
use std::time::Duration;

use dockbell_proto::callback::{Callback, CallbackId, CallbackState};
use dockbell_proto::chain::After;
use dockbell_proto::delivery::Delivery;
use dockbell_proto::health::later;
use dockbell_proto::outcome::{Outcome, Verdict};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::Webhook;
use jiff::{SignedDuration, Timestamp};

use super::Deliverer;
use super::wanted::superseded;
use crate::gate::Admission;
use crate::route::route;

/// How long a report is waited for at least before it is looked for again.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);
/// And at most, spreading included.
const LONGEST_LOOK: Duration = Duration::from_secs(30);

impl Deliverer {
    /// What becomes of a delivery whose webhook waits for another one; none if nothing stands in its way. Once it was
    /// attempted, or if a person asked for it, it does not wait any more.
    pub(super) async fn held_by_chain(&self, webhook: &Webhook, delivery: &Delivery) -> Option<Admission> {
        let after = webhook.after.as_ref().filter(|_| is_held(webhook, delivery))?;
        let directory = &self.attempter.directory;
        let first = self.settler.until_done("look up a webhook", || directory.webhook(&after.webhook)).await;
        let awaited = match awaited(after, first.as_ref(), delivery) {
            Ok(awaited) => awaited,
            Err(reason) => return Some(dead(reason)),
        };
        let (now, chance) = (self.settler.clock.now(), self.chance.draw_of_the_moment());
        let reports = match self.settler.store.callbacks(&awaited).await {
            Ok(reports) => reports,
            Err(error) => {
                self.settler.told("look up callbacks", &error, Duration::ZERO);
                return Some(waiting(after, later(now, SHORTEST_LOOK)));
            }
        };
        let since = delivery.awaits_since.unwrap_or(now);
        let admission = judge(after, first.as_deref(), &reports, (since, now, chance))?;
        if matches!(admission, Admission::End(..))
            && let Some(by) = self.superseded_by(delivery).await
        {
            let (outcome, verdict) = superseded(by);
            return Some(Admission::End(outcome, verdict));
        }
        Some(admission)
    }
}

/// Whether a delivery waits for the report of another webhook's receiver, or did so until now. It takes the place of no
/// older one: nobody knows whether it will be sent.
pub(super) fn is_held(webhook: &Webhook, delivery: &Delivery) -> bool {
    webhook.after.is_some() && delivery.request == 0 && delivery.ordinal == 1
}

/// The reports that a delivery waits for: one of each of its tags. The error says why there will be none.
fn awaited(after: &After, first: Option<&Arc<Webhook>>, delivery: &Delivery) -> Result<Vec<CallbackId>, String> {
    let id = &after.webhook;
    let Some(first) = first else { return Err(format!("the webhook {id}, which it was to wait for, was removed")) };
    if !first.format.takes_callbacks() {
        let format = first.format.as_str();
        return Err(format!(
            "the webhook {id}, which it was to wait for, has the format {format}, in which nobody reports"
        ));
    }
    let content = &delivery.content;
    let is_set_on_it = Pattern::covering(&content.repository).contains(&first.pattern);
    let owed = if is_set_on_it { route(content, std::slice::from_ref(first)) } else { Vec::new() };
    if owed.len() < content.changes.len() {
        return Err(format!("the webhook {id}, which it was to wait for, is not told of this push"));
    }
    Ok(owed.into_iter().map(|(_, owed)| CallbackId { delivery: owed.id, request: 0 }).collect())
}

/// What follows at `now` from what was reported until then of a delivery that waits `since`. `chance` is drawn from 0 to 1.
fn judge(
    after: &After,
    first: Option<&Webhook>,
    reports: &[Option<Callback>],
    (since, now, chance): (Timestamp, Timestamp, f64),
) -> Option<Admission> {
    let id = &after.webhook;
    let failed = |report: &&Callback| report.report.state != CallbackState::Success;
    if let Some(failed) = reports.iter().flatten().find(failed) {
        let state = failed.report.state.as_str();
        return Some(dead(format!("the receiver of {id}, which it waited for, reported {state}")));
    }
    if reports.iter().all(Option::is_some) {
        return None;
    }
    if first.is_some_and(|first| !first.enabled) {
        return Some(dead(format!("the webhook {id}, which it was to wait for, is disabled")));
    }
    let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    if waited >= after.within {
        let within = SignedDuration::try_from(after.within).unwrap_or_default();
        return Some(dead(format!("the receiver of {id}, which it waited for, reported no success within {within:#}")));
    }
    // Receivers that are fast are seen soon; nobody waits long beyond the end.
    let pause = (waited / 2).clamp(SHORTEST_LOOK, LONGEST_LOOK).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 4.0);
    Some(waiting(after, later(now, pause.min(after.within.saturating_sub(waited)))))
}

fn waiting(after: &After, until: Timestamp) -> Admission {
    Admission::Await { until, reason: format!("it waits for the receiver of {} to report success", after.webhook) }
}

fn dead(reason: String) -> Admission {
    Admission::End(Outcome::Withheld { reason: reason.clone() }, Verdict::Dead { reason })
}

#[cfg(test)]
mod tests {
    use dockbell_proto::callback::Report;
    use dockbell_proto::filter::Filter;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::{self, moment};
    use serde_json::json;

    use super::*;

    fn after(webhook: &Webhook) -> After {
        After { webhook: webhook.id.clone(), within: Duration::from_secs(100) }
    }

    fn reported(webhook: &Webhook, id: &CallbackId, state: CallbackState) -> Callback {
        let report = Report { state, description: None, context: None, target_url: None };
        Callback { id: id.clone(), webhook: webhook.id.clone(), report, at: moment(), until: moment() }
    }

    fn at(seconds: i64) -> Timestamp {
        moment() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_delivery_waits_for_a_report_of_each_of_its_tags() {
        let first = Arc::new(sample::webhook(1, "team/*", Format::Dockerhub, "http://h/"));
        let batch = sample::batch("e", "team/app", &["1", "2"]);
        let whole = sample::delivery(&sample::webhook(2, "*", Format::Batch, "http://h/").id, &batch);
        let ids = awaited(&after(&first), Some(&first), &whole).unwrap();
        let of_first = route(&Arc::new(batch), std::slice::from_ref(&first));
        assert_eq!(
            ids.iter().map(|id| &id.delivery).collect::<Vec<_>>(),
            of_first.iter().map(|(_, owed)| &owed.id).collect::<Vec<_>>()
        );
        let judged =
            |reports: &[Option<Callback>], now| judge(&after(&first), Some(&first), reports, (at(0), at(now), 0.0));
        let of = |place: usize, state| Some(reported(&first, &ids[place], state));
        let success = CallbackState::Success;
        assert_eq!(judged(&[of(0, success), of(1, success)], 200), None);
        let Some(Admission::Await { .. }) = judged(&[of(0, success), None], 1) else { panic!() };
        let disabled = Webhook { enabled: false, ..Webhook::clone(&first) };
        let reports = [of(0, success), of(1, success)];
        let judged_without =
            |reports: &[Option<Callback>]| judge(&after(&first), Some(&disabled), reports, (at(0), at(1), 0.0));
        assert_eq!(judged_without(&reports), None, "what was reported before counts");
        let Some(Admission::End(_, Verdict::Dead { reason })) = judged_without(&[of(0, success), None]) else {
            panic!()
        };
        assert!(reason.ends_with("is disabled"), "{reason}");
        for (reports, now, part) in [
            (vec![of(0, CallbackState::Failure), None], 1, "reported failure"),
            (vec![of(0, success), of(1, CallbackState::Error)], 1, "reported error"),
            (vec![of(0, success), None], 100, "reported no success within 1m 40s"),
        ] {
            let Some(Admission::End(Outcome::Withheld { .. }, Verdict::Dead { reason })) = judged(&reports, now) else {
                panic!()
            };
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn what_will_never_be_reported_is_not_waited_for() {
        let first = sample::webhook(1, "team/*", Format::Dockerhub, "http://h/");
        let delivery = sample::delivery(&first.id, &sample::batch("e", "team/app", &["1"]));
        let refusal = |change: &dyn Fn(&mut Webhook)| {
            let mut first = first.clone();
            change(&mut first);
            awaited(&after(&first), Some(&Arc::new(first)), &delivery).unwrap_err()
        };
        assert!(awaited(&after(&first), None, &delivery).unwrap_err().ends_with("was removed"));
        assert!(refusal(&|first| first.format = Format::Keel).ends_with("in which nobody reports"));
        let none_of_it = json!({ "tags": "2" });
        for change in
            [&|first: &mut Webhook| first.pattern = Pattern::parse("team/web").unwrap(), &|first: &mut Webhook| {
                first.filter = Filter::default().changed(none_of_it.as_object().unwrap()).unwrap();
            }] as [&dyn Fn(&mut Webhook); 2]
        {
            assert!(refusal(change).ends_with("is not told of this push"));
        }
    }

    #[test]
    fn looks_are_the_rarer_the_longer_it_waits_and_never_after_the_end() {
        let first = sample::webhook(1, "*", Format::Dockerhub, "http://h/");
        for (within, waited, chance, expected) in [
            (100, 0, 0.0, 1.0),
            (100, 20, 0.0, 10.0),
            (1000, 500, 0.0, 30.0),
            (1000, 500, 1.0, 22.5),
            (100, 99, 0.0, 1.0),
            (100, 90, 0.0, 10.0),
        ] {
            let after = After { within: Duration::from_secs(within), ..after(&first) };
            let admission = judge(&after, Some(&first), &[None], (at(0), at(waited), chance));
            let Some(Admission::Await { until, reason }) = admission else { panic!("{admission:?}") };
            let pause = until.duration_since(at(waited)).as_secs_f64();
            assert!((pause - expected).abs() < 1e-6, "{within} {waited} {chance}: {pause}");
            assert!(reason.contains(first.id.as_str()));
        }
    }
}
