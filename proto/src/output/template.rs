//! A body that the owner's own template writes: a part of minijinja's language, bounded in time, memory, recursion and
//! output.
//!
//! Fuel bounds the steps, but not what one step may take: the whole language, with its fuel, was seen to use 800 MB. So
//! there are no variables, lists and maps of the template's own, no functions, no recursion, and only filters that yield
//! no more than they are given. Whatever a template can build is then a part of the batch, or stands in its source.

use std::io;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, filters, tests as tests_of_values};
use serde::Serialize;
use serde::de::IgnoredAny;

use super::batch::{self, Payload, PayloadChange};
use super::{BODY_LIMIT, RenderError, Rendered};
use crate::batch::{Batch, Change};
use crate::options::{ContentType, Options};

/// What a rendering may use: about as many steps, or 64 times as many bytes. It is well above what a body of
/// [`BODY_LIMIT`] needs.
const FUEL: u64 = 300_000;
/// How deep recursion may go: far below what the stack of a thread holds.
const RECURSION: usize = 64;
/// The longest part of an error that is told, in characters.
const SHOWN: usize = 200;

/// The variables: those of `batch`, and `change`, which is the newest of `changes`.
#[derive(Serialize)]
struct Variables<'a> {
    #[serde(flatten)]
    batch: Payload<'a>,
    change: PayloadChange<'a>,
}

pub(super) fn render(options: &Options, content: &Batch, change: &Change) -> Result<Rendered, RenderError> {
    let source = options.source.as_ref().ok_or_else(|| failed("the webhook has no template: set its option source"))?;
    let content_type = options.content_type.as_ref().map_or(ContentType::JSON, ContentType::as_str);
    let is_json = ContentType::is_json(content_type);
    let variables = Variables { batch: batch::payload(content), change: batch::payload_change(content, change) };
    let body = written(source.as_str(), is_json, &variables)?;
    if is_json {
        serde_json::from_slice::<IgnoredAny>(&body).map_err(|error| no_json(&error))?;
    }
    Ok(Rendered::typed(content_type, body))
}

fn written(source: &str, is_json: bool, variables: &Variables<'_>) -> Result<Vec<u8>, RenderError> {
    refuse_values(source)?;
    let mut environment = Environment::empty();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    add_filters_and_tests(&mut environment);
    environment.set_formatter(move |output, _: &mut State<'_, '_>, value| write(output, value, is_json));
    let template = environment.template_from_str(source).map_err(|error| explained(&error))?;
    let mut body = Bounded(Vec::new());
    template.render_captured_to(Value::from(Serde(variables)), &mut body).map_err(|error| explained(&error))?;
    Ok(body.0)
}

/// The statements that there are.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];
/// The longest tag, in bytes, and the most statements: a chain of operators or of `elif` is compiled by recursion, and
/// must not exhaust the stack.
const TAG_LIMIT: usize = 512;
const STATEMENTS_LIMIT: usize = 200;
/// What makes lists, maps, or values that are larger than what they are made of; a backslash would hide the end of a
/// text in quotes.
const REFUSED: [char; 7] = ['[', ']', '{', '}', '*', ',', '\\'];

/// Refuses the parts of the language that could make values of their own, and recursion.
fn refuse_values(source: &str) -> Result<(), RenderError> {
    if source.matches("{%").count() > STATEMENTS_LIMIT {
        return Err(failed(&format!("it has more than {STATEMENTS_LIMIT} statements")));
    }
    let mut rest = source;
    while let Some((opening, after)) = next_tag(rest) {
        let closing = match opening {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        // Without an end it is no template, which the parser says better.
        let Some((tag, after)) = after.split_once(closing) else { return Ok(()) };
        rest = after;
        match opening {
            "{{" => refuse_in_tag(tag)?,
            "{%" => refuse_in_tag(tag).and_then(|()| refuse_statement(tag))?,
            _ => {}
        }
    }
    Ok(())
}

/// How the next tag or comment opens, and what follows.
fn next_tag(rest: &str) -> Option<(&'static str, &str)> {
    let found = ["{{", "{%", "{#"].into_iter().filter_map(|opening| Some((rest.find(opening)?, opening)));
    let (start, opening) = found.min()?;
    Some((opening, rest.get(start + opening.len()..)?))
}

/// A tag whose quotes are closed ends where it seems to.
fn refuse_in_tag(tag: &str) -> Result<(), RenderError> {
    if tag.len() > TAG_LIMIT {
        return Err(failed(&format!("more than {TAG_LIMIT} bytes stand between {{{{ and }}}}, or {{% and %}}")));
    }
    if let Some(refused) = tag.chars().find(|c| REFUSED.contains(c)) {
        return Err(failed(&format!("there is no {refused:?} between {{{{ and }}}}, or {{% and %}}")));
    }
    let quote = tag.chars().fold(None, |open, c| match open {
        None if matches!(c, '\'' | '"') => Some(c),
        Some(quote) if quote == c => None,
        open => open,
    });
    if quote.is_some() { Err(failed("a quote is not closed before }} or %}")) } else { Ok(()) }
}

fn refuse_statement(tag: &str) -> Result<(), RenderError> {
    let statement = tag.trim_start_matches(['-', '+']).trim_start();
    let name: String = statement.chars().take_while(char::is_ascii_alphanumeric).take(SHOWN).collect();
    if !STATEMENTS.contains(&name.as_str()) {
        return Err(failed(&format!("there is no statement {name:?}, only {}", STATEMENTS.join(", "))));
    }
    if name == "for" && statement.contains("recursive") {
        return Err(failed("there is no recursion: a loop cannot be recursive"));
    }
    Ok(())
}

fn add_filters_and_tests(environment: &mut Environment<'_>) {
    environment.add_filter("default", filters::default);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("tojson", tojson);
    environment.add_filter("upper", filters::upper);
    environment.add_test("defined", tests_of_values::is_defined);
    environment.add_test("none", tests_of_values::is_none);
    environment.add_test("undefined", tests_of_values::is_undefined);
}

/// A value as JSON, which is never longer than a body may be.
fn tojson(value: &Value) -> Result<Value, Error> {
    let mut json = Bounded(Vec::new());
    serde_json::to_writer(&mut json, value).map_err(|_| Error::new(ErrorKind::WriteFailure, "too large"))?;
    let text = String::from_utf8(json.0).map_err(|_| Error::from(ErrorKind::BadSerialization))?;
    Ok(Value::from_safe_string(text))
}

/// Writes a value where the template names it. Text goes into JSON as what stands between quotes, and nothing where
/// there is none; what is not text is for the filter `tojson`, which is bounded.
fn write(output: &mut Output<'_>, value: &Value, is_json: bool) -> Result<(), Error> {
    match (value.kind(), value.as_str()) {
        (_, Some(text)) if text.len() > BODY_LIMIT => Err(Error::new(ErrorKind::WriteFailure, "too large")),
        (_, Some(text)) if is_json && !value.is_safe() => {
            let quoted = serde_json::to_string(text).map_err(|_| ErrorKind::BadSerialization)?;
            Ok(output.write_str(quoted.get(1..quoted.len() - 1).unwrap_or_default())?)
        }
        (_, Some(text)) => Ok(output.write_str(text)?),
        (ValueKind::None | ValueKind::Undefined, None) => Ok(()),
        (ValueKind::Bool | ValueKind::Number, None) => Ok(output.write_str(&value.to_string())?),
        (_, None) => Err(Error::new(ErrorKind::InvalidOperation, "a list or a map is written with the filter tojson")),
    }
}

/// A body that refuses to become larger than it may be.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > BODY_LIMIT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn explained(error: &Error) -> RenderError {
    let place = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    match error.kind() {
        ErrorKind::WriteFailure => RenderError::TooLarge,
        ErrorKind::OutOfFuel => failed(&format!("it does too much, or goes on for ever: it was stopped{place}")),
        kind => {
            let detail: String = error.detail().unwrap_or_default().chars().take(SHOWN).collect();
            let colon = if detail.is_empty() { "" } else { ": " };
            failed(&format!("{kind}{colon}{detail}{place}"))
        }
    }
}

fn no_json(error: &serde_json::Error) -> RenderError {
    failed(&format!(
        "what it writes is no JSON ({error}); text belongs between quotes, and everything else is written with the filter tojson"
    ))
}

fn failed(why: &str) -> RenderError {
    RenderError::Template(why.to_owned())
}

#[cfg(test)]
mod tests;
