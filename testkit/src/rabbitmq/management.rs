//! The management API of a node: what the tests need of it, over plain HTTP/1.0.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LONGEST_CALL: Duration = Duration::from_secs(30);

/// A client of the management API, as the user `guest`.
#[derive(Debug, Clone)]
pub(super) struct Management {
    address: SocketAddr,
}

/// An answer of the management API.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Management {
    pub(super) fn new(port: u16) -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, port).into() }
    }

    /// Makes a call. HTTP/1.0 keeps the answer free of chunks.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> std::io::Result<Answer> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let credentials = BASE64_STANDARD.encode("guest:guest");
        let request = format!(
            "{method} /api{path} HTTP/1.0\r\nAuthorization: Basic {credentials}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok(parse(&answer))
        };
        tokio::time::timeout(LONGEST_CALL, exchange).await?
    }
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Answer { status, body: serde_json::from_str(body).unwrap_or_default() }
}
