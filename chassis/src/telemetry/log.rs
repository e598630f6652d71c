//! Log lines on their way to stderr, which never make anybody wait.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::LogFormat;

/// Lines that wait while stderr is slow: some seconds of a busy process, a few MiB.
const WAITING_LINES: usize = 8192;

/// Takes log lines; a thread of its own writes them. When too many wait, further ones are counted and
/// lost, because a log that nobody reads must not stop deliveries.
#[derive(Debug, Clone)]
pub(super) struct Log {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Writes events in the given format.
pub(super) fn layer<S>(log: Log, format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(log).with_ansi(false).log_internal_errors(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
    }
}

impl Log {
    pub(super) fn start(output: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let write = move || write_all(&receiver, output, &counter, format);
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(Self { sender, lost })
    }

    /// Returns when every line so far is written; never, if the output hangs.
    pub(super) fn flush(&self) {
        let (sender, done) = sync_channel(1);
        if self.sender.send(Message::Flush(sender)).is_ok() {
            // The thread answers, or it is gone and nothing is left to wait for.
            done.recv().ok();
        }
    }
}

/// Ends when the last sender is gone. An output that refuses lines, such as a pipe that nobody reads any
/// more, is tried again with the next one.
fn write_all(receiver: &Receiver<Message>, mut output: impl Write, lost: &AtomicU64, format: LogFormat) {
    for message in receiver {
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            output.write_all(loss(count, format).as_bytes()).ok();
        }
        match message {
            Message::Line(line) => {
                output.write_all(&line).ok();
            }
            Message::Flush(done) => {
                output.flush().ok();
                done.send(()).ok();
            }
        }
    }
}

fn loss(count: u64, format: LogFormat) -> String {
    match format {
        LogFormat::Text => format!("WARN {count} log lines were lost because stderr is slow\n"),
        LogFormat::Json => {
            format!(
                "{{\"level\":\"WARN\",\"message\":\"log lines were lost because stderr is slow\",\"lost\":{count}}}\n"
            )
        }
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self)
    }
}

/// Takes one event per write.
pub(super) struct LineWriter<'a>(&'a Log);

impl Write for LineWriter<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = Message::Line(one_line(event));
        if let Err(TrySendError::Full(_)) = self.0.sender.try_send(line) {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes control characters, so that what a stranger sent can neither forge a line nor command a
/// terminal. The formatter itself lets some through in fields. The escapes are those of JSON.
fn one_line(event: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(event);
    let mut line = String::with_capacity(event.len());
    for letter in text.strip_suffix('\n').unwrap_or(&text).chars() {
        match letter {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            letter if letter.is_control() => line.extend(json_escape(letter)),
            letter => line.push(letter),
        }
    }
    line.push('\n');
    line.into_bytes()
}

/// Every control character fits into four hexadecimal digits.
fn json_escape(letter: char) -> impl Iterator<Item = char> {
    let code = u32::from(letter);
    let digits = [12, 8, 4, 0].map(|shift| char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0'));
    ['\\', 'u'].into_iter().chain(digits)
}
