//! Tokens and the audit trail.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dockbell_backends::store::PageRequest;
use dockbell_backends::store::access::{AUDIT_KEPT, Access, EXPIRED_TOKENS_KEPT};
use dockbell_proto::audit::{Actor, Audited};
use dockbell_proto::ids::{AuditId, TokenId};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::token::{Permission, Scope, Token, TokenHash, mint};
use futures_util::future::join_all;
use jiff::Timestamp;

use super::StoreHarness;
use crate::sample;

fn token(number: u8, expires_at: Option<Timestamp>) -> Token {
    let id = TokenId::from_random([number; 16]);
    let hash = TokenHash::of(mint(&id, [number; 32]).expose());
    let patterns = ["team/*", "other/app"].map(|text| Pattern::parse(text).expect("a pattern"));
    let scope = Scope::Repositories { patterns: patterns.into(), permissions: Permission::ALL.into() };
    let created_at = sample::moment() + Duration::from_secs(number.into());
    Token { id, name: format!("token {number}"), hash, scope, created_at, expires_at }
}

fn change(number: u32) -> Audited {
    let [_, a, b, c] = number.to_be_bytes();
    let mut random = [0; 16];
    random[..3].copy_from_slice(&[a, b, c]);
    Audited {
        id: AuditId::from_random(random),
        at: sample::moment() + Duration::from_secs(number.into()),
        actor: Actor::Token { id: TokenId::from_random([1; 16]), name: "ci".to_owned() },
        address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        action: "change_webhook".to_owned(),
        subject: Some("wh_1".to_owned()),
        pattern: Some(Pattern::Everything),
        members: vec!["url".to_owned()],
    }
}

async fn all_tokens(access: &dyn Access, limit: u32) -> Vec<Token> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = access.tokens(&PageRequest { after, limit }).await.expect("a page");
        assert!(page.items.len() <= limit as usize);
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn all_changes(access: &dyn Access, limit: u32) -> Vec<Audited> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = access.audit(&PageRequest { after, limit }).await.expect("a page");
        assert!(page.items.len() <= limit as usize);
        found.extend(page.items);
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

/// Whoever made it, every process admits its bearer, and none does once it is removed.
pub async fn a_token_is_read_as_it_was_put_until_it_is_removed(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let (first, second) = (token(1, None), token(2, Some(harness.now() + Duration::from_hours(1))));
    let operators = Token { scope: Scope::Operator, ..token(3, None) };
    for token in [&first, &second, &operators, &first] {
        store.access().put_token(token).await.expect("a token");
        assert_eq!(other.access().token(&token.id).await, Ok(Some(token.clone())));
    }
    let renamed =
        Token { name: "another".to_owned(), expires_at: Some(harness.now() + Duration::from_hours(2)), ..first };
    store.access().put_token(&renamed).await.expect("a token");
    assert_eq!(all_tokens(other.access(), 100).await, [renamed.clone(), second, operators]);
    assert_eq!(other.access().remove_token(&renamed.id).await, Ok(true));
    assert_eq!(store.access().token(&renamed.id).await, Ok(None));
    assert_eq!(store.access().remove_token(&renamed.id).await, Ok(false));
    assert_eq!(all_tokens(store.access(), 100).await.len(), 2);
}

/// A page starts after an entry, so that what comes and goes between two pages moves nothing.
pub async fn tokens_are_listed_oldest_first_in_pages(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    assert_eq!(all_tokens(store.access(), 2).await, []);
    for number in [3, 1, 5, 2, 4] {
        store.access().put_token(&token(number, None)).await.expect("a token");
    }
    let expected: Vec<Token> = (1..=5).map(|number| token(number, None)).collect();
    assert_eq!(all_tokens(store.access(), 2).await, expected);
    assert_eq!(all_tokens(store.access(), 5).await, expected);
}

/// Its owner may want to see why it does not work any more.
pub async fn an_expired_token_is_shown_for_a_time(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    let (ends, stays) = (token(1, Some(harness.now() + Duration::from_secs(1))), token(2, None));
    for token in [&ends, &stays] {
        store.access().put_token(token).await.expect("a token");
    }
    harness.advance(EXPIRED_TOKENS_KEPT).await;
    assert_eq!(store.access().token(&ends.id).await, Ok(Some(ends.clone())));
    harness.advance(Duration::from_secs(1)).await;
    assert_eq!(store.access().token(&ends.id).await, Ok(None));
    assert_eq!(all_tokens(store.access(), 100).await, [stays]);
    store.access().put_token(&token(3, None)).await.expect("a token");
    assert_eq!(store.access().remove_token(&token(2, None).id).await, Ok(true));
    assert_eq!(all_tokens(store.access(), 100).await, [token(3, None)]);
}

/// A change that is noted again, because an answer was lost, is still one.
pub async fn changes_are_listed_newest_first_once_each(harness: &mut dyn StoreHarness) {
    let (store, other) = harness.stores();
    let bare = Audited {
        actor: Actor::Operator,
        address: None,
        subject: None,
        pattern: None,
        members: Vec::new(),
        ..change(4)
    };
    for entry in [change(1), change(2), change(2), change(3), bare.clone()] {
        store.access().note(&entry).await.expect("a change");
    }
    let expected = [bare, change(3), change(2), change(1)];
    assert_eq!(all_changes(other.access(), 100).await, expected);
    assert_eq!(all_changes(other.access(), 2).await, expected);
    assert_eq!(all_changes(other.access(), 3).await, expected);
}

/// The trail is bounded: whoever wants more of it keeps the log.
pub async fn the_oldest_changes_are_forgotten(harness: &mut dyn StoreHarness) {
    let (store, _) = harness.stores();
    for number in 0..5 {
        store.access().note(&change(number)).await.expect("a change");
    }
    let later: Vec<Audited> = (5..5 + AUDIT_KEPT).map(change).collect();
    for some in later.chunks(500) {
        let noted = join_all(some.iter().map(|change| store.access().note(change))).await;
        assert!(noted.iter().all(Result::is_ok), "{noted:?}");
    }
    let mut kept = all_changes(store.access(), 100).await;
    kept.sort_by_key(|change| change.at);
    assert!(kept == later, "{} are kept, from {:?}", kept.len(), kept.first());
}
