//! Lines in a plot that needs nothing from elsewhere: SVG, for the pages of all reports.

use std::fmt::Write as _;

use crate::goals::shown;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 120.0;
/// Room for what stands beside the axes.
const LEFT: f64 = 46.0;
const BELOW: f64 = 18.0;
const MARGIN: f64 = 6.0;
/// Of the lines, in their order; they differ in brightness too.
const COLOURS: [&str; 8] = ["#0057b8", "#d1495b", "#2e8b57", "#7a3e9d", "#c77700", "#008b8b", "#555555", "#9acd32"];

/// How pages of ours look.
pub(crate) const STYLE: &str = "body{font:16px/1.4 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}\
    pre{overflow-x:auto}main{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}\
    figure{margin:0}svg{width:100%}rect{fill:#f4f4f4}polyline{fill:none;stroke-width:1.5}\
    .grid{stroke:#ddd;stroke-width:1}text{font-size:9px;fill:#444}p,figcaption{margin:0;font-size:.85rem}\
    p b{font-weight:normal}";

/// Lines over time, or over anything else.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// Of the values.
    pub(crate) unit: &'static str,
    pub(crate) lines: Vec<Line>,
    pub(crate) across: Across,
}

/// One line: its name, which may be empty if it is the only one, and its points.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What a chart goes over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Across {
    /// Seconds from the start.
    Seconds,
    /// Places that are named, as those of percentiles are.
    Named(Vec<(f64, String)>),
}

impl Chart {
    pub(crate) fn svg(&self) -> String {
        let most = |of: fn(&(f64, f64)) -> f64| {
            self.lines.iter().flat_map(|line| &line.points).map(of).fold(f64::MIN_POSITIVE, f64::max)
        };
        let (end, top) = (most(|point| point.0), most(|point| point.1));
        let Self { title, unit, .. } = self;
        let view = format!(
            "-{LEFT} -{MARGIN} {} {}",
            LEFT + WIDTH + 2.0 * MARGIN,
            // Names of places stand below.
            HEIGHT + BELOW + MARGIN
        );
        let mut svg = format!(
            "<figure><figcaption>{title}</figcaption><svg viewBox=\"{view}\" role=\"img\" aria-label=\"{title}\">\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
        );
        self.draw_axes(&mut svg, (end, top));
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let place = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", x / end * WIDTH, HEIGHT - y / top * HEIGHT);
            let points: Vec<String> = line.points.iter().map(place).collect();
            // Writing to a string cannot fail.
            write!(svg, "<polyline stroke=\"{colour}\" points=\"{}\"/>", points.join(" ")).ok();
        }
        let over = match self.across {
            Across::Seconds => format!(", in {end:.1} s"),
            Across::Named(_) => String::new(),
        };
        writeln!(svg, "</svg><p>{}up to {} {unit}{over}</p></figure>", self.legend(), shown(top)).ok();
        svg
    }

    fn draw_axes(&self, svg: &mut String, (end, top): (f64, f64)) {
        for part in [0.0, 0.5, 1.0] {
            let (y, value) = (HEIGHT - part * HEIGHT, shown(part * top));
            write!(svg, "<line class=\"grid\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>").ok();
            write!(svg, "<text x=\"-4\" y=\"{}\" text-anchor=\"end\">{value}</text>", y + 3.0).ok();
        }
        let halves = [0.0, 0.5, 1.0].map(|part| (part * end, format!("{:.0} s", part * end)));
        let places = match &self.across {
            Across::Seconds => halves.as_slice(),
            Across::Named(places) => places,
        };
        for (place, name) in places {
            let (x, y) = (place / end * WIDTH, HEIGHT + 12.0);
            // There is no room beyond the end.
            let anchor = if x > 0.95 * WIDTH { "end" } else { "middle" };
            write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{name}</text>").ok();
        }
    }

    fn legend(&self) -> String {
        let named = self.lines.iter().zip(COLOURS.iter().cycle()).filter(|(line, _)| !line.name.is_empty());
        let mark = |(line, colour): (&Line, &&str)| format!("<b style=\"color:{colour}\">▬ {}</b> · ", line.name);
        named.map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_share_their_axes_and_are_told_apart() {
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.to_owned(), points: points.to_vec() };
        let lines = vec![line("median", &[(0.0, 0.0), (2.0, 10.0)]), line("p99", &[(4.0, 20.0)])];
        let svg = Chart { title: "latency".to_owned(), unit: "ms", lines, across: Across::Seconds }.svg();
        assert!(svg.contains("points=\"0.0,120.0 160.0,60.0\"") && svg.contains("points=\"320.0,0.0\""), "{svg}");
        assert!(svg.contains("▬ median") && svg.contains("▬ p99") && svg.contains("up to 20.00 ms, in 4.0 s"), "{svg}");
    }
}
