//! What people are told in a chat: one message for a batch. Names come from strangers, so each chat gets them where it
//! parses nothing, and where it does, only texts that hold none of its signs.

use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::size;
use crate::batch::{Batch, Change};
use crate::names::Digest;

/// How many tags a message lists: with them the text of all stays below 3,000 characters, which is as much as Slack takes.
const LISTED: usize = 10;
/// How many platforms a line lists.
const PLATFORMS: usize = 4;
/// The longest name that is shown, in characters.
const NAME: usize = 200;
/// How much of the digest is shown: as much as `docker images` does.
const DIGEST: usize = 12;
/// What of a path stands as it is in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-').remove(b'/');
/// What of a host does.
const HOST: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'_').remove(b'-').remove(b':').remove(b'[').remove(b']');

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    /// The sentence that says what happened. It holds names as they are, but for what would change how a text is read.
    pub(super) heading: String,
    /// The tags, newest first.
    pub(super) lines: Vec<Line>,
    /// How many tags are not listed.
    pub(super) unlisted: usize,
    /// Where the repository is.
    pub(super) url: String,
    /// When the newest of them was pushed.
    pub(super) at: Timestamp,
}

/// One tag: letters, digits and `_.-/:,` alone, besides blanks.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) tag: String,
    /// The beginning of its digest, the platforms and the size, as far as they are known.
    pub(super) details: String,
}

impl Message {
    /// What there is to say of `content`, whose newest change is `newest`.
    pub(super) fn of(content: &Batch, newest: &Change) -> Self {
        let mut changes: Vec<&Change> = content.changes.iter().collect();
        changes.sort_by(|a, b| b.order.cmp(&a.order));
        let path = utf8_percent_encode(content.repository.as_str(), PATH);
        let host = utf8_percent_encode(content.registry.as_str(), HOST);
        Self {
            heading: heading(content, newest),
            lines: changes.iter().take(LISTED).map(|change| line(change)).collect(),
            unlisted: changes.len().saturating_sub(LISTED),
            url: format!("https://{host}/{path}"),
            at: newest.pushed_at,
        }
    }

    /// What is not listed, in words.
    pub(super) fn rest(&self) -> Option<String> {
        (self.unlisted > 0).then(|| format!("and {} more", self.unlisted))
    }
}

fn heading(content: &Batch, newest: &Change) -> String {
    let what = match content.changes.as_slice() {
        [change] => change.tag.to_string(),
        changes => format!("{} tags", changes.len()),
    };
    let were = if content.changes.len() == 1 { "was" } else { "were" };
    let image = plain(&format!("{}/{}", content.registry, content.repository));
    let is_alone = content.changes.iter().all(|change| change.pusher == newest.pusher);
    match newest.pusher.as_deref().filter(|_| is_alone) {
        Some(pusher) => format!("{} pushed {what} to {image}", plain(pusher)),
        None => format!("{what} {were} pushed to {image}"),
    }
}

fn line(change: &Change) -> Line {
    let mut details = Vec::new();
    details.extend(change.digest.as_ref().map(short));
    details.extend(platforms(change));
    // The size of a manifest alone says nothing of what it names.
    let is_known = size::of_blobs(change) > 0;
    details.extend(is_known.then(|| amount(size::of_all(change))));
    Line { tag: change.tag.to_string(), details: details.join(", ") }
}

fn short(digest: &Digest) -> String {
    let text = digest.as_str();
    let end = text.find(':').map_or(text.len(), |colon| colon + 1 + DIGEST);
    text.get(..end).unwrap_or(text).to_owned()
}

fn platforms(change: &Change) -> Option<String> {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let known = change.children.iter().filter_map(|child| child.platform.as_deref());
    let known: Vec<String> =
        known.map(|platform| platform.chars().filter(|c| is_sign(*c)).take(32).collect()).collect();
    let mut text = known.get(..PLATFORMS.min(known.len()))?.join(" ");
    if known.len() > PLATFORMS {
        write!(text, " and {} more", known.len() - PLATFORMS).ok()?;
    }
    (!text.is_empty()).then_some(text)
}

/// A number of bytes as people write it.
fn amount(bytes: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A name without what is not seen or turns the direction of a text around, and not too long.
fn plain(name: &str) -> String {
    let is_unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{e0000}'..='\u{e007f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    name.chars().map(|c| if is_unseen(c) { '\u{fffd}' } else { c }).take(NAME).collect()
}
