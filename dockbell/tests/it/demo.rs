//! What a newcomer sees first.

use std::time::Duration;

use dockbell_proto::webhook::Format;
use dockbell_testkit::wait;
use tokio::time::timeout;

use crate::process::Home;

/// What the README promises.
const PROMISED: Duration = Duration::from_secs(15);

#[tokio::test]
async fn the_demo_shows_a_verified_webhook_in_each_format_and_ends_with_control_c() {
    let home = Home::new().with("DOCKBELL_WINDOW_QUIET", "").with("DOCKBELL_WINDOW_MAX_WAIT", "");
    let demo = home.start(&["up", "--demo"]);
    let shown = async || {
        let stdout = demo.stdout();
        let is_verified = |format: &str| {
            let mut lines =
                stdout.lines().filter(|line| line.contains(&format!("received {format} ")) && line.contains(":1.0 "));
            lines.any(|line| line.contains("signature verified"))
        };
        let mut shown = Format::ALL.into_iter().filter(|format| !matches!(format, Format::Template | Format::Empty));
        shown.all(|format| is_verified(format.as_str())).then_some(())
    };
    let in_time = timeout(PROMISED, wait::until("all formats", shown)).await;
    assert!(in_time.is_ok(), "{}{}", demo.stdout(), demo.stderr());
    demo.signal("INT").await;
    let ended = demo.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.contains("SIGNATURE WRONG"), "{}", ended.stdout);
    assert_eq!(ended.stderr, "");
}
