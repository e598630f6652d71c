//! Frames of AMQP 0-9-1 as they pass by.

use std::io;

use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;

/// What a client sends before its first frame.
const GREETING: &[u8] = b"AMQP";
const GREETING_LENGTH: usize = 8;
/// Type, channel and length before what a frame holds, and a mark behind it.
const AROUND: usize = 8;
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// A method by its class and its number.
pub(super) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
pub(super) const BASIC_CONSUME: (u16, u16) = (60, 20);
pub(super) const BASIC_DELIVER: (u16, u16) = (60, 60);

/// One frame, or the greeting of a client.
#[derive(Debug)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    /// An acknowledgement of a message that was never delivered.
    pub(super) fn false_acknowledgement(channel: u16) -> Self {
        let mut bytes = vec![METHOD];
        bytes.extend(channel.to_be_bytes());
        bytes.extend(13u32.to_be_bytes());
        bytes.extend(60u16.to_be_bytes());
        bytes.extend(80u16.to_be_bytes());
        bytes.extend(u64::from(u32::MAX).to_be_bytes());
        bytes.extend([0, 0xCE]);
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn channel(&self) -> u16 {
        self.number(1)
    }

    pub(super) fn method(&self) -> Option<(u16, u16)> {
        (self.0.first() == Some(&METHOD)).then(|| (self.number(7), self.number(9)))
    }

    /// Whether it belongs to the message of the last method on its channel.
    pub(super) fn is_content(&self) -> bool {
        matches!(self.0.first(), Some(&(HEADER | BODY)))
    }

    /// Why a channel is closed, of the method that closes it.
    pub(super) fn reply_code(&self) -> u16 {
        self.number(11)
    }

    fn number(&self, at: usize) -> u16 {
        self.0
            .get(at..at + 2)
            .map(|bytes| bytes.iter().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
            .unwrap_or_default()
    }
}

/// What is read of a connection, cut into frames.
#[derive(Debug)]
pub(super) struct Frames {
    stream: OwnedReadHalf,
    rest: Vec<u8>,
}

impl Frames {
    pub(super) fn new(stream: OwnedReadHalf) -> Self {
        Self { stream, rest: Vec::new() }
    }

    /// The frames that came next; none when the connection ends. Dropping it loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Vec<Frame>> {
        loop {
            if self.stream.read_buf(&mut self.rest).await? == 0 {
                return Ok(Vec::new());
            }
            let frames: Vec<Frame> = std::iter::from_fn(|| self.take()).collect();
            if !frames.is_empty() {
                return Ok(frames);
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let length = if self.rest.starts_with(GREETING) {
            GREETING_LENGTH
        } else {
            let length = self.rest.get(3..7)?.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
            length + AROUND
        };
        (self.rest.len() >= length).then(|| Frame(self.rest.drain(..length).collect()))
    }
}
