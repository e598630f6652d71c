//! What people decided about dead letters.

use jiff::Timestamp;

use crate::store::StoreError;
use crate::store::marks::{Decision, LetterId, MARKS_KEPT, Mark};

use super::counters::Counted;
use super::values;

impl Counted<'_> {
    /// Notes what is decided now.
    pub(super) async fn mark_dead(&self, letters: &[LetterId], decision: Decision) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.mark_dead)?;
        for letter in letters {
            call.key(self.mark_key(letter));
        }
        let now = self.now.as_microsecond();
        let expires_at = now.saturating_add(values::micros(MARKS_KEPT));
        call.arg(format!("{expires_at} {} {now}", decision.as_str())).arg(values::bound_ms(MARKS_KEPT));
        self.side.call(&call).await
    }

    /// What was decided about each and has not expired, in the order asked.
    pub(super) async fn dead_marks(&self, letters: &[LetterId]) -> Result<Vec<Option<Mark>>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.settled)?;
        for letter in letters {
            call.key(self.mark_key(letter));
        }
        call.arg(self.now.as_microsecond());
        let marks: Vec<Option<String>> = self.side.call(&call).await?;
        marks.iter().map(|text| text.as_deref().map(read).transpose()).collect()
    }

    fn mark_key(&self, letter: &LetterId) -> String {
        let LetterId { position, at } = letter;
        self.side.key(format_args!("dead-mark:{position}.{}", at.as_microsecond()))
    }
}

fn read(text: &str) -> Result<Mark, StoreError> {
    let wrong = || values::unreadable("mark of a dead letter", "it has another form");
    let (decision, at) = text.split_once(' ').ok_or_else(wrong)?;
    let at: i64 = at.parse().map_err(|_| wrong())?;
    let at = Timestamp::from_microsecond(at).map_err(|_| wrong())?;
    Ok(Mark { decision: Decision::parse(decision).ok_or_else(wrong)?, at })
}
