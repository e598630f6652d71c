//! A card for a workflow of Microsoft Teams that posts what its webhook receives.
//!
//! Source: <https://adaptivecards.io/explorer/> (schema 1.4) and Microsoft's *Create incoming webhooks with Workflows*. Text
//! runs of a `RichTextBlock` are not parsed as Markdown.

use serde::Serialize;
use serde_json::{Value, json};

use super::Rendered;
use super::chat::{Line, Message};
use crate::batch::{Batch, Change};

#[derive(Serialize)]
struct Payload {
    r#type: &'static str,
    attachments: [Value; 1],
}

pub(super) fn render(content: &Batch, newest: &Change) -> Rendered {
    let message = Message::of(content, newest);
    let heading = block(&[json!({ "type": "TextRun", "text": message.heading, "weight": "Bolder" })]);
    let rest = message.rest().map(|rest| block(&[json!({ "type": "TextRun", "text": rest })]));
    let body: Vec<Value> = [heading].into_iter().chain(message.lines.iter().map(listed)).chain(rest).collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{ "type": "Action.OpenUrl", "title": "Open the repository", "url": message.url }],
    });
    let attachment =
        json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    Rendered::json(&Payload { r#type: "message", attachments: [attachment] })
}

fn listed(line: &Line) -> Value {
    let tag = json!({ "type": "TextRun", "text": line.tag, "fontType": "Monospace" });
    block(&[tag, json!({ "type": "TextRun", "text": format!(" {}", line.details), "isSubtle": true })])
}

fn block(runs: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": runs })
}
