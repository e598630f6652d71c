//! A message for a webhook of Discord.
//!
//! Source: <https://docs.discord.com/developers/resources/webhook#execute-webhook>. `allowed_mentions` without kinds keeps
//! every mention from calling anybody; in its Markdown a backslash takes the meaning from a sign.

use jiff::Timestamp;
use serde::Serialize;

use super::Rendered;
use super::chat::{Line, Message};
use crate::batch::{Batch, Change};

/// The longest title that Discord takes, in characters.
const TITLE: usize = 256;

#[derive(Serialize)]
struct Payload {
    embeds: [Embed; 1],
    allowed_mentions: Mentions,
}

#[derive(Serialize)]
struct Embed {
    title: String,
    description: String,
    url: String,
    timestamp: Timestamp,
}

#[derive(Serialize)]
struct Mentions {
    parse: [&'static str; 0],
}

pub(super) fn render(content: &Batch, newest: &Change) -> Rendered {
    let message = Message::of(content, newest);
    let line = |line: &Line| format!("`{}` {}", line.tag, line.details).trim_end().to_owned();
    let lines = message.lines.iter().map(line).chain(message.rest()).collect::<Vec<_>>().join("\n");
    let title = escaped(&message.heading);
    let embed = Embed { title, description: lines, url: message.url, timestamp: message.at };
    let payload = Payload { embeds: [embed], allowed_mentions: Mentions { parse: [] } };
    Rendered::json(&payload)
}

/// The text with a backslash before each sign of Markdown, as much of it as fits.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        let is_sign = c.is_ascii_punctuation() && !matches!(c, '.' | ',' | '/' | ':');
        if escaped.chars().count() + 2 > TITLE {
            break;
        }
        escaped.extend(is_sign.then_some('\\'));
        escaped.push(c);
    }
    escaped
}
