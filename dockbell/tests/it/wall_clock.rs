//! The wall clock of a running Dockbell is set forth and back: windows close and retries come as if nothing happened.

use std::path::Path;
use std::time::Duration;

use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_testkit::receiver::{Answer, Receiver, Recorded};
use dockbell_testkit::wait;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::Instant;

use crate::calls::push;
use crate::payload::{event_ids, json};
use crate::process::Home;

/// By how many seconds the clock is off: from when a window is open on, and from when a retry waits on.
const OFF: [(i64, i64); 3] = [(-3_600, -3_300), (83_100, 79_500), (79_200, -7_200)];
const PAUSE: Duration = Duration::from_secs(1);
/// Beyond the pause, with room for a slow machine.
const ROOM: Duration = Duration::from_secs(5);
/// How far the time of a signature may be from that of the clock.
const NEAR: i64 = 10;

/// A clock to preload, and the file that sets it.
struct WallClock {
    folder: TempDir,
}

impl WallClock {
    async fn make() -> Self {
        let folder = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wall_clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("wall_clock.so")).arg(source);
        assert!(compiler.status().await.expect("a C compiler").success());
        let clock = Self { folder };
        clock.set(0);
        clock
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Nobody reads half of it.
    fn set(&self, off_by: i64) {
        std::fs::write(self.path("next"), off_by.to_string()).unwrap();
        std::fs::rename(self.path("next"), self.path("off")).unwrap();
    }

    fn home(&self) -> Home {
        Home::new().with("LD_PRELOAD", &self.path("wall_clock.so")).with("WALL_CLOCK", &self.path("off"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wall_clock_that_is_set_changes_neither_windows_nor_retries() {
    let (clock, receiver) = (WallClock::make().await, Receiver::start().await);
    let home = clock.home().with("DOCKBELL_DELIVERY_SCHEDULE", "1s,1s");
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("*", "batch", &receiver.url("/"))).await;
    for (index, (with_window, with_retry)) in OFF.into_iter().enumerate() {
        let (event, later) = (format!("e-{index}"), format!("later-{index}"));
        receiver.answer_with(vec![Answer::Status(500)]);
        let reported = Instant::now();
        dockbell.caller.report(&push(&event, &format!("team/app-{index}"), "t")).await;
        clock.set(with_window);
        let first = arrived(&receiver, &event, 1).await;
        assert!(first.at - reported < ROOM, "{with_window}: {:?}", first.at - reported);
        assert_signed_at(&first, with_window);
        // When another one is here that came after it, its retry waits.
        dockbell.caller.report(&push(&later, &format!("team/later-{index}"), "t")).await;
        arrived(&receiver, &later, 1).await;
        clock.set(with_retry);
        let second = arrived(&receiver, &event, 2).await;
        let pause = second.at - first.at;
        eprintln!("the clock is off by {with_window} s, then {with_retry} s: the retry comes after {pause:?}");
        assert!((PAUSE..PAUSE + ROOM).contains(&pause), "{with_retry}: {pause:?}");
        assert_eq!(second.body, first.body);
        assert_signed_at(&second, with_retry);
    }
    let ended = dockbell.stop_well().await;
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// The request of that number among those that tell `event`, from 1.
async fn arrived(receiver: &Receiver, event: &str, number: usize) -> Recorded {
    let found = async || {
        let tells = |request: &Recorded| event_ids(&json(request)).iter().any(|id| id == event);
        receiver.requests().into_iter().filter(tells).nth(number - 1)
    };
    wait::until(&format!("request {number} of {event}"), found).await
}

fn assert_signed_at(request: &Recorded, off_by: i64) {
    let signed: i64 = request.headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    let shown = SystemClock.now().as_second() + off_by;
    assert!((signed - shown).abs() < NEAR, "signed at {signed}, while the clock shows {shown}");
}
