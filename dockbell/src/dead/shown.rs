//! Dead letters on the operator's terminal.

use std::io::{self, Write};

use dockbell_console::{DeadLetterView, LettersDecided, PageView};

use crate::client::CliError;
use crate::deliveries::{self, show_next};
use crate::present;

/// The most characters of a reason that a table shows.
const REASON_SHOWN: usize = 80;

/// Writes a page of a list.
pub(super) fn list(output: &mut impl Write, page: PageView<DeadLetterView>) -> Result<(), CliError> {
    let heads = ["POSITION", "GIVEN UP", "QUEUE", "REPOSITORY", "TAGS", "DELIVERY", "WEBHOOK", "MARK", "REASON"];
    let rows = page.items.into_iter().map(|letter| {
        let repository = repository(&letter);
        [
            letter.position.to_string(),
            present::time(letter.at),
            letter.queue,
            repository,
            letter.tags.join(","),
            letter.delivery.unwrap_or_default(),
            letter.webhook.unwrap_or_default(),
            letter.mark.unwrap_or_default(),
            letter.reason.chars().take(REASON_SHOWN).collect(),
        ]
    });
    present::table(output, heads, rows.collect())?;
    Ok(show_next(output, page.next)?)
}

/// Writes one with all that is known of it.
pub(super) fn one(output: &mut impl Write, letter: &DeadLetterView) -> Result<(), CliError> {
    let attempt = letter.last_attempt.as_ref();
    let headers: Vec<String> = letter.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let fields = [
        ("position", letter.position.to_string()),
        ("given up", present::time(letter.at)),
        ("queue", letter.queue.clone()),
        ("reason", letter.reason.clone()),
        ("mark", mark(letter)),
        ("message", letter.message.clone()),
        ("delivery", letter.delivery.clone().unwrap_or_default()),
        ("webhook", letter.webhook.clone().unwrap_or_default()),
        ("repository", repository(letter)),
        ("tags", letter.tags.join(",")),
        ("last attempt", present::or_nothing(attempt.map(|attempt| present::time(attempt.at)))),
        ("outcome", attempt.map(deliveries::outcome).unwrap_or_default()),
        ("verdict", attempt.map(deliveries::verdict).unwrap_or_default()),
        ("answer", attempt.and_then(|attempt| attempt.excerpt.clone()).unwrap_or_default()),
        ("headers", headers.join(", ")),
        ("body", letter.body.clone().unwrap_or_default()),
    ];
    Ok(present::fields(output, &fields)?)
}

/// Says how many it was.
pub(super) fn decided(output: &mut impl Write, decision: &str, decided: &LettersDecided) -> io::Result<()> {
    let LettersDecided { done, skipped, .. } = decided;
    let end = if decision == "revive" { "revived" } else { "discarded" };
    writeln!(output, "dead letters {end}: {done}")?;
    if *skipped > 0 {
        writeln!(output, "left, because their webhook was removed or is disabled: {skipped}")?;
    }
    Ok(())
}

fn mark(letter: &DeadLetterView) -> String {
    match (&letter.mark, letter.marked_at) {
        (Some(mark), Some(at)) => format!("{mark} at {}", present::time(at)),
        _ => String::new(),
    }
}

fn repository(letter: &DeadLetterView) -> String {
    match (&letter.registry, &letter.repository) {
        (Some(registry), Some(repository)) => format!("{registry}/{repository}"),
        _ => String::new(),
    }
}
