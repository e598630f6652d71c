//! Which log lines are written and which spans are traced.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt, ParseError, Targets};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use crate::lifecycle::TASK_TARGET;

/// What these crates say below WARN may hold headers, URLs or credentials, and fills disks. The names
/// are prefixes.
const QUIET: [&str; 8] = ["hickory", "hyper", "hyper_util", "reqwest", "h2", "rustls", "amq_protocol", "redis"];
/// lapin warns of a message that was returned, and shows its body. To it a closed channel is an error, although a
/// queue that is looked for and not there is told in no other way, and so is the end of a recovery that nobody asked
/// it for. What matters of it the adapter tells.
const SILENT: (&str, LevelFilter) = ("lapin", LevelFilter::OFF);

/// What the operator asked for, and nothing that must not be logged.
pub(super) fn of_logs<S>(filter: &str) -> Result<impl Filter<S> + 'static, ParseError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Ok(FilterExt::<S>::and(EnvFilter::builder().parse(filter)?, quiet(LevelFilter::TRACE)))
}

/// Spans that say what happened to an event. Those of tasks would make one trace of the whole life of a
/// process.
pub(crate) fn of_traces() -> Targets {
    quiet(LevelFilter::INFO).with_target(TASK_TARGET, LevelFilter::OFF)
}

fn quiet(others: LevelFilter) -> Targets {
    Targets::new()
        .with_default(others)
        .with_targets(QUIET.map(|name| (name, LevelFilter::WARN)))
        .with_target(SILENT.0, SILENT.1)
}
