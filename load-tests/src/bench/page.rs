//! The report as a page: the figures, and how each run went.

use std::fmt::Write as _;
use std::time::Duration;

use super::run::{Measured, Sample};
use crate::chart::{Across, Chart, Line, STYLE};

impl Chart {
    /// Throughput, use of processors and memory of a run.
    pub(crate) fn of_run(name: &str, measured: &Measured) -> [Self; 3] {
        let chart = |title: &str, unit, points| Self {
            title: format!("{name}: {title}"),
            unit,
            lines: vec![Line { name: String::new(), points }],
            across: Across::Seconds,
        };
        let pairs = || measured.samples.iter().zip(measured.samples.iter().skip(1));
        let slope = |of: fn(&Sample) -> f64| {
            let step = |(a, b): (&Sample, &Sample)| {
                let took = b.at.saturating_sub(a.at);
                (took > Duration::ZERO).then(|| (b.at.as_secs_f64(), (of(b) - of(a)) / took.as_secs_f64()))
            };
            pairs().filter_map(step).collect()
        };
        #[expect(clippy::cast_precision_loss, reason = "for a plot")]
        let (events, memory) = (
            slope(|sample| sample.events as f64),
            measured
                .samples
                .iter()
                .map(|sample| (sample.at.as_secs_f64(), sample.used.peak_memory as f64 / 1_048_576.0)),
        );
        let memory = memory.collect();
        [
            chart("throughput", "events/s", events),
            chart("processors", "in use", slope(|sample| sample.used.cpu.as_secs_f64())),
            chart("peak memory", "MiB", memory),
        ]
    }
}

/// The whole page, which needs nothing from elsewhere: a table, and the plots.
pub(crate) fn page(table: &str, charts: &[Chart]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Dockbell: load test</title>\
         <style>{STYLE}</style><h1>Dockbell: load test</h1>\n"
    );
    // Writing to a string cannot fail.
    writeln!(page, "<pre>{table}</pre><main>").ok();
    for chart in charts {
        page.push_str(&chart.svg());
    }
    page.push_str("</main></html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;

    #[test]
    fn a_run_is_drawn_as_what_happened_between_its_samples() {
        let sample = |tenths: u64, events| Sample {
            at: Duration::from_millis(tenths * 100),
            events,
            used: Usage { cpu: Duration::from_millis(tenths * 50), peak_memory: 1 << 20 },
        };
        let samples = vec![sample(0, 0), sample(1, 10), sample(2, 30)];
        let [throughput, processors, memory] = Chart::of_run("r", &Measured { samples, ..Measured::default() });
        let values = |chart: &Chart| chart.lines[0].points.iter().map(|point| point.1.round()).collect::<Vec<_>>();
        assert_eq!(values(&throughput), [100.0, 200.0]);
        assert!((processors.lines[0].points[0].1 - 0.5).abs() < 1e-9);
        assert_eq!(values(&memory), [1.0, 1.0, 1.0]);
        assert!(page("a table", &[throughput]).contains("up to 200 events/s, in 0.2 s"));
    }
}
