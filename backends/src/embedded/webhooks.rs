//! The webhooks in the file.

use std::collections::BTreeMap;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::Registry;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::secret::Secret;
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use crate::store::proofs::KeptProofs;
use crate::store::{Page, PageRequest};

use super::page::{self, Place};
use super::rows;

const COLUMNS: &str = "id, name, pattern, registry, url, format, headers, secret, enabled, created_at, updated_at,
    disabled_reason, policy, proofs, options, filter, chain";

/// Makes or replaces a webhook, and says which patterns it had before and has now. Its health and history
/// stay, which a plain REPLACE would remove.
pub(super) fn put(file: &Connection, webhook: &Webhook) -> rusqlite::Result<Vec<Pattern>> {
    let before = find(file, &webhook.id)?.map(|before| before.pattern);
    let sql = format!(
        "INSERT INTO webhooks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
         ?16, ?17)
         ON CONFLICT (id) DO UPDATE SET name = ?2, pattern = ?3, registry = ?4, url = ?5, format = ?6, headers = ?7,
         secret = ?8, enabled = ?9, created_at = ?10, updated_at = ?11, disabled_reason = ?12, policy = ?13,
         proofs = ?14, options = ?15, filter = ?16, chain = ?17"
    );
    let headers: BTreeMap<&str, &str> =
        webhook.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    file.prepare_cached(&sql)?.execute(params![
        webhook.id.as_str(),
        webhook.name,
        webhook.pattern.to_string(),
        webhook.registry.as_ref().map(Registry::as_str),
        webhook.url.expose(),
        webhook.format.as_str(),
        rows::json_column(&headers)?,
        webhook.proofs.secret.current.expose(),
        webhook.enabled,
        rows::at(webhook.created_at),
        rows::at(webhook.updated_at),
        webhook.disabled_reason,
        rows::json_column(&webhook.policy)?,
        rows::json_column(&KeptProofs::of(&webhook.proofs))?,
        rows::json_column(&webhook.options)?,
        rows::json_column(&webhook.filter)?,
        rows::json_column(&webhook.after)?,
    ])?;
    let now = webhook.pattern.clone();
    Ok(before.into_iter().filter(|before| *before != now).chain([now.clone()]).collect())
}

/// Changes a webhook; none if there is none.
pub(super) fn patch(
    file: &Connection,
    id: &WebhookId,
    patch: &WebhookPatch,
    now: Timestamp,
) -> rusqlite::Result<Option<(Webhook, Vec<Pattern>)>> {
    let Some(webhook) = find(file, id)? else { return Ok(None) };
    let webhook = webhook.patched(patch, now);
    let patterns = put(file, &webhook)?;
    Ok(Some((webhook, patterns)))
}

/// Removes a webhook with everything that hangs on it, and says which pattern it had.
pub(super) fn remove(file: &Connection, id: &WebhookId) -> rusqlite::Result<Option<Pattern>> {
    let before = find(file, id)?.map(|before| before.pattern);
    file.prepare_cached("DELETE FROM webhooks WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(before)
}

/// Whether there is a webhook of this id.
pub(super) fn exists(file: &Connection, id: &WebhookId) -> rusqlite::Result<bool> {
    file.prepare_cached("SELECT 1 FROM webhooks WHERE id = ?1")?.exists([id.as_str()])
}

/// The webhook of this id.
pub(super) fn find(file: &Connection, id: &WebhookId) -> rusqlite::Result<Option<Webhook>> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1");
    file.prepare_cached(&sql)?.query_row([id.as_str()], webhook).optional()
}

/// The webhooks of exactly this pattern, oldest first.
pub(super) fn on(file: &Connection, pattern: &Pattern) -> rusqlite::Result<Vec<Webhook>> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE pattern = ?1 ORDER BY created_at, id");
    select(file, &sql, [pattern.to_string()])
}

/// Every webhook, oldest first.
pub(super) fn list(file: &Connection, request: &PageRequest) -> rusqlite::Result<Page<Webhook>> {
    let size = page::size(request);
    let after = Place::after(request).unwrap_or(Place { at: i64::MIN, id: String::new() });
    let sql =
        format!("SELECT {COLUMNS} FROM webhooks WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT ?3");
    let items = select(file, &sql, params![after.at, after.id, rows::size(size + 1)])?;
    Ok(page::cut(items, size, |last| Place { at: last.created_at.as_microsecond(), id: last.id.as_str().to_owned() }))
}

fn select(file: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Webhook>> {
    file.prepare_cached(sql)?.query_map(params, webhook)?.collect()
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    let registry: Option<String> = row.get(3)?;
    let headers: BTreeMap<String, String> = rows::json(row, 6)?;
    let kept: KeptProofs = rows::json(row, 13)?;
    Ok(Webhook {
        id: rows::parsed(row, 0, WebhookId::parse)?,
        name: row.get(1)?,
        pattern: rows::parsed(row, 2, Pattern::parse)?,
        registry: registry.map(|_| rows::parsed(row, 3, Registry::parse)).transpose()?,
        url: Secret::new(row.get::<_, String>(4)?),
        format: rows::parsed(row, 5, |name| Format::parse(name).ok_or_else(|| format!("{name} is no format")))?,
        options: rows::json(row, 14)?,
        filter: rows::json(row, 15)?,
        after: rows::json(row, 16)?,
        headers: headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect(),
        proofs: rows::parsed(row, 7, |secret| kept.read(secret))?,
        enabled: row.get(8)?,
        disabled_reason: row.get(11)?,
        policy: rows::json(row, 12)?,
        created_at: rows::time(row, 9)?,
        updated_at: rows::time(row, 10)?,
    })
}
