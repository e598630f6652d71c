//! What names a push wherever it comes to light: its number, when it was due, and its run.

use std::fmt;

use jiff::Timestamp;

use crate::sink::Post;

/// The number of a push and when it was due. As text it can be a tag or the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) event: usize,
    pub(crate) due: Timestamp,
}

/// A stamp as it is written, with its run: a word of small letters and digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'a>(pub(crate) Stamp, pub(crate) &'a str);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Stamp { event, due }, run) = self;
        write!(f, "e{event}.{}.{run}", due.as_microsecond())
    }
}

/// What a request says, wherever in it.
pub(crate) fn text_of(post: &Post<'_>) -> String {
    let mut text = String::from_utf8_lossy(post.body).into_owned();
    for value in post.headers.values().filter_map(|value| value.to_str().ok()) {
        text.push(' ');
        text.push_str(value);
    }
    text
}

/// The stamps of a run that a text holds, each once, or those of all runs.
pub(crate) fn find(text: &str, run: Option<&str>) -> Vec<Stamp> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
    let mut found: Vec<Stamp> = Vec::new();
    for stamp in words.filter_map(|word| read(word.trim_end_matches('.'), run)) {
        if !found.contains(&stamp) {
            found.push(stamp);
        }
    }
    found
}

fn read(word: &str, run: Option<&str>) -> Option<Stamp> {
    let (event, rest) = word.strip_prefix('e')?.split_once('.')?;
    let (due, of) = rest.split_once('.')?;
    let is_meant = run.map_or_else(|| !of.is_empty() && !of.contains('.'), |run| run == of);
    let due = Timestamp::from_microsecond(due.parse().ok()?).ok()?;
    is_meant.then_some(Stamp { event: event.parse().ok()?, due })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dockbell_proto::options::Options;
    use dockbell_proto::output::render;
    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample;

    use super::*;

    #[test]
    fn a_push_is_known_again_in_every_format_that_a_scenario_may_have() {
        let stamp = Stamp { event: 17, due: sample::moment() };
        let tag = Written(stamp, "r1").to_string();
        let batch = sample::batch("b", "load/app-1", &[&tag]);
        for format in Format::ALL.into_iter().filter(|format| !matches!(format, Format::Template | Format::Empty)) {
            let sent = render(format, &Options::default(), &batch, (sample::moment(), "")).unwrap();
            let headers: BTreeMap<_, _> = sent.headers.into_iter().collect();
            let text = format!("{headers:?} {}", String::from_utf8(sent.body).unwrap());
            assert_eq!(find(&text, Some("r1")), [stamp], "{format:?}: {text}");
            assert_eq!(find(&text, Some("r2")), [], "{format:?}");
            assert_eq!(find(&text, None), [stamp], "{format:?}");
        }
    }

    #[test]
    fn what_only_looks_like_a_stamp_is_none() {
        for word in ["e1.2", "e.2.r", "e1..r", "e1.2.r.p0", "x1.2.r", "e1.2.", "1.2.3"] {
            assert_eq!(find(word, None), [], "{word}");
        }
    }
}
