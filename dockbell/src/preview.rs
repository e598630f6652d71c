//! `dockbell preview`: what a webhook would be sent of an event, without sending it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use clap::builder::PossibleValuesParser;
use dockbell_producer::fold::fold;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::batch::Batch;
use dockbell_proto::event::Event;
use dockbell_proto::ids::SourceName;
use dockbell_proto::input::{Disposition, Headers, Ignored, InputFormat, decode};
use dockbell_proto::options::Options;
use dockbell_proto::output::{RenderError, Rendered, render};
use dockbell_proto::placeholder::{check_placeholders, expand};
use dockbell_proto::target::{TargetError, TargetUrl};
use dockbell_proto::webhook::Format;
use jiff::Timestamp;

use crate::webhooks::options::option;
use crate::webhooks::policy::{Member, members};

/// The longest event that is read, in bytes: what an intake takes.
const EVENT_LIMIT: u64 = 4 * 1024 * 1024;
/// The source that the event is from, as far as a format tells it.
const SOURCE: &str = "preview";

/// What to show.
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[derive(Debug, clap::Args)]
pub(crate) struct Preview {
    /// The body that the receiver understands
    #[arg(long, value_parser = PossibleValuesParser::new(Format::ALL.map(Format::as_str)))]
    format: String,
    /// An option of the format, such as repo_name=qualified, or source=@FILE for the text of a file; may be given
    /// several times
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<Member>,
    /// The URL of the webhook, whose placeholders are filled in
    #[arg(long)]
    url: Option<String>,
    /// What the event on standard input is
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = PossibleValuesParser::new(InputFormat::ALL.map(InputFormat::as_str)))]
    source: String,
}

/// Nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreviewError {
    #[error("the event cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the event is larger than {EVENT_LIMIT} bytes")]
    TooLarge,
    #[error("{0}")]
    Event(String),
    #[error("nothing would be sent: {0}")]
    Nothing(&'static str),
    #[error("{0}")]
    Options(String),
    #[error("{0}")]
    Url(String),
    #[error("nothing would be sent: {0}")]
    Render(#[from] RenderError),
    #[error("nothing would be sent: {0}")]
    Target(#[from] TargetError),
    #[error("the preview cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Preview {
    /// Reads an event and writes every POST that follows from it, as of `now`.
    pub(crate) fn run(&self, input: impl Read, output: &mut impl Write, now: Timestamp) -> Result<(), PreviewError> {
        let format = Format::parse(&self.format).unwrap_or(Format::Batch);
        let options =
            Options::default().changed(format, format, &members(&self.options)).map_err(PreviewError::Options)?;
        check_placeholders(self.url.as_deref().unwrap_or_default()).map_err(PreviewError::Url)?;
        let source = InputFormat::parse(&self.source).unwrap_or_default();
        let batches = batches(source, &read(input)?, now)?;
        for (number, content) in contents(format.tags_at_once(&options), &batches).iter().enumerate() {
            let rendered = render(format, &options, content, (content.opened_at, ""))?;
            if number > 0 {
                writeln!(output, "\n")?;
            }
            writeln!(output, "POST {}", self.target(content)?)?;
            write_rest(output, &rendered)?;
        }
        Ok(())
    }

    /// The URL as it would be called, if there is one. Which addresses are allowed is for the deliverer to say.
    fn target(&self, content: &Batch) -> Result<String, PreviewError> {
        let Some(url) = &self.url else { return Ok("(the URL of the webhook)".to_owned()) };
        Ok(TargetUrl::parse(&expand(url, content), &AddressPolicy::permitting_all())?.expose().to_string())
    }
}

fn read(input: impl Read) -> Result<Vec<u8>, PreviewError> {
    let mut body = Vec::new();
    input.take(EVENT_LIMIT + 1).read_to_end(&mut body).map_err(PreviewError::Unreadable)?;
    if body.len() as u64 > EVENT_LIMIT { Err(PreviewError::TooLarge) } else { Ok(body) }
}

/// What the events of a body come to, as if they were all of one window.
fn batches(format: InputFormat, body: &[u8], now: Timestamp) -> Result<Vec<Batch>, PreviewError> {
    let entries = decode(format, &Headers::default(), body).map_err(|error| PreviewError::Event(error.to_string()))?;
    let source = SourceName::parse(SOURCE).map_err(|error| PreviewError::Event(error.to_string()))?;
    let mut repositories: BTreeMap<(String, String), Vec<Event>> = BTreeMap::new();
    let mut why = "the event tells of nothing";
    for entry in entries {
        let disposition = entry.map_or_else(Disposition::Rejected, |report| report.into_disposition(&source, None));
        match disposition {
            Disposition::Event(event) => {
                let event = Event { received_at: event.received_at.or(Some(now)), ..*event };
                let repository = (event.registry.to_string(), event.repository.to_string());
                repositories.entry(repository).or_default().push(event);
                why = "the event names no tag, and webhooks ring for tags";
            }
            Disposition::Ignored(Ignored::Action) => why = "the event is not about a push",
            Disposition::Ignored(Ignored::Blob) => why = "the event is about a blob, not about a manifest",
            Disposition::Rejected(reason) => why = reason,
        }
    }
    let found: Vec<Batch> = repositories.values().filter_map(|events| fold(events, now, now).batch).collect();
    if found.is_empty() { Err(PreviewError::Nothing(why)) } else { Ok(found) }
}

/// What each POST is about.
fn contents(tags_at_once: usize, batches: &[Batch]) -> Vec<Batch> {
    let mut contents = Vec::new();
    for batch in batches {
        contents.extend(batch.changes.chunks(tags_at_once).map(|changes| batch.with(changes.to_vec())));
    }
    contents
}

fn write_rest(output: &mut impl Write, rendered: &Rendered) -> io::Result<()> {
    for (name, value) in &rendered.headers {
        writeln!(output, "{name}: {value}")?;
    }
    writeln!(output, "content-length: {}\n", rendered.body.len())?;
    output.write_all(&rendered.body)?;
    writeln!(output)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        preview: Preview,
    }

    const EVENT: &str = r#"{"schema":"dockbell.event/1","id":"e1","source":"lab","registry":"hub.test","repository":"team/app","tag":"1.0"}"#;

    fn preview(arguments: &[&str], event: &str) -> Result<String, String> {
        let line = Line::try_parse_from([&["preview"], arguments].concat()).map_err(|error| error.to_string())?;
        let mut output = Vec::new();
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        line.preview.run(event.as_bytes(), &mut output, now).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_preview_shows_what_would_be_sent() {
        let shown = preview(&["--format", "keel", "--url", "https://keel.test/{repository}?tag={tag}"], EVENT).unwrap();
        let (head, body) = shown.split_once("\n\n").unwrap();
        assert!(
            head.starts_with("POST https://keel.test/team%2Fapp?tag=1.0\ncontent-type: application/json\n"),
            "{head}"
        );
        assert_eq!(body, "{\"name\":\"hub.test/team/app\",\"tag\":\"1.0\"}\n");
        let qualified = preview(&["--format", "dockerhub", "--option", "repo_name=qualified"], EVENT).unwrap();
        assert!(qualified.contains("\"repo_name\":\"hub.test/team/app\""), "{qualified}");
        let empty = preview(&["--format", "empty", "--url", "https://a.test/{tag}"], EVENT).unwrap();
        assert!(empty.starts_with("POST https://a.test/1.0\n") && empty.contains("content-length: 0"), "{empty}");
    }

    #[test]
    fn one_post_is_shown_for_each_tag_of_what_a_registry_sends() {
        let event = r#"{"repository":"team/app","namespace":"team","name":"app","docker_url":"quay.test/team/app",
            "homepage":"https://quay.test","updated_tags":["1","2"]}"#;
        let count = |format| preview(&["--format", format], event).unwrap().matches("POST ").count();
        assert_eq!((count("keel"), count("batch")), (2, 1));
        assert!(preview(&["--format", "keel", "--source", "harbor"], event).unwrap_err().contains("event_data"));
    }

    #[test]
    fn what_cannot_be_shown_is_told_with_its_reason() {
        for (arguments, event, part) in [
            (&["--format", "keel"][..], "{", "the body is not JSON"),
            (&["--format", "keel"], "{}", "tells of nothing"),
            (&["--format", "keel", "--option", "a=b"], EVENT, "has no option"),
            (&["--format", "keel", "--url", "https://{tag}/"], EVENT, "before its path"),
            (&["--format", "keel", "--url", "ftp://a/"], EVENT, "must start with http"),
            (&["--format", "template"], EVENT, "set its option source"),
            (&["--format", "template", "--option", "source={{"], EVENT, "line 1"),
            (&["--format", "xml"], EVENT, "invalid value"),
        ] {
            let error = preview(arguments, event).unwrap_err();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }
}
