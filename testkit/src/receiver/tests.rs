use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

const SHORT: Duration = Duration::from_millis(200);

async fn post(receiver: &Receiver, target: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(receiver.addr()).await.unwrap();
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: a\r\nx-b: c\r\ncontent-length: {length}\r\nconnection: close\r\n");
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    stream
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn status(receiver: &Receiver, target: &str) -> String {
    let text = read_all(post(receiver, target, "").await).await;
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn requests_are_recorded_as_they_were_sent() {
    let receiver = Receiver::start().await;
    assert_eq!(receiver.url("/a"), format!("http://{}/a", receiver.addr()));
    let answer = read_all(post(&receiver, "/a?b=%20", "{}").await).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let requests = receiver.wait_for(1).await;
    assert_eq!(requests[0].method, Method::POST);
    assert_eq!(requests[0].path_and_query, "/a?b=%20");
    assert_eq!(requests[0].headers["x-b"], "c");
    assert_eq!(requests[0].body, "{}");
}

#[tokio::test]
async fn answers_follow_the_script_and_then_are_200() {
    let receiver = Receiver::start().await;
    receiver.answer_with(vec![Answer::Status(503), Answer::Status(410)]);
    receiver.answer_at("/own", vec![Answer::Status(401)]);
    receiver.answer_always_at("/always", Answer::Status(500));
    assert_eq!(status(&receiver, "/always").await, "500");
    assert_eq!(status(&receiver, "/own?a=b").await, "401");
    assert_eq!(status(&receiver, "/own").await, "503");
    assert_eq!(status(&receiver, "/").await, "410");
    assert_eq!(status(&receiver, "/").await, "200");
    receiver.answer_always(Answer::Status(404));
    assert_eq!(status(&receiver, "/").await, "404");
    assert_eq!(status(&receiver, "/always").await, "500");
}

#[tokio::test]
async fn answers_have_headers_and_bodies() {
    let receiver = Receiver::start().await;
    let retry_after = vec![("retry-after", "7".to_owned())];
    receiver.answer_with(vec![
        Answer::StatusWithHeaders(429, retry_after),
        Answer::StatusWithBody(400, "no such tag".to_owned()),
        Answer::Late(Duration::from_millis(1), 204),
    ]);
    let first = read_all(post(&receiver, "/", "").await).await;
    assert!(first.starts_with("HTTP/1.1 429") && first.contains("retry-after: 7\r\n"), "{first}");
    let second = read_all(post(&receiver, "/", "").await).await;
    assert!(second.ends_with("no such tag"), "{second}");
    assert_eq!(status(&receiver, "/").await, "204");
}

#[tokio::test]
async fn a_receiver_can_misbehave() {
    let receiver = Receiver::start().await;
    receiver.answer_with(vec![Answer::Close, Answer::Hang, Answer::SlowBody, Answer::EndlessBody]);
    assert_eq!(read_all(post(&receiver, "/", "").await).await, "");

    let hanging = timeout(SHORT, read_all(post(&receiver, "/", "").await)).await;
    assert!(hanging.is_err(), "{hanging:?}");

    for least in [3, 1_000_000] {
        let mut stream = post(&receiver, "/", "").await;
        let mut bytes = vec![0; 200 + least];
        timeout(wait::DEADLINE, stream.read_exact(&mut bytes[..100])).await.unwrap().unwrap();
        assert!(bytes.starts_with(b"HTTP/1.1 200"));
        timeout(wait::DEADLINE, stream.read_exact(&mut bytes[100..])).await.unwrap().unwrap();
    }
    assert_eq!(receiver.requests().len(), 4);
}

#[tokio::test]
async fn a_dropped_receiver_closes_its_connections() {
    let receiver = Receiver::start().await;
    receiver.answer_always(Answer::Hang);
    let stream = post(&receiver, "/", "").await;
    receiver.wait_for(1).await;
    let address = receiver.addr();
    drop(receiver);
    assert_eq!(timeout(wait::DEADLINE, read_all(stream)).await.unwrap(), "");
    assert!(TcpStream::connect(address).await.is_err());
}
