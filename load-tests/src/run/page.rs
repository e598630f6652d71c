//! The report of a run for people: a table, and a page with plots.

use std::fmt::Write as _;

use super::summary::{Latency, Requests, Second, Summary};
use super::verify::Check;
use crate::chart::{Across, Chart, Line, STYLE};

/// The percentiles that are named below their plot.
const NAMED: [(f64, &str); 6] =
    [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];

/// The table that a terminal shows.
pub(crate) fn table(summary: &Summary) -> String {
    let Summary { pushes, requests, scenario, verified, .. } = summary;
    let mut table = format!("{}\n\n", scenario.about);
    // Writing to a string cannot fail.
    writeln!(
        table,
        "pushes     {} due, {} accepted, {} reports made again, generator {:.0} ms late at most{}",
        pushes.due,
        pushes.accepted,
        pushes.reported_again,
        pushes.generator_lag_ms,
        if pushes.generator_lag_ms > 500.0 { ": TOO LATE, the machine is too busy to measure" } else { "" }
    )
    .ok();
    let Summary { rate, .. } = summary;
    let Requests { accepted, ailing, foreign } = *requests;
    writeln!(table, "requests   {accepted} accepted, {ailing} to receivers that hung or refused, as they were told")
        .ok();
    if foreign > 0 {
        writeln!(table, "           {foreign} that told nothing of this run: an earlier one left it in the queues")
            .ok();
    }
    writeln!(table, "arrived    {rate:.1} changes/s of the {} s that are measured\n", scenario.load.seconds).ok();
    writeln!(table, "{:<40}{:>9}{:>10}{:>10}{:>10}{:>10}", "latency (ms)", "median", "p90", "p99", "p99.9", "longest")
        .ok();
    for Latency { of, count, median_ms, p90_ms, p99_ms, p999_ms, longest_ms, .. } in &summary.latency {
        let of = format!("{of}: {count}");
        writeln!(table, "{of:<40}{median_ms:>9.1}{p90_ms:>10.1}{p99_ms:>10.1}{p999_ms:>10.1}{longest_ms:>10.1}").ok();
    }
    writeln!(table, "\n{:<40}{:>9}{:>14}", "process", "CPUs", "memory (MiB)").ok();
    for used in &summary.processes {
        writeln!(table, "{:<40}{:>9.2}{:>14.1}", used.name, used.processors, used.peak_memory_mib).ok();
    }
    writeln!(table, "\n{:<60}{:>9}{:>9}", "verified", "checked", "broken").ok();
    for Check { name, checked, broken, findings } in &verified.checks {
        writeln!(table, "{name:<60}{checked:>9}{broken:>9}").ok();
        for finding in findings {
            writeln!(table, "    {finding}").ok();
        }
    }
    if verified.torn > 0 {
        let torn = verified.torn;
        writeln!(
            table,
            "{torn} multi-arch changes lack the layers of platforms that came in another window: widen window.quiet"
        )
        .ok();
    }
    table
}

/// The page, which needs nothing from elsewhere.
pub(crate) fn page(name: &str, summary: &Summary) -> String {
    let title = format!("Dockbell: {}", escaped(name));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1>\n<pre>{}</pre><main>",
        escaped(&table(summary))
    );
    for chart in charts(summary) {
        page.push_str(&chart.svg());
    }
    page.push_str("</main></html>\n");
    page
}

fn charts(summary: &Summary) -> Vec<Chart> {
    let over = |title: &str, unit, lines| Chart { title: title.to_owned(), unit, lines, across: Across::Seconds };
    #[expect(clippy::cast_precision_loss, reason = "for a plot")]
    let second = |of: fn(&Second) -> f64| {
        summary.seconds.iter().map(move |second| (second.at as f64, of(second))).collect::<Vec<_>>()
    };
    #[expect(clippy::cast_precision_loss, reason = "for a plot")]
    let throughput =
        vec![line("due", second(|second| second.due as f64)), line("arrived", second(|second| second.arrived as f64))];
    let latency = vec![
        line("longest", second(|second| second.longest_ms)),
        line("p99", second(|second| second.p99_ms)),
        line("median", second(|second| second.median_ms)),
    ];
    let used = |of: fn(&(f64, f64, f64)) -> f64| {
        let of_process = |used: &super::gauge::Used| {
            line(&used.name, used.samples.iter().map(|sample| (sample.0, of(sample))).collect())
        };
        summary.processes.iter().map(of_process).collect()
    };
    // Where something ails, those that do would hide the others.
    let told = if summary.latency.len() > 1 { 1.. } else { 0.. };
    let mut charts = vec![over("latency by the second in which pushes were due", "ms", latency)];
    charts.extend(summary.latency.get(told).into_iter().flatten().map(percentiles));
    charts.extend([
        over("changes per second", "/s", throughput),
        over("processors in use", "in use", used(|sample| sample.1)),
        over("memory", "MiB", used(|sample| sample.2)),
    ]);
    charts
}

/// Each further nine of a percentile takes as much room as the one before.
fn percentiles(latency: &Latency) -> Chart {
    let place = |quantile: f64| (1.0 / (1.0 - quantile)).log10();
    let points: Vec<_> = latency.quantiles.iter().map(|&(quantile, ms)| (place(quantile), ms)).collect();
    let end = points.iter().map(|point| point.0).fold(0.0, f64::max);
    let named = NAMED.iter().map(|&(quantile, name)| (place(quantile), name.to_owned()));
    let across = Across::Named(named.filter(|(place, _)| *place <= end).collect());
    let title = format!("latency by percentile: {}", latency.of);
    Chart { title, unit: "ms", lines: vec![line("", points)], across }
}

fn line(name: &str, points: Vec<(f64, f64)>) -> Line {
    Line { name: name.to_owned(), points }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::histogram;

    #[test]
    fn percentiles_stand_where_their_nines_are() {
        let mut latencies = histogram();
        (1..=1_000_u64).for_each(|latency| latencies.saturating_record(latency * 1_000));
        let chart = percentiles(&Latency::of("all", &latencies));
        let points = &chart.lines[0].points;
        let at = |place: f64| points.iter().find(|point| (point.0 - place).abs() < 1e-6).map(|point| point.1.round());
        assert_eq!([at(1.0), at(2.0), at(3.0)], [Some(900.0), Some(990.0), Some(999.0)], "{points:?}");
        assert!(points.iter().all(|point| point.0 <= 3.0 + 1e-9), "a thousand tell nothing beyond: {points:?}");
    }
}
