//! Which log lines are written and which spans are traced.

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use crate::lifecycle::TASK_TARGET;

/// What these crates say below WARN may hold headers, URLs or credentials, and fills disks. The names
/// are prefixes.
const QUIET: [&str; 8] = ["hickory", "hyper", "hyper_util", "reqwest", "h2", "rustls", "amq_protocol", "redis"];
/// What the names of these crates begin with.
const OURS: &str = "dockbell";
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
/// process. Spans of ours at DEBUG are those whose contexts travel no further, and of which a process may begin thousands
/// per second: they are traced where somebody collects them, and otherwise cost nothing.
pub(crate) fn of_traces<S>(is_collected: bool) -> impl Filter<S> {
    let is_of_ours = |metadata: &Metadata<'_>| {
        metadata.is_span() && *metadata.level() <= Level::DEBUG && metadata.target().starts_with(OURS)
    };
    let leaves = filter_fn(move |metadata| is_collected && is_of_ours(metadata));
    let all = FilterExt::<S>::or(quiet(LevelFilter::INFO), leaves);
    FilterExt::<S>::and(all, Targets::new().with_default(LevelFilter::TRACE).with_target(TASK_TARGET, LevelFilter::OFF))
}

fn quiet(others: LevelFilter) -> Targets {
    Targets::new()
        .with_default(others)
        .with_targets(QUIET.map(|name| (name, LevelFilter::WARN)))
        .with_target(SILENT.0, SILENT.1)
}
