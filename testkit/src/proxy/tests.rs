use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::{Fault, Latency, Proxy};
use crate::wait::DEADLINE;

/// Long enough for what is not held up to arrive. A proxy that holds nothing up fails the test at once.
const HELD: Duration = Duration::from_millis(200);

/// A client and its server, with a proxy between them.
struct Line {
    proxy: Proxy,
    listener: TcpListener,
}

impl Line {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { proxy: Proxy::start(listener.local_addr().unwrap()).await, listener }
    }

    async fn client(&self) -> TcpStream {
        TcpStream::connect(self.proxy.addr()).await.unwrap()
    }

    async fn pair(&self) -> (TcpStream, TcpStream) {
        let client = self.client().await;
        (client, timeout(DEADLINE, self.listener.accept()).await.unwrap().unwrap().0)
    }
}

/// Waits until exactly this arrives.
async fn expect(stream: &mut TcpStream, text: &str) {
    let mut got = vec![0; text.len()];
    timeout(DEADLINE, stream.read_exact(&mut got)).await.expect("something to arrive").unwrap();
    assert_eq!(String::from_utf8_lossy(&got), text);
}

async fn assert_silent(stream: &mut TcpStream) {
    let read = timeout(HELD, stream.read_u8()).await;
    assert!(read.is_err(), "this arrived: {read:?}");
}

#[tokio::test]
async fn what_is_sent_arrives_late_and_in_its_order() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    let least = Duration::from_millis(150);
    line.proxy.begin(Fault::Latency(Latency { least, jitter: Duration::from_millis(50), seed: 7 }));
    let began = Instant::now();
    for text in ["one ", "two ", "three"] {
        client.write_all(text.as_bytes()).await.unwrap();
    }
    expect(&mut server, "one two three").await;
    server.write_all(b"four").await.unwrap();
    expect(&mut client, "four").await;
    assert!(began.elapsed() >= 2 * least, "{:?}", began.elapsed());
}

#[test]
fn the_same_seed_makes_everything_as_late_again() {
    let latency = |seed| Latency { least: Duration::from_millis(10), jitter: Duration::from_millis(5), seed };
    let drawn = |seed, way| {
        let mut rng = latency(seed).rng(way);
        (0..20).map(|_| latency(seed).draw(&mut rng)).collect::<Vec<_>>()
    };
    assert_eq!(drawn(1, 0), drawn(1, 0));
    assert_ne!(drawn(1, 0), drawn(2, 0));
    assert_ne!(drawn(1, 0), drawn(1, 1));
    let bounds = Duration::from_millis(10)..=Duration::from_millis(15);
    assert!(drawn(1, 0).iter().all(|late| bounds.contains(late)));
}

#[tokio::test]
async fn a_way_that_is_cut_to_the_server_leaves_the_way_back() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    line.proxy.begin(Fault::CutUp);
    client.write_all(b"up").await.unwrap();
    server.write_all(b"down").await.unwrap();
    expect(&mut client, "down").await;
    assert_silent(&mut server).await;
    line.proxy.heal();
    expect(&mut server, "up").await;
}

#[tokio::test]
async fn a_way_that_is_cut_from_the_server_leaves_the_way_to_it() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    line.proxy.begin(Fault::CutDown);
    client.write_all(b"up").await.unwrap();
    server.write_all(b"down").await.unwrap();
    expect(&mut server, "up").await;
    assert_silent(&mut client).await;
    line.proxy.heal();
    expect(&mut client, "down").await;
}

#[tokio::test]
async fn a_black_hole_lets_nothing_through_and_closes_nothing() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    line.proxy.begin(Fault::BlackHole);
    client.write_all(b"up").await.unwrap();
    server.write_all(b"down").await.unwrap();
    assert_silent(&mut client).await;
    assert_silent(&mut server).await;
    let mut late = line.client().await;
    late.write_all(b"late").await.unwrap();
    assert!(timeout(HELD, line.listener.accept()).await.is_err(), "a new connection leads somewhere");
    line.proxy.heal();
    expect(&mut client, "down").await;
    expect(&mut server, "up").await;
    expect(&mut line.listener.accept().await.unwrap().0, "late").await;
}

#[tokio::test]
async fn a_reset_is_seen_at_both_ends_and_spares_later_connections() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    client.write_all(b"before").await.unwrap();
    expect(&mut server, "before").await;
    line.proxy.reset_present();
    for stream in [&mut client, &mut server] {
        let error = timeout(DEADLINE, stream.read_u8()).await.expect("an end").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let (mut client, mut server) = line.pair().await;
    client.write_all(b"after").await.unwrap();
    expect(&mut server, "after").await;
}

#[tokio::test]
async fn what_is_sliced_arrives_piece_by_piece() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    line.proxy.begin(Fault::Slice);
    let sent = "0123456789".repeat(100);
    client.write_all(sent.as_bytes()).await.unwrap();
    let (mut got, mut pieces, mut buffer) = (Vec::new(), 0, vec![0; sent.len()]);
    while got.len() < sent.len() {
        let length = timeout(DEADLINE, server.read(&mut buffer)).await.unwrap().unwrap();
        got.extend_from_slice(&buffer[..length]);
        pieces += 1;
    }
    assert_eq!(String::from_utf8(got).unwrap(), sent);
    assert!(pieces > 10, "it arrived in {pieces} pieces");
}

#[tokio::test]
async fn a_narrow_way_takes_its_time() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    line.proxy.begin(Fault::Bandwidth(NonZeroU32::new(20_000).unwrap()));
    let (began, sent) = (Instant::now(), "x".repeat(10_000));
    client.write_all(sent.as_bytes()).await.unwrap();
    expect(&mut server, &sent).await;
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_end_of_one_way_is_passed_on_and_the_other_goes_on() {
    let line = Line::new().await;
    let (mut client, mut server) = line.pair().await;
    client.write_all(b"all").await.unwrap();
    client.shutdown().await.unwrap();
    let mut got = String::new();
    timeout(DEADLINE, server.read_to_string(&mut got)).await.unwrap().unwrap();
    server.write_all(b"answer").await.unwrap();
    assert_eq!(got, "all");
    expect(&mut client, "answer").await;
}
