//! Points at which a test ends a process at once, as a power cut would, or lets the work there panic.
//!
//! Without the feature `failpoints`, which only the tests of `dockbell` switch on, nothing is left of them.

#[cfg(feature = "failpoints")]
pub use armed::{begun, reach};
#[cfg(not(feature = "failpoints"))]
pub use unarmed::{begun, reach};

#[cfg(not(feature = "failpoints"))]
mod unarmed {
    /// Does nothing.
    #[inline]
    pub fn reach(_: &str) {}

    /// Returns the future.
    #[inline]
    pub fn begun<F: Future>(_: &str, future: F) -> F {
        future
    }
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::pin::pin;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::Poll;

    use crate::config::failpoint;

    /// Where this process ends. One process has one end, so a static is enough.
    static END: LazyLock<Option<End>> = LazyLock::new(|| End::parse(&failpoint()?));

    /// A point, the passage that counts, and what happens then.
    #[derive(Debug)]
    pub(super) struct End {
        point: String,
        passage: u64,
        panics: bool,
        passed: AtomicU64,
    }

    impl End {
        /// Reads `point:passage`, or `point:passage:panic`.
        pub(super) fn parse(text: &str) -> Option<Self> {
            let (text, panics) = text.strip_suffix(":panic").map_or((text, false), |text| (text, true));
            let (point, passage) = text.split_once(':')?;
            Some(Self { point: point.to_owned(), passage: passage.parse().ok()?, panics, passed: AtomicU64::new(0) })
        }

        /// Whether only the work that passes panics.
        pub(super) fn panics(&self) -> bool {
            self.panics
        }

        /// Notes that `point` is passed, and says whether that is the end.
        pub(super) fn is_at(&self, point: &str) -> bool {
            self.point == point && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.passage
        }
    }

    /// Ends the process if `FAILPOINT` is `point:n` and this is the n-th passage, counted from 1; with
    /// `point:n:panic` it panics.
    ///
    /// # Panics
    /// If it is to.
    pub fn reach(point: &str) {
        let Some(end) = END.as_ref().filter(|end| end.is_at(point)) else { return };
        assert!(!end.panics(), "on purpose: {point}");
        std::process::abort();
    }

    /// Reaches `point` when `future` has begun and has to wait.
    pub async fn begun<F: Future>(point: &str, future: F) -> F::Output {
        let (mut future, mut has_begun) = (pin!(future), false);
        std::future::poll_fn(|context| {
            let poll: Poll<F::Output> = future.as_mut().poll(context);
            if poll.is_pending() && !std::mem::replace(&mut has_begun, true) {
                reach(point);
            }
            poll
        })
        .await
    }
}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use super::armed::End;

    #[test]
    fn the_end_is_the_passage_that_was_asked_for() {
        let end = End::parse("sealed:2").unwrap();
        assert_eq!(["sealed", "stored", "sealed", "sealed"].map(|point| end.is_at(point)), [false, false, true, false]);
    }

    #[test]
    fn an_end_is_a_panic_only_if_it_says_so() {
        let ends = ["sealed:1", "sealed:1:panic"].map(|text| End::parse(text).unwrap());
        assert!(ends.iter().all(|end| end.is_at("sealed")));
        assert_eq!(ends.map(|end| end.panics()), [false, true]);
    }

    #[test]
    fn what_names_no_passage_ends_nothing() {
        assert!(
            ["", "sealed", "sealed:", "sealed:often", "sealed:panic"].iter().all(|text| End::parse(text).is_none())
        );
    }
}
