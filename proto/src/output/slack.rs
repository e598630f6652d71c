//! A message for an incoming webhook of Slack. Chats that take its payloads but read Markdown and mentions in `text` are
//! not meant: names are escaped for Slack alone.
//!
//! Source: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks> and its *formatting* page: of a text
//! `&`, `<` and `>` are escaped, and only `<…>` makes a mention. A text of type `plain_text` is not parsed.

use serde::Serialize;
use serde_json::{Value, json};

use super::Rendered;
use super::chat::{Line, Message};
use crate::batch::{Batch, Change};

#[derive(Serialize)]
struct Payload {
    /// What notifications show.
    text: String,
    blocks: Vec<Value>,
}

pub(super) fn render(content: &Batch, newest: &Change) -> Rendered {
    let message = Message::of(content, newest);
    let text = |kind: &str, text: &str| json!({ "type": kind, "text": text });
    let heading =
        json!({ "type": "section", "text": { "type": "plain_text", "text": message.heading, "emoji": false } });
    let listed = json!({ "type": "section", "text": text("mrkdwn", &list(&message)) });
    let link = format!("<{}|Open the repository>", message.url);
    let link = json!({ "type": "context", "elements": [text("mrkdwn", &link)] });
    let payload = Payload { text: escaped(&message.heading), blocks: vec![heading, listed, link] };
    Rendered::json(&payload)
}

fn list(message: &Message) -> String {
    let line = |line: &Line| format!("• `{}` {}", line.tag, line.details).trim_end().to_owned();
    message.lines.iter().map(line).chain(message.rest()).collect::<Vec<_>>().join("\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
