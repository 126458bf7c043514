//! The table as a picture: of each operation and number of connections, from the median to what 95 and 99 of 100 answers stay below.
//!
//! Must stay true: a picture is made of the rows of its table and of nothing else, and needs no fonts, scripts or colours of its reader.

use std::fmt::Write;

use crate::bench::report::Row;

/// Of a line, and of what stands above and below all lines.
const LINE: usize = 16;
const MARGIN: usize = 40;
const LABELS: usize = 300;
const WIDTH: usize = 960;
/// Where the shortest and the longest time stand that are shown, in milliseconds.
const TIMES: (f64, f64) = (0.1, 10_000.0);

pub fn of(rows: &[Row]) -> String {
    let height = MARGIN * 2 + rows.len() * LINE;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LABELS}\" y=\"16\">milliseconds: bar from the median to p95, line to p99; on the right requests/s by those of pgbench</text>\n"
    );
    for time in [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0] {
        let (x, bottom) = (place(time), height - MARGIN / 2);
        let _ = writeln!(picture, "<line x1=\"{x:.1}\" y1=\"24\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#cccccc\"/>");
        let _ = writeln!(picture, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{time}</text>", height - 6);
    }
    for (number, row) in rows.iter().enumerate() {
        let y = MARGIN + number * LINE;
        let _ = writeln!(
            picture,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} · {}</text>",
            LABELS - 8,
            y + 4,
            row.operation,
            row.connections
        );
        let (from, to, longest) = (place(row.p50), place(row.p95), place(row.p99));
        let _ = writeln!(picture, "<line x1=\"{from:.1}\" y1=\"{y}\" x2=\"{longest:.1}\" y2=\"{y}\" stroke=\"#1f5f8b\"/>");
        let width = (to - from).max(2.0);
        let _ = writeln!(picture, "<rect x=\"{from:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"8\" fill=\"#1f5f8b\"/>", y - 4);
        let _ = writeln!(picture, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{:.2}</text>", WIDTH - 8, y + 4, row.ratio());
    }
    picture.push_str("</svg>\n");
    picture
}

/// On an axis whose steps are tenfold.
fn place(milliseconds: f64) -> f64 {
    let (shortest, longest) = TIMES;
    let part = (milliseconds.clamp(shortest, longest) / shortest).log10() / (longest / shortest).log10();
    let (left, right) = (LABELS, WIDTH - 60);
    f64::from(u32::try_from(left).unwrap_or_default()) + part * f64::from(u32::try_from(right - left).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn ten_times_as_long_stands_one_step_to_the_right() {
        let step = place(1.0) - place(0.1);
        assert!(step > 0.0 && (place(1_000.0) - place(100.0) - step).abs() < 1e-9);
        assert!((place(0.0) - place(0.1)).abs() < 1e-9 && (place(1e9) - place(10_000.0)).abs() < 1e-9, "nothing stands outside");
    }
}
