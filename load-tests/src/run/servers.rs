//! The broker and the store that a scenario runs on: private ones, or those of an operator.

use std::time::Duration;

use clap::Args;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;
use reqwest::Url;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::gauge::Watched;
use crate::fleet::amqp_url;
use crate::flood::amqp::Broker;
use crate::usage;

/// How long a store may take to take a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The names of the programs, as the kernel knows them.
const PROGRAMS: [(&str, &str); 2] = [("RabbitMQ", "beam.smp"), ("Redis", "redis-server")];

/// Servers that are given.
#[derive(Debug, Clone, Args)]
pub(crate) struct Given {
    /// The broker to run on, with a virtual host that nothing else uses [default: a private one]
    #[arg(long, value_name = "URL", requires = "redis_url")]
    amqp_url: Option<String>,
    /// The store to run on, with a database that nothing else uses [default: a private one]
    #[arg(long, value_name = "URL", requires = "amqp_url")]
    redis_url: Option<String>,
}

/// Servers to run on.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) amqp: String,
    pub(crate) redis: String,
    /// Dropping them ends them.
    private: Option<(Node, RedisServer)>,
}

impl Given {
    /// Returns once they take connections.
    pub(crate) async fn open(self) -> Result<Servers, BoxError> {
        if let Some((amqp, redis)) = self.amqp_url.zip(self.redis_url) {
            drop(Broker::connect(&amqp).await?);
            expect_store(&redis).await?;
            return Ok(Servers { amqp, redis, private: None });
        }
        let (node, redis) = tokio::join!(Node::start(), RedisServer::start());
        // A rewrite of its log takes a core for a second or more.
        redis.run(&["CONFIG", "SET", "auto-aof-rewrite-min-size", "8gb"]).await;
        let (amqp, url) = (amqp_url(&node, &node.virtual_host().await), redis.url());
        Ok(Servers { amqp, redis: url, private: Some((node, redis)) })
    }
}

impl Servers {
    /// Whether all that stands in them goes with them.
    pub(crate) fn are_private(&self) -> bool {
        self.private.is_some()
    }

    /// Their processes, if they are ours to watch.
    pub(crate) fn processes(&self) -> Vec<Watched> {
        if !self.are_private() {
            return Vec::new();
        }
        let watched = |(name, program): (&str, &str)| {
            let process = usage::descendants(std::process::id(), program).first().copied()?;
            Some(Watched { name: name.to_owned(), process })
        };
        PROGRAMS.into_iter().filter_map(watched).collect()
    }
}

/// Whether somebody listens where a store is said to be. Whether it is one is told by the first process of ours.
async fn expect_store(url: &str) -> Result<(), BoxError> {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port().unwrap_or(6379))));
    let Some((host, port)) = host else {
        return Err("--redis-url is no URL such as redis://:password@store:6379/5".into());
    };
    let connected = match timeout(CONNECT, TcpStream::connect((host.trim_matches(['[', ']']), port))).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECT:?}")),
    };
    let unreachable =
        |reason| format!("no connection to the store at {host}:{port}: {reason}. Is Redis running there?");
    Ok(connected.map_err(unreachable)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_of_a_dead_server_names_it_and_not_its_password() {
        let broker = Broker::connect("amqp://me:hidden@127.0.0.1:1/loadtest").await.unwrap_err().to_string();
        let place = "the broker at 127.0.0.1:1, virtual host /loadtest";
        assert!(broker.contains(place) && broker.contains("Is it running"), "{broker}");
        let store = expect_store("redis://:hidden@127.0.0.1:1/5").await.unwrap_err().to_string();
        assert!(store.contains("the store at 127.0.0.1:1") && !store.contains("hidden"), "{store}");
        assert!(!broker.contains("hidden"), "{broker}");
        assert!(expect_store("localhost").await.unwrap_err().to_string().contains("--redis-url"));
    }
}
