//! One direction of one connection.

use std::io;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::faults::Faults;

const PART: usize = 16 * 1024;
/// Parts on their way: enough for any latency of a test, and few enough that a sender is held up in the end.
const PARTS: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

pub(super) struct Way {
    direction: Direction,
    number: usize,
    faults: watch::Receiver<Faults>,
}

/// What is on its way.
struct Part {
    bytes: Vec<u8>,
    /// When it arrives at the earliest.
    due: Instant,
}

impl Way {
    pub(super) fn new(direction: Direction, number: usize, faults: watch::Receiver<Faults>) -> Self {
        Self { direction, number, faults }
    }

    /// Carries what comes until its end, which is passed on too.
    pub(super) async fn carry(&self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(PARTS);
        tokio::try_join!(self.read(from, sender), self.write(receiver, to)).map(drop)
    }

    async fn read(&self, mut from: ReadHalf<'_>, parts: mpsc::Sender<Part>) -> io::Result<()> {
        let (mut buffer, mut rng) = (vec![0; PART], None);
        loop {
            let length = from.read(&mut buffer).await?;
            let bytes = buffer.get(..length).unwrap_or_default().to_vec();
            if bytes.is_empty() {
                return Ok(());
            }
            self.until_released(&bytes).await?;
            let due = Instant::now() + self.latency(&mut rng);
            parts.send(Part { bytes, due }).await.map_err(io::Error::other)?;
        }
    }

    async fn write(&self, mut parts: mpsc::Receiver<Part>, mut to: WriteHalf<'_>) -> io::Result<()> {
        while let Some(part) = parts.recv().await {
            sleep_until(part.due).await;
            self.until_whole().await?;
            self.pass(&part.bytes, &mut to).await?;
        }
        self.until_whole().await?;
        to.shutdown().await
    }

    async fn pass(&self, bytes: &[u8], to: &mut WriteHalf<'_>) -> io::Result<()> {
        let (slices, bandwidth) = {
            let faults = self.faults.borrow();
            (faults.slices, faults.bandwidth)
        };
        for slice in bytes.chunks(if slices { 1 } else { PART }) {
            if let Some(per_second) = bandwidth {
                let length = u32::try_from(slice.len()).unwrap_or(u32::MAX);
                sleep(Duration::from_secs(length.into()) / per_second.get()).await;
            }
            to.write_all(slice).await?;
            yield_now().await;
        }
        Ok(())
    }

    async fn until_released(&self, bytes: &[u8]) -> io::Result<()> {
        let is_held = self.faults.borrow().hold.as_ref().is_some_and(|hold| hold.holds(self.number, bytes));
        if self.direction == Direction::Up && is_held {
            self.faults.clone().wait_for(|faults| faults.hold.is_none()).await.map_err(io::Error::other)?;
        }
        Ok(())
    }

    async fn until_whole(&self) -> io::Result<()> {
        let is_whole = |faults: &Faults| match self.direction {
            Direction::Up => !faults.cuts_up,
            Direction::Down => !faults.cuts_down,
        };
        self.faults.clone().wait_for(is_whole).await.map(drop).map_err(io::Error::other)
    }

    fn latency(&self, rng: &mut Option<StdRng>) -> Duration {
        let way = self.number as u64 * 2 + u64::from(self.direction == Direction::Down);
        let latency = self.faults.borrow().latency.clone();
        latency.map_or(Duration::ZERO, |latency| latency.draw(rng.get_or_insert_with(|| latency.rng(way))))
    }
}
