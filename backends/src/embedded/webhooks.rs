//! The webhooks in the file.

use std::collections::BTreeMap;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::Registry;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::{Format, Webhook, WebhookPatch};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use crate::keyring::Keyring;
use crate::store::proofs::KeptProofs;
use crate::store::secrets::KeptSecrets;
use crate::store::{Page, PageRequest};

use super::page::{self, Place};
use super::rows;

const COLUMNS: &str = "id, name, pattern, registry, url, format, headers, secret, enabled, created_at, updated_at,
    disabled_reason, policy, proofs, options, filter, chain, tls";

/// Makes or replaces a webhook, and says which patterns it had before and has now. Its health and history
/// stay, which a plain REPLACE would remove.
pub(super) fn put(file: &Connection, webhook: &Webhook, keys: &Keyring) -> rusqlite::Result<Vec<Pattern>> {
    let before = pattern_of(file, &webhook.id)?;
    let sql = format!(
        "INSERT INTO webhooks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
         ?16, ?17, ?18)
         ON CONFLICT (id) DO UPDATE SET name = ?2, pattern = ?3, registry = ?4, url = ?5, format = ?6, headers = ?7,
         secret = ?8, enabled = ?9, created_at = ?10, updated_at = ?11, disabled_reason = ?12, policy = ?13,
         proofs = ?14, options = ?15, filter = ?16, chain = ?17, tls = ?18"
    );
    let kept = KeptSecrets::of(webhook, keys);
    file.prepare_cached(&sql)?.execute(params![
        webhook.id.as_str(),
        webhook.name,
        webhook.pattern.to_string(),
        webhook.registry.as_ref().map(Registry::as_str),
        kept.url,
        webhook.format.as_str(),
        rows::json_column(&kept.headers)?,
        kept.secret,
        webhook.enabled,
        rows::at(webhook.created_at),
        rows::at(webhook.updated_at),
        webhook.disabled_reason,
        rows::json_column(&webhook.policy)?,
        rows::json_column(&kept.proofs)?,
        rows::json_column(&webhook.options)?,
        rows::json_column(&webhook.filter)?,
        rows::json_column(&webhook.after)?,
        rows::json_column(&kept.tls)?,
    ])?;
    let now = webhook.pattern.clone();
    Ok(before.into_iter().filter(|before| *before != now).chain([now.clone()]).collect())
}

/// Changes a webhook; none if there is none.
pub(super) fn patch(
    file: &Connection,
    id: &WebhookId,
    (patch, now): (&WebhookPatch, Timestamp),
    keys: &Keyring,
) -> rusqlite::Result<Option<(Webhook, Vec<Pattern>)>> {
    let Some(webhook) = find(file, id, keys)? else { return Ok(None) };
    let webhook = webhook.patched(patch, now);
    let patterns = put(file, &webhook, keys)?;
    Ok(Some((webhook, patterns)))
}

/// Removes a webhook with everything that hangs on it, and says which pattern it had.
pub(super) fn remove(file: &Connection, id: &WebhookId) -> rusqlite::Result<Option<Pattern>> {
    let before = pattern_of(file, id)?;
    file.prepare_cached("DELETE FROM webhooks WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(before)
}

/// Writes a webhook again as it is, unless its secrets are sealed under the key that seals now. Says whether it had to.
pub(super) fn reseal(file: &Connection, id: &WebhookId, keys: &Keyring) -> rusqlite::Result<bool> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1");
    let kept = file.prepare_cached(&sql)?.query_row([id.as_str()], secrets).optional()?;
    let Some(webhook) =
        kept.filter(|kept| !kept.clone().are_current(keys)).and_then(|_| find(file, id, keys).transpose())
    else {
        return Ok(false);
    };
    put(file, &webhook?, keys)?;
    Ok(true)
}

/// A key that seals some of what is kept and is not among these.
pub(super) fn missing_key(file: &Connection, keys: &Keyring) -> rusqlite::Result<Option<String>> {
    // What stands before the sealed bytes: there are as many as keys.
    let sql = "SELECT DISTINCT substr(url, 1, 7 + instr(substr(url, 8), ':')) FROM webhooks WHERE url LIKE 'sealed:%'";
    let mut statement = file.prepare_cached(sql)?;
    let mut found = statement.query_map([], |row| row.get::<_, String>(0))?;
    let missing = found.find_map(|beginning| match beginning {
        Ok(beginning) => keys.lacks(&beginning).map(|name| Ok(name.to_owned())),
        Err(error) => Some(Err(error)),
    });
    missing.transpose()
}

fn pattern_of(file: &Connection, id: &WebhookId) -> rusqlite::Result<Option<Pattern>> {
    let mut statement = file.prepare_cached("SELECT pattern FROM webhooks WHERE id = ?1")?;
    statement.query_row([id.as_str()], |row| rows::parsed(row, 0, Pattern::parse)).optional()
}

/// Whether there is a webhook of this id.
pub(super) fn exists(file: &Connection, id: &WebhookId) -> rusqlite::Result<bool> {
    file.prepare_cached("SELECT 1 FROM webhooks WHERE id = ?1")?.exists([id.as_str()])
}

/// The webhook of this id.
pub(super) fn find(file: &Connection, id: &WebhookId, keys: &Keyring) -> rusqlite::Result<Option<Webhook>> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1");
    file.prepare_cached(&sql)?.query_row([id.as_str()], |row| webhook(row, keys)).optional()
}

/// The webhooks of exactly this pattern, oldest first.
pub(super) fn on(file: &Connection, pattern: &Pattern, keys: &Keyring) -> rusqlite::Result<Vec<Webhook>> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE pattern = ?1 ORDER BY created_at, id");
    select(file, &sql, [pattern.to_string()], keys)
}

/// Every webhook, oldest first.
pub(super) fn list(file: &Connection, request: &PageRequest, keys: &Keyring) -> rusqlite::Result<Page<Webhook>> {
    let size = page::size(request);
    let after = Place::after(request).unwrap_or(Place { at: i64::MIN, id: String::new() });
    let sql =
        format!("SELECT {COLUMNS} FROM webhooks WHERE (created_at, id) > (?1, ?2) ORDER BY created_at, id LIMIT ?3");
    let items = select(file, &sql, params![after.at, after.id, rows::size(size + 1)], keys)?;
    Ok(page::cut(items, size, |last| Place { at: last.created_at.as_microsecond(), id: last.id.as_str().to_owned() }))
}

fn select(file: &Connection, sql: &str, params: impl Params, keys: &Keyring) -> rusqlite::Result<Vec<Webhook>> {
    file.prepare_cached(sql)?.query_map(params, |row| webhook(row, keys))?.collect()
}

fn secrets(row: &Row<'_>) -> rusqlite::Result<KeptSecrets> {
    let (headers, proofs): (BTreeMap<String, String>, KeptProofs) = (rows::json(row, 6)?, rows::json(row, 13)?);
    Ok(KeptSecrets { url: row.get(4)?, headers, secret: row.get(7)?, proofs, tls: rows::json(row, 17)? })
}

fn webhook(row: &Row<'_>, keys: &Keyring) -> rusqlite::Result<Webhook> {
    let registry: Option<String> = row.get(3)?;
    let id = rows::parsed(row, 0, WebhookId::parse)?;
    let opened = secrets(row)?.open(&id, keys);
    let opened = opened.map_err(|error| rows::unreadable(7, format!("webhook {id} cannot be read: {error}")))?;
    Ok(Webhook {
        id,
        name: row.get(1)?,
        pattern: rows::parsed(row, 2, Pattern::parse)?,
        registry: registry.map(|_| rows::parsed(row, 3, Registry::parse)).transpose()?,
        url: opened.url,
        format: rows::parsed(row, 5, |name| Format::parse(name).ok_or_else(|| format!("{name} is no format")))?,
        options: rows::json(row, 14)?,
        filter: rows::json(row, 15)?,
        after: rows::json(row, 16)?,
        headers: opened.headers,
        proofs: opened.proofs,
        tls: opened.tls,
        enabled: row.get(8)?,
        disabled_reason: row.get(11)?,
        policy: rows::json(row, 12)?,
        created_at: rows::time(row, 9)?,
        updated_at: rows::time(row, 10)?,
    })
}
