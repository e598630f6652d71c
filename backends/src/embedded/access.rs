//! Tokens and the audit trail in the file.

use async_trait::async_trait;
use dockbell_proto::audit::Audited;
use dockbell_proto::ids::TokenId;
use dockbell_proto::token::Token;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::store::access::{AUDIT_KEPT, Access};
use crate::store::{Page, PageRequest, StoreError};

use super::page::{self, Place};
use super::{Embedded, rows};

#[async_trait]
impl Access for Embedded {
    async fn put_token(&self, token: &Token) -> Result<(), StoreError> {
        let token = token.clone();
        Ok(self.writer.write(move |file: &Connection| put(file, &token), |()| ()).await?)
    }

    async fn token(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        let (id, until) = (id.clone(), self.kept.tokens_until());
        self.look(move |file| find(file, &id, until)).await
    }

    async fn tokens(&self, page: &PageRequest) -> Result<Page<Token>, StoreError> {
        let (page, until) = (page.clone(), self.kept.tokens_until());
        self.look(move |file| list(file, &page, until)).await
    }

    async fn remove_token(&self, id: &TokenId) -> Result<bool, StoreError> {
        let id = id.clone();
        let remove = move |file: &Connection| {
            Ok(file.prepare_cached("DELETE FROM tokens WHERE id = ?1")?.execute([id.as_str()])? > 0)
        };
        Ok(self.writer.write(remove, |_| ()).await?)
    }

    async fn note(&self, change: &Audited) -> Result<(), StoreError> {
        let change = change.clone();
        Ok(self.writer.write(move |file: &Connection| note(file, &change), |()| ()).await?)
    }

    async fn audit(&self, page: &PageRequest) -> Result<Page<Audited>, StoreError> {
        let page = page.clone();
        self.look(move |file| audit(file, &page)).await
    }
}

fn put(file: &Connection, token: &Token) -> rusqlite::Result<()> {
    let sql = "INSERT INTO tokens (id, token, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO UPDATE SET token = ?2, created_at = ?3, expires_at = ?4";
    let (text, expires_at) = (rows::json_column(token)?, token.expires_at.map(rows::at));
    file.prepare_cached(sql)?.execute(params![token.id.as_str(), text, rows::at(token.created_at), expires_at])?;
    Ok(())
}

fn find(file: &Connection, id: &TokenId, until: i64) -> rusqlite::Result<Option<Token>> {
    let sql = "SELECT token FROM tokens WHERE id = ?1 AND ifnull(expires_at > ?2, TRUE)";
    file.prepare_cached(sql)?.query_row(params![id.as_str(), until], token).optional()
}

fn list(file: &Connection, request: &PageRequest, until: i64) -> rusqlite::Result<Page<Token>> {
    let size = page::size(request);
    let after = Place::after(request).unwrap_or(Place { at: i64::MIN, id: String::new() });
    let sql = "SELECT token FROM tokens WHERE (created_at, id) > (?1, ?2) AND ifnull(expires_at > ?3, TRUE)
               ORDER BY created_at, id LIMIT ?4";
    let values = params![after.at, after.id, until, rows::size(size + 1)];
    let items = file.prepare_cached(sql)?.query_map(values, token)?.collect::<rusqlite::Result<_>>()?;
    Ok(page::cut(items, size, |last: &Token| Place { at: rows::at(last.created_at), id: last.id.to_string() }))
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    rows::json(row, 0)
}

fn note(file: &Connection, change: &Audited) -> rusqlite::Result<()> {
    let sql = "INSERT INTO audit (id, change) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    file.prepare_cached(sql)?.execute(params![change.id.as_str(), rows::json_column(change)?])?;
    // Positions grow by one, and the latest is never removed.
    let trim = "DELETE FROM audit WHERE position <= (SELECT max(position) FROM audit) - ?1";
    file.prepare_cached(trim)?.execute([AUDIT_KEPT])?;
    Ok(())
}

fn audit(file: &Connection, request: &PageRequest) -> rusqlite::Result<Page<Audited>> {
    let size = page::size(request);
    let after = request.after.as_deref().and_then(|after| after.parse().ok()).unwrap_or(i64::MAX);
    let sql = "SELECT change, position FROM audit WHERE position < ?1 ORDER BY position DESC LIMIT ?2";
    let mut statement = file.prepare_cached(sql)?;
    let found = statement.query_map([after, rows::size(size + 1)], |row| Ok((rows::json(row, 0)?, row.get(1)?)))?;
    let mut items: Vec<(Audited, i64)> = found.collect::<rusqlite::Result<_>>()?;
    let has_more = items.len() > size;
    items.truncate(size);
    let next = items.last().filter(|_| has_more).map(|(_, position)| position.to_string());
    Ok(Page { items: items.into_iter().map(|(change, _)| change).collect(), next })
}
