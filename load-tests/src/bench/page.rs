//! The report as a page: the figures, and how each run went.

use std::fmt::Write as _;
use std::time::Duration;

use super::run::{Measured, Sample};
use crate::goals::shown;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 120.0;

/// A line over time.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    title: String,
    unit: &'static str,
    /// Seconds and values.
    points: Vec<(f64, f64)>,
}

impl Chart {
    /// Throughput, use of processors and memory of a run.
    pub(crate) fn of_run(name: &str, measured: &Measured) -> [Self; 3] {
        let chart = |title: &str, unit, points| Self { title: format!("{name}: {title}"), unit, points };
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

    fn svg(&self) -> String {
        let most = |of: fn(&(f64, f64)) -> f64| self.points.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
        let (seconds, top) = (most(|point| point.0), most(|point| point.1));
        let place = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", x / seconds * WIDTH, HEIGHT - y / top * HEIGHT);
        let points: Vec<String> = self.points.iter().map(place).collect();
        let Self { title, unit, .. } = self;
        format!(
            "<figure><figcaption>{title}</figcaption><svg viewBox=\"-4 -4 {} {}\" role=\"img\" aria-label=\"{title}\">\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\"/><polyline points=\"{}\"/></svg>\
             <p>up to {} {unit}, in {seconds:.1} s</p></figure>\n",
            WIDTH + 8.0,
            HEIGHT + 8.0,
            points.join(" "),
            shown(top),
        )
    }
}

/// The whole page, which needs nothing from elsewhere: a table, and the plots.
pub(crate) fn page(table: &str, charts: &[Chart]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Dockbell: load test</title><style>\
         body{font:16px/1.4 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}\
         pre{overflow-x:auto}main{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}\
         figure{margin:0}svg{width:100%}rect{fill:#f4f4f4}polyline{fill:none;stroke:#0057b8;stroke-width:1.5}\
         p,figcaption{margin:0;font-size:.85rem}</style><h1>Dockbell: load test</h1>\n",
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
        let values = |chart: &Chart| chart.points.iter().map(|point| point.1.round()).collect::<Vec<_>>();
        assert_eq!(values(&throughput), [100.0, 200.0]);
        assert!((processors.points[0].1 - 0.5).abs() < 1e-9);
        assert_eq!(values(&memory), [1.0, 1.0, 1.0]);
        assert!(page("a table", &[throughput]).contains("up to 200 events/s, in 0.2 s"));
    }
}
