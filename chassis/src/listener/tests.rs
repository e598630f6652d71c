use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

/// A listener under test, with the shutdown that ends it.
struct Served {
    address: SocketAddr,
    shutdown: Shutdown,
    serving: JoinSet<Result<(), BoxError>>,
}

async fn serve(router: Router) -> Served {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = listener.local_addr();
    let shutdown = Shutdown::never();
    let mut serving = JoinSet::new();
    serving.spawn(listener.serve(router, shutdown.clone()));
    Served { address, shutdown, serving }
}

impl Served {
    async fn connect(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ended(mut self) {
        self.serving.join_next().await.unwrap().unwrap().unwrap();
    }
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset counts as an end: what matters is that the connection is over.
    match stream.read_to_end(&mut text).await {
        Ok(_) | Err(_) => String::from_utf8(text).unwrap(),
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test]
async fn handlers_learn_who_asks() {
    let who = |ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.to_string() };
    let served = serve(Router::new().route("/", get(who))).await;
    let stream = served.connect("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let client = stream.local_addr().unwrap().to_string();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&client), "{answer}");
}

#[tokio::test]
async fn the_error_of_a_taken_address_names_it() {
    let first = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let error = Listener::bind(first.local_addr()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().starts_with(&format!("listen on {}: ", first.local_addr())), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_trickles_its_headers_is_cut() {
    let served = serve(Router::new()).await;
    let stream = served.connect("GET / HTTP/1.1\r\nhost: a\r\n").await;
    let start = Instant::now();
    let (mut reader, mut writer) = stream.into_split();
    let mut trickle = JoinSet::new();
    trickle.spawn(async move {
        while writer.write_all(b"x: y\r\n").await.is_ok() {
            sleep(Duration::from_millis(500)).await;
        }
    });
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).await.ok();
    assert!(start.elapsed() < HEADER_LIMIT * 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_trickles_its_body_is_answered_408() {
    let served = serve(Router::new().route("/", post(|body: String| async move { body }))).await;
    let stream = served.connect("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx").await;
    let start = Instant::now();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(start.elapsed() < REQUEST_LIMIT * 2, "{:?}", start.elapsed());
}

#[tokio::test]
async fn more_headers_than_anybody_needs_are_refused() {
    let served = serve(Router::new().route("/", get(|| async {}))).await;
    let headers: String = std::iter::repeat_n("x: a\r\n", MAX_HEADERS + 1).collect();
    let answer = read_all(served.connect(&format!("GET / HTTP/1.1\r\n{headers}\r\n")).await).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

/// A route that says when it was entered, and answers once it may.
fn gated(entered: mpsc::Sender<()>, gate: &Arc<Semaphore>) -> Router {
    let gate = Arc::clone(gate);
    let handler = move || async move {
        entered.send(()).await.unwrap();
        gate.acquire().await.unwrap().forget();
        "done"
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn shutdown_completes_the_request_in_flight_and_accepts_no_other() {
    let (sender, mut entered) = mpsc::channel(1);
    let gate = Arc::new(Semaphore::new(0));
    let served = serve(gated(sender, &gate)).await;
    let stream = served.connect(GET).await;
    entered.recv().await.unwrap();

    served.shutdown.request();
    let refused = async {
        while TcpStream::connect(served.address).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(4), refused).await.unwrap();
    gate.add_permits(1);
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    served.ended().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_does_not_wait_for_ever() {
    let (sender, mut entered) = mpsc::channel(1);
    let gate = Arc::new(Semaphore::new(0));
    let served = serve(gated(sender, &gate)).await;
    let _stream = served.connect(GET).await;
    entered.recv().await.unwrap();
    let start = Instant::now();
    served.shutdown.request();
    served.ended().await;
    assert!(start.elapsed() < DRAIN_LIMIT * 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_does_not_delay_shutdown() {
    let served = serve(Router::new().route("/", get(|| async {}))).await;
    let mut stream = served.connect(GET).await;
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    let start = Instant::now();
    served.shutdown.request();
    served.ended().await;
    assert!(start.elapsed() < DRAIN_LIMIT, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_handler_that_panics_costs_only_its_connection() {
    async fn panics() -> &'static str {
        panic!("on purpose")
    }
    let router = Router::new().route("/", get(|| async {})).route("/panic", get(panics));
    let served = serve(router).await;
    assert_eq!(read_all(served.connect("GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await).await, "");
    let answer = read_all(served.connect("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_room() {
    let served = serve(Router::new().route("/", get(|| async {}))).await;
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        idle.push(served.connect("G").await);
    }
    let mut waiting = served.connect("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let mut first = [0; 12];
    let early = timeout(Duration::from_millis(300), waiting.read_exact(&mut first)).await;
    assert!(early.is_err(), "answered although there was no room");
    drop(idle);
    assert!(read_all(waiting).await.starts_with("HTTP/1.1 200"));
}
