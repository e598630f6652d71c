//! Tables, fields and JSON on the operator's terminal.

use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::Value;

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// Writes rows below their heads, in columns as wide as they need to be.
pub(crate) fn table<const N: usize>(
    output: &mut impl Write,
    heads: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| plain(&cell))).collect();
    let mut widths = heads.map(|head| head.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(output, widths, &heads)?;
    rows.iter().try_for_each(|row| line(output, widths, &row.each_ref().map(String::as_str)))
}

fn line<const N: usize>(output: &mut impl Write, widths: [usize; N], cells: &[&str; N]) -> io::Result<()> {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
    writeln!(output, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())
}

/// Writes one thing: a line for each of its fields.
pub(crate) fn fields(output: &mut impl Write, fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    fields.iter().try_for_each(|(name, value)| writeln!(output, "{name:width$}  {}", plain(value)))
}

/// Writes a JSON value as the API gave it, indented.
pub(crate) fn json(output: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *output, value)?;
    writeln!(output)
}

/// A time, to the second.
pub(crate) fn time(time: Timestamp) -> String {
    format!("{time:.0}")
}

/// A text that may be absent.
pub(crate) fn or_nothing(text: Option<impl ToString>) -> String {
    text.map_or_else(|| NOTHING.to_owned(), |text| text.to_string())
}

/// Text from elsewhere (an answer's body, a name) on one line, and without what would steer the terminal.
pub(crate) fn plain(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    let is_steering = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| {
            if c.is_whitespace() {
                ' '
            } else if is_steering(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut output = Vec::new();
        write(&mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = vec![["a".to_owned(), "1".to_owned()], ["long é".to_owned(), String::new()]];
        assert_eq!(written(|output| table(output, ["NAME", "N"], rows)), "NAME    N\na       1\nlong é  -\n");
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_the_terminal() {
        let shown = written(|output| fields(output, &[("excerpt", "\u{1b}[31mred\r\nnext\u{202e}".to_owned())]));
        assert_eq!(shown, "excerpt  \u{fffd}[31mred  next\u{fffd}\n");
    }

    #[test]
    fn a_time_is_shown_to_the_second() {
        assert_eq!(time("2026-01-02T03:04:05.678Z".parse().unwrap()), "2026-01-02T03:04:05Z");
    }
}
