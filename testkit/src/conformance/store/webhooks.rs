//! Webhooks and the repositories that they are set on.

use std::collections::BTreeMap;
use std::time::Duration;

use dockbell_backends::store::{Health, HistoryQuery, Notice, PageRequest, Parked, Parking, SETTLED_KEPT, Trial};
use dockbell_proto::chain::After;
use dockbell_proto::filter::Filter;
use dockbell_proto::health::{StandingChange, StandingWord};
use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::{Registry, Repository};
use dockbell_proto::options::{Options, TagHeader};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::policy::PolicyPatch;
use dockbell_proto::proof::{Proofs, ProofsPatch};
use dockbell_proto::secret::Secret;
use dockbell_proto::tls::{ClientCertificate, TargetTls};
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use serde_json::json;
use tokio::time::timeout;

use super::standing::suspend;
use super::{StoreHarness, delivery, failed, record, webhook};
use crate::sample;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern")
}

/// Every member is kept, secrets among them, and the other process sees it.
pub async fn a_webhook_is_read_as_it_was_put(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let webhook = Webhook {
        registry: Some(Registry::parse("hub.test:5000").expect("a registry")),
        filter: every_filter(),
        after: Some(After { webhook: WebhookId::from_random([9; 16]), within: Duration::from_millis(90_500) }),
        headers: BTreeMap::from([("authorization".to_owned(), Secret::new("Bearer \"é\""))]),
        enabled: false,
        disabled_reason: Some("its receiver answered \"410 Gone\"".to_owned()),
        policy: PolicyPatch { cooldown: Some(Duration::from_millis(1500)), waiting: Some(7), ..PolicyPatch::default() },
        options: Options { header: TagHeader::parse("x-image").ok(), ..Options::default() },
        proofs: sample::every_proof(),
        tls: every_tls(),
        updated_at: sample::moment() + Duration::from_micros(7),
        ..sample::webhook(1, "team/*", Format::Alin, "https://receiver.test/hook?token=a&b='c'")
    };
    assert_eq!(store.webhook(&webhook.id).await, Ok(None));
    store.put_webhook(&webhook).await.expect("a webhook");
    assert_eq!(other.webhook(&webhook.id).await, Ok(Some(webhook.clone())));
    let proofs = ProofsPatch { authorization: Some(None), ..ProofsPatch::default() };
    let policy = Some(PolicyPatch::default());
    let (filter, after) = (Some(Filter::default()), Some(None));
    let tls = Some(TargetTls::default());
    let enabled = WebhookPatch { enabled: Some(true), policy, proofs, tls, filter, after, ..WebhookPatch::default() };
    let patched = other.patch_webhook(&webhook.id, &enabled, webhook.updated_at).await;
    let proofs = Proofs { authorization: None, ..sample::every_proof() };
    let (policy, filter, after, tls) = (PolicyPatch::default(), Filter::default(), None, TargetTls::default());
    let expected = Webhook { enabled: true, disabled_reason: None, policy, proofs, tls, filter, after, ..webhook };
    assert_eq!(patched, Ok(Some(expected.clone())));
    assert_eq!(store.webhook(&expected.id).await, Ok(Some(expected)));
}

fn every_tls() -> TargetTls {
    let client = ClientCertificate { chain: "a chain\nof lines".to_owned(), key: Secret::new("a key\n\"of\" lines") };
    TargetTls { ca_certificates: Some("an authority".to_owned()), client: Some(client), skip_verify: true }
}

fn every_filter() -> Filter {
    let given =
        json!({ "tags": ["v*", "!*\"-rc"], "repositories": "team/**", "kinds": ["chart"], "only_changed": true });
    Filter::default().changed(given.as_object().expect("members")).expect("a filter")
}

/// Putting is idempotent, and a change of settings is no reason to forget how the receiver fares.
pub async fn a_webhook_that_is_put_again_is_replaced_and_keeps_its_health(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let first = webhook(&store, 1).await;
    record(&store, &failed(&delivery(&first, "a", "1.0"), harness.now())).await;
    let second = Webhook { name: "renamed".to_owned(), pattern: pattern("team/*"), ..first.clone() };
    store.put_webhook(&second).await.expect("a webhook");
    assert_eq!(store.webhook(&first.id).await, Ok(Some(second)));
    assert_eq!(store.webhooks_on(&first.pattern).await, Ok(vec![]));
    assert_eq!(store.health(&first.id).await.expect("health").consecutive_failures, 1);
    let history = store.history(&HistoryQuery::default()).await.expect("a history");
    assert_eq!(history.items.len(), 1);
}

/// Two people who change different members at once both get what they asked for.
pub async fn concurrent_patches_of_different_members_all_take_effect(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let id = webhook(&store, 1).await.id;
    let later = sample::moment() + Duration::from_mins(1);
    let name = WebhookPatch { name: Some("renamed".to_owned()), ..WebhookPatch::default() };
    let enabled = WebhookPatch { enabled: Some(false), ..WebhookPatch::default() };
    let url = WebhookPatch { url: Some(Secret::new("https://new.test/")), ..WebhookPatch::default() };
    let format = WebhookPatch { format: Some(Format::Batch), ..WebhookPatch::default() };
    let patched = tokio::join!(
        store.patch_webhook(&id, &name, later),
        other.patch_webhook(&id, &enabled, later),
        store.patch_webhook(&id, &url, later),
        other.patch_webhook(&id, &format, later),
    );
    let first = patched.0.expect("a patch").expect("a webhook");
    assert_eq!((first.name.as_str(), first.updated_at), ("renamed", later));
    let found = store.webhook(&id).await.expect("an answer").expect("a webhook");
    let expected = sample::webhook(1, "team/app", Format::Batch, "https://new.test/");
    assert_eq!(found, Webhook { name: "renamed".to_owned(), enabled: false, updated_at: later, ..expected });
}

/// A patch of what was removed meanwhile does not bring it back.
pub async fn a_patch_makes_no_webhook(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let id = sample::webhook(9, "*", Format::Batch, "https://receiver.test/").id;
    let patch = WebhookPatch { enabled: Some(true), ..WebhookPatch::default() };
    assert_eq!(store.patch_webhook(&id, &patch, harness.now()).await, Ok(None));
    assert_eq!(store.webhook(&id).await, Ok(None));
}

/// With a webhook go its health, its history and its newest orders; removing it again changes nothing.
pub async fn a_removed_webhook_leaves_nothing_behind(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (gone, kept) = (webhook(&store, 1).await, webhook(&store, 2).await);
    let owed = delivery(&gone, "a", "1.0");
    record(&store, &failed(&owed, harness.now())).await;
    record(&store, &failed(&delivery(&kept, "a", "1.0"), harness.now())).await;
    assert_eq!(store.remove_webhook(&gone.id).await, Ok(true));
    assert_eq!(other.remove_webhook(&gone.id).await, Ok(false));
    assert_eq!(other.webhook(&gone.id).await, Ok(None));
    assert_eq!(other.webhooks_on(&gone.pattern).await, Ok(vec![kept.clone()]));
    assert_eq!(other.health(&gone.id).await, Ok(Health::default()));
    assert_eq!(other.delivery(&owed.id).await, Ok(None));
    let history = other.history(&HistoryQuery::default()).await.expect("a history");
    assert!(history.items.iter().all(|item| item.delivery.webhook == kept.id));
    let content = &owed.content;
    let tags = [content.changes.first().expect("a change").tag.clone()];
    let newest = other.newest(&gone.id, (&content.registry, &content.repository), &tags).await;
    assert_eq!(newest, Ok(vec![None]));
}

/// Of a webhook that was removed meanwhile nothing is noted, and one that takes its place starts anew: no counters,
/// nothing that waits, no changes, no attempt under way.
pub async fn a_webhook_that_takes_the_place_of_a_removed_one_starts_anew(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let gone = webhook(&store, 1).await;
    let trial = |id| Trial {
        webhook: gone.id.clone(),
        attempt: delivery(&gone, id, "1.0").attempt_id(),
        until: harness.now() + Duration::from_hours(1),
        trickle: 1,
    };
    let parking = |id| Parking {
        delivery: delivery(&gone, id, "1.0"),
        at: harness.now(),
        until: harness.now() + Duration::from_mins(1),
        reason: "its lane is full".to_owned(),
        limit: 100,
        is_held: false,
    };
    let change = StandingChange { at: harness.now(), standing: StandingWord::Disabled, reason: "for now".to_owned() };
    suspend(harness, &gone).await;
    harness.advance(Duration::from_mins(1)).await;
    assert_eq!(store.begin_trial(&trial("canary")).await, Ok(true));
    store.remove_webhook(&gone.id).await.expect("a removal");
    assert_eq!(other.park(&parking("late")).await, Ok(Parked::Waits(Health::default())));
    other.keep_change(&gone.id, &change).await.expect("an answer");
    other.begin_trial(&trial("late")).await.expect("an answer");
    other.forget_skipped(&gone.id).await.expect("an answer");
    other.reset_health(&gone.id).await.expect("an answer");
    assert_eq!(other.delivery(&parking("late").delivery.id).await, Ok(None));

    store.put_webhook(&gone).await.expect("a webhook");
    assert_eq!(other.health(&gone.id).await, Ok(Health::default()));
    assert_eq!(other.changes_of(&gone.id).await, Ok(vec![]));
    harness.advance(SETTLED_KEPT).await;
    let recorded = suspend(harness, &gone).await;
    assert_eq!(
        recorded.last().map(|last| (last.health.waiting, last.health.standing.as_str())),
        Some((2, "suspended"))
    );
    harness.advance(Duration::from_mins(1)).await;
    assert_eq!(other.begin_trial(&trial("next")).await, Ok(true));
}

/// Pages are stable while webhooks come and go; a cursor that no page said counts as none.
pub async fn webhooks_are_listed_oldest_first_in_pages(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    for number in [5, 1, 4, 2, 3] {
        let made = sample::webhook(number, "*", Format::Batch, "https://receiver.test/");
        // Two of them are made at the same moment.
        let created_at = sample::moment() + Duration::from_secs(u64::from(number) / 2);
        store.put_webhook(&Webhook { created_at, ..made }).await.expect("a webhook");
    }
    let name_of = |webhook: &Webhook| webhook.name.clone();
    let all = store.webhooks(&PageRequest { after: Some("nonsense".to_owned()), limit: 100 }).await.expect("a page");
    let all: Vec<String> = all.items.iter().map(name_of).collect();
    assert_eq!(all, ["webhook 1", "webhook 2", "webhook 3", "webhook 4", "webhook 5"]);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.webhooks(&PageRequest { after, limit: 2 }).await.expect("a page");
        assert!(page.items.len() <= 2);
        listed.extend(page.items.iter().map(name_of));
        if let Some(first) = page.items.first() {
            store.remove_webhook(&first.id).await.expect("a removal");
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, all);
}

/// What applies to a repository is asked for pattern by pattern, and each answers for itself alone.
pub async fn a_namespace_is_found_by_its_own_pattern_alone(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    for (number, text) in [(1, "a/b"), (2, "a/*"), (3, "*"), (4, "a/b/*"), (5, "a/*")] {
        let made = sample::webhook(number, text, Format::Batch, "https://receiver.test/");
        store.put_webhook(&made).await.expect("a webhook");
    }
    for (text, names) in [
        ("a/b", vec!["webhook 1"]),
        ("a/*", vec!["webhook 2", "webhook 5"]),
        ("*", vec!["webhook 3"]),
        ("a/b/*", vec!["webhook 4"]),
        ("a/c", vec![]),
    ] {
        let found = store.webhooks_on(&pattern(text)).await.expect("webhooks");
        assert_eq!(found.iter().map(|webhook| webhook.name.as_str()).collect::<Vec<_>>(), names, "{text}");
    }
}

/// What was put is sealed, or kept as it is where there is no key; either way it is as it would be put now.
pub async fn what_is_sealed_is_not_sealed_again(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let put = webhook(&store, 1).await;
    assert_eq!(other.reseal(&put.id).await, Ok(false));
    assert_eq!(store.webhook(&put.id).await, Ok(Some(put)));
    let absent = WebhookId::from_random([9; 16]);
    assert_eq!(store.reseal(&absent).await, Ok(false));
    assert_eq!(other.webhook(&absent).await, Ok(None));
}

/// The other process learns at once of what was made, changed and removed, and under which patterns it was
/// and is found.
pub async fn a_change_is_noticed_within_a_second(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let mut changes = other.changes();
    let id = webhook(&store, 1).await.id;
    let moved = WebhookPatch { pattern: Some(pattern("team/*")), ..WebhookPatch::default() };
    store.patch_webhook(&id, &moved, harness.now()).await.expect("a patch");
    store.remove_webhook(&id).await.expect("a removal");
    for expected in [vec!["team/app"], vec!["team/*", "team/app"], vec!["team/*"]] {
        let notice = timeout(Duration::from_secs(1), changes.next()).await.expect("a notice in time");
        let Some(Notice::Webhook { id: noticed, patterns }) = notice else { panic!("{notice:?}") };
        assert_eq!(noticed, id);
        let mut patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        patterns.sort_unstable();
        assert_eq!(patterns, expected);
    }
}

/// The first candidate is kept, whoever asks and whatever they suggest.
pub async fn a_repository_is_first_seen_once(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let registry = Registry::parse("hub.test").expect("a registry");
    let (app, web) = (Repository::parse("team/app").expect("a name"), Repository::parse("team/web").expect("a name"));
    let (first, later) = (sample::moment(), sample::moment() + Duration::from_hours(1));
    assert_eq!(store.first_seen(&registry, &app, first).await, Ok(first));
    assert_eq!(other.first_seen(&registry, &app, later).await, Ok(first));
    assert_eq!(other.first_seen(&registry, &web, later).await, Ok(later));
    let elsewhere = Registry::parse("other.test").expect("a registry");
    let race = tokio::join!(store.first_seen(&elsewhere, &app, first), other.first_seen(&elsewhere, &app, later));
    assert_eq!(race.0, race.1);
}
