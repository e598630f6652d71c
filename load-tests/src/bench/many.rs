//! A store with a webhook on each of very many repositories, filled within a minute.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Store as _;
use dockbell_backends::keyring::Keyring;
use dockbell_backends::redis::RedisStore;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::redis::RedisServer;
use serde_json::Value;
use tokio::time::Instant;

use super::results::Results;
use super::stock::{PREFIX, keys, memory, open, put_all, webhook};
use crate::flood;
use crate::goals::Goal;
use crate::program::until;
use crate::trial::Ground;

const PATIENCE: Duration = Duration::from_secs(30);
/// That many receivers have a host each.
const HOSTS: usize = 100;
/// Of a large store.
const MEASURED: usize = 10_000;
/// How many copies Redis makes at once, which nobody else is served meanwhile.
const COPIES: usize = 20_000;
/// What stands in the text of which copies are made.
const ID: &str = "@ID@";
const REPOSITORY: &str = "@REPOSITORY@";
/// What stands there in the one that is copied, and nowhere else.
const REPOSITORY_OF_COPY: &str = "load/copied";
/// ARGV: text, place, first and last number, and every how many one is there.
const COPY: &str = "
for number = tonumber(ARGV[3]), tonumber(ARGV[4]) do
  if number % tonumber(ARGV[5]) ~= 0 then
    local id, repository = string.format('wh_%024x', number), 'load/app-' .. number
    local place = string.gsub(ARGV[2], '@ID@', id)
    local text = string.gsub(string.gsub(ARGV[1], '@ID@', id), '@REPOSITORY@', repository)
    redis.call('HSET', KEYS[1], id, text)
    redis.call('ZADD', KEYS[2], 0, place)
    redis.call('ZADD', KEYS[3], 0, repository .. '\\n' .. place)
  end
end";

/// A Redis of its own with a webhook on each of very many repositories.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) redis: RedisServer,
    pub(crate) store: Arc<RedisStore>,
    pub(crate) webhooks: usize,
}

impl Many {
    /// Those that are measured are put by the store itself, with secrets that are sealed. The others only stand beside them: they
    /// are copies of one, as the store wrote it without a key, because a store seals and puts some thousands a second.
    pub(crate) async fn fill(ground: &Ground<'_>, webhooks: usize, results: &mut Results) -> Result<Self, BoxError> {
        if webhooks < MEASURED {
            return Err(format!("the large store needs at least {MEASURED} webhooks").into());
        }
        let redis = RedisServer::start().await;
        // A rewrite of its log takes a core for a while, in whichever run it falls.
        redis.run(&["CONFIG", "SET", "auto-aof-rewrite-min-size", "8gb"]).await;
        let (began, before) = (Instant::now(), memory(&redis).await);
        results.tell(&format!("putting {webhooks} webhooks into a store …"));
        let store = open(&redis.url(), Keyring::read(&keys(ground.folder)?)?)?;
        let stride = webhooks / MEASURED;
        let urls: Vec<String> = (0..HOSTS).map(|host| ground.sink.url(host)).collect();
        let on = move |number: usize| {
            let url = urls.get(number % HOSTS).map_or("", String::as_str);
            webhook(number, &flood::name(number * stride), url)
        };
        put_all(&store, MEASURED, on).await?;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let each = (memory(&redis).await.saturating_sub(before)) as f64 / MEASURED as f64;
        results.add("memory of Redis per webhook", (each, "B"), Goal::None);
        copy_all(&redis, (webhooks, stride), &ground.sink.url(0)).await?;
        results.tell(&format!("{webhooks} webhooks after {} s", began.elapsed().as_secs()));
        Ok(Self { redis, store, webhooks })
    }

    /// The repository of one of the webhooks that are measured, in turn.
    pub(crate) fn measured(&self, number: usize) -> String {
        flood::name(number % MEASURED * (self.webhooks / MEASURED))
    }
}

/// Has Redis copy a webhook onto all other repositories, in the layout that the documentation of the store tells.
async fn copy_all(redis: &RedisServer, (webhooks, stride): (usize, usize), url: &str) -> Result<(), BoxError> {
    let unsealed = open(&redis.url(), Keyring::none())?;
    let first = webhook(MEASURED, REPOSITORY_OF_COPY, url);
    until("a store to be reached", PATIENCE, || async { unsealed.put_webhook(&first).await.ok() }).await?;
    let (of_webhooks, by_age, by_pattern) = (key("webhooks"), key("webhooks-by-age"), key("webhooks-by-pattern"));
    let text = redis.run(&["HGET", &of_webhooks, first.id.as_str()]).await;
    unsealed.remove_webhook(&first.id).await?;
    unsealed.close().await;
    let text = text.replace(first.id.as_str(), ID).replace(REPOSITORY_OF_COPY, REPOSITORY);
    let known: Value = serde_json::from_str(&text)?;
    let place = known.get("place").and_then(Value::as_str).ok_or("a webhook is kept without its place")?;
    for begin in (0..webhooks).step_by(COPIES) {
        let (end, begin) = ((begin + COPIES).min(webhooks) - 1, begin.to_string());
        let words = ["EVAL", COPY, "3", &of_webhooks, &by_age, &by_pattern, &text, place, &begin];
        let answer = redis.run(&[&words[..], &[&end.to_string(), &stride.to_string()]].concat()).await;
        if !answer.is_empty() {
            return Err(format!("copies were not made: {answer}").into());
        }
    }
    let count = redis.run(&["HLEN", &of_webhooks]).await;
    if count != webhooks.to_string() {
        return Err(format!("the large store holds {count} webhooks, and not {webhooks}").into());
    }
    Ok(())
}

fn key(name: &str) -> String {
    format!("{{{PREFIX}}}:{name}")
}
