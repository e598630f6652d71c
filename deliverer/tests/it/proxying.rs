//! Attempts through the proxy of an operator.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::crypto::Roots;
use dockbell_deliverer::transport::names::Names;
use dockbell_deliverer::transport::proxy::Proxy;
use dockbell_deliverer::transport::{Deadlines, Outside, Post, Transport};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::outcome::Outcome;
use dockbell_proto::target::TargetUrl;
use dockbell_testkit::name_server::{NameServer, Reply};
use dockbell_testkit::receiver::Receiver;
use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a proxy does with a connection whose head it has read.
#[derive(Debug, Clone)]
enum Does {
    /// Leads it to this place, wherever it was asked to.
    Leads(SocketAddr),
    /// Says this and closes.
    Says(&'static str),
    /// Says nothing.
    Hangs,
}

/// A proxy on a free port. Dropping it ends it.
struct TestProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl TestProxy {
    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heads) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let (mut serving, kept) = (JoinSet::new(), Arc::clone(&heads));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, does.clone(), Arc::clone(&kept)));
            }
        });
        Self { address, heads, _serving: serving }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, does: Does, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    match does {
        Does::Leads(place) => {
            let mut to = TcpStream::connect(place).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            // Either side may end it as it likes.
            copy_bidirectional(&mut stream, &mut to).await.ok();
        }
        Does::Says(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
        Does::Hangs => std::future::pending().await,
    }
}

/// What came of an attempt through `proxy`.
async fn attempt(proxy: &str, url: &str, name_servers: Vec<SocketAddr>) -> Outcome {
    let policy = Arc::new(AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()]));
    let outside = Outside {
        names: Arc::new(Names::new(name_servers)),
        roots: Roots::default(),
        proxy: Some(Arc::new(Proxy::parse(proxy).unwrap())),
    };
    let deadlines = Deadlines { connect: Duration::from_secs(2), total: Duration::from_secs(10) };
    let transport = Transport::new(&outside, &policy, deadlines, Arc::new(SystemClock)).unwrap();
    let url = TargetUrl::parse(url, &policy).unwrap();
    transport.post(Post { url, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }).await.outcome
}

async fn attempt_with(does: Does, url: &str) -> (Outcome, Vec<String>) {
    let proxy = TestProxy::start(does).await;
    let outcome = attempt(&format!("http://{}", proxy.address), url, Vec::new()).await;
    (outcome, proxy.heads())
}

/// What is asked for is an address, so that the proxy looks up nothing and leads where was judged.
#[tokio::test]
async fn an_http_url_too_goes_through_a_tunnel_to_the_address_that_was_judged() {
    let (receiver, servers) = (Receiver::start().await, NameServer::start().await);
    servers.say("receiver.test", Reply::Addresses(vec!["1.1.1.1".parse().unwrap()]));
    let proxy = TestProxy::start(Does::Leads(receiver.addr())).await;
    let url = format!("http://alice:can%3Aary@{}", proxy.address);
    let outcome = attempt(&url, "http://receiver.test/hook?token=canary", vec![servers.addr()]).await;
    assert_eq!(outcome, Outcome::Accepted { status: 200 });
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    let expected =
        "CONNECT 1.1.1.1:80 HTTP/1.1\r\nhost: 1.1.1.1:80\r\nproxy-authorization: Basic YWxpY2U6Y2FuOmFyeQ==\r\n\r\n";
    assert_eq!(heads[0], expected);
    let request = receiver.requests().remove(0);
    assert_eq!(request.path_and_query, "/hook?token=canary");
    assert_eq!(request.headers["host"], "receiver.test");
    assert!(!request.headers.contains_key("proxy-authorization"));
}

/// It fails closed: nobody is dialled past it.
#[tokio::test]
async fn a_proxy_that_is_away_is_no_fault_of_the_receiver_and_nobody_goes_past_it() {
    let receiver = Receiver::start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = attempt(&format!("http://{nobody}"), &receiver.url("/"), Vec::new()).await;
    assert_eq!(outcome, Outcome::Hindered { reason: "the proxy cannot be reached".to_owned() });
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_forbidden_address_is_asked_of_no_proxy() {
    let servers = NameServer::start().await;
    servers.say("inside.test", Reply::Addresses(vec!["10.0.0.1".parse().unwrap()]));
    let proxy = TestProxy::start(Does::Hangs).await;
    let outcome = attempt(&format!("http://{}", proxy.address), "http://inside.test/", vec![servers.addr()]).await;
    assert!(matches!(outcome, Outcome::Blocked { .. }), "{outcome:?}");
    assert_eq!(proxy.heads(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_proxy_answers_tells_whose_fault_it_is() {
    for (answer, outcome, tries) in [
        ("HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\n\r\nno", "hindered", 1),
        ("HTTP/1.1 302 There\r\nlocation: http://10.0.0.1/\r\n\r\n", "hindered", 1),
        ("SSH-2.0-OpenSSH\r\n\r\n", "hindered", 1),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "hindered", 1),
        ("", "hindered", 1),
        ("HTTP/1.1 403 No\r\n\r\n", "blocked", 1),
        ("HTTP/1.1 502 Bad gateway\r\ncontent-length: 3\r\n\r\nbad", "unreachable", 1),
    ] {
        let (found, heads) = attempt_with(Does::Says(answer), "https://1.1.1.1/").await;
        assert_eq!((found.as_str(), heads.len()), (outcome, tries), "{answer:?}: {found:?}");
        let shown = format!("{found:?}");
        assert!(!shown.contains("10.0.0.1") && !shown.contains("1.1.1.1"), "{shown}");
    }
}

/// A tunnel that ends at once is a connection that broke off.
#[tokio::test]
async fn a_tunnel_that_is_closed_at_once_is_a_connection_that_broke_off() {
    for url in ["http://1.1.1.1/", "https://1.1.1.1/"] {
        let (outcome, heads) = attempt_with(Does::Says("HTTP/1.1 200 OK\r\n\r\n"), url).await;
        assert!(matches!(outcome, Outcome::Unreachable { .. }), "{url}: {outcome:?}");
        assert!(!heads.is_empty());
    }
}

#[tokio::test]
async fn the_next_address_is_asked_for_when_a_proxy_cannot_connect_to_one() {
    let servers = NameServer::start().await;
    let addresses = ["1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4"].map(|ip| ip.parse().unwrap());
    servers.say("receiver.test", Reply::Addresses(addresses.into()));
    let proxy = TestProxy::start(Does::Says("HTTP/1.1 504 Gateway timeout\r\n\r\n")).await;
    let outcome = attempt(&format!("http://{}", proxy.address), "http://receiver.test/", vec![servers.addr()]).await;
    assert_eq!(
        outcome,
        Outcome::Unreachable { reason: "the proxy could not connect to the host (HTTP 504)".to_owned() }
    );
    assert_eq!(proxy.heads().len(), 3);
}

#[tokio::test]
async fn a_proxy_that_says_nothing_takes_no_longer_than_a_connection_may() {
    let (outcome, _) = attempt_with(Does::Hangs, "http://1.1.1.1/").await;
    assert!(matches!(outcome, Outcome::TimedOut { .. }), "{outcome:?}");
}
