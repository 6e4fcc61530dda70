//! Publishes the committed results: the picture, the list of all results, and the table of the README.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use plotters::{
    prelude::{
        BLACK, Circle, Color, IntoDrawingArea, IntoFont, PathElement, RED, RGBColor, SVGBackend, ShapeStyle,
        Text, WHITE,
    },
    style::TextStyle,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    figures::{Finding, Spread, Target},
    machine::Machine,
    processor::PROGRAMS,
    report::{self, Entry, shown},
};

/// Name of the subcommand that runs [`publish`].
pub(crate) const SUBCOMMAND: &str = "publish";
const RESULTS: &str = "results/results.json";
/// Findings of a run for the sake of their costs.
const COSTS: &str = "results/processor-time.json";
const PICTURE: &str = "results/results.svg";
const README: &str = "../../README.md";
const ALL: &str = "results/README.md";
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";
/// The benchmarks of the README's table.
const IN_README: [&str; 5] =
    ["commands-usual", "single-command", "relay-debezium", "projector-sink", "visible-50-p99"];

const WIDTH: i32 = 1000;
const ROW: i32 = 24;
const TOP: i32 = 60;
const LEFT: i32 = 470;
const RIGHT: i32 = 30;
/// The picture reaches from a sixteenth of the target to sixteen times the target.
const DOUBLINGS: f64 = 4.0;

pub(crate) fn publish() -> Result<()> {
    let entries = report::read(&path(RESULTS))?;
    draw(&entries, &path(PICTURE))?;
    std::fs::write(path(ALL), all(&entries, &report::read(&path(COSTS))?)?)?;
    let readme = std::fs::read_to_string(path(README))?;
    std::fs::write(path(README), with_table(&readme, &entries)?)?;
    Ok(())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Replaces the text between the marks of the README.
fn with_table(readme: &str, entries: &[Entry]) -> Result<String> {
    let (before, rest) =
        readme.split_once(BEGIN).context("the README lacks the mark at which the table begins")?;
    let (_, after) = rest.split_once(END).context("the README lacks the mark at which the table ends")?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(entries)?))
}

/// Findings of this kind are too many for the picture.
fn is_one_of_many(finding: &Finding) -> bool {
    finding.benchmark.contains(": ")
}

fn all(entries: &[Entry], costs: &[Entry]) -> Result<String> {
    Ok(format!("# All results\n\n{}{}", rows(entries, |_| true)?, processor_time(costs)?))
}

/// A table of the processor time of each program, by benchmark.
fn processor_time(entries: &[Entry]) -> Result<String> {
    let machine = &entries.first().context("there are no costs")?.machine;
    let mut text = format!(
        "\n## Processor time\n\n{machine}.\n\nMicroseconds for an event, ours / theirs, medians of the rounds: of all \
         processes of a program together. For `statistics`, for a query. For `visible-highest`, at the highest rate of each \
         side. A dash means that the program did not work.\n\n| benchmark |{}\n| --- |{}\n",
        PROGRAMS.map(|(program, _)| format!(" {program} |")).concat(),
        " --- |".repeat(PROGRAMS.len())
    );
    for Entry { finding, .. } in entries.iter().filter(|entry| !entry.finding.costs.is_empty()) {
        let cells = PROGRAMS.map(|(program, _)| {
            let cost = finding.costs.iter().find(|cost| cost.program == program);
            let of = |spread: Option<Spread>| {
                spread
                    .filter(|spread| spread.median > 0.0)
                    .map_or_else(|| "–".to_owned(), |spread| shown(spread.median))
            };
            let (ours, theirs) = (of(cost.map(|cost| cost.ours)), of(cost.and_then(|cost| cost.theirs)));
            format!(" {ours} / {theirs} |")
        });
        text.push_str(&format!("| `{}` |{}\n", finding.benchmark, cells.concat()));
    }
    text.push_str(&elsewhere(entries.iter(), machine));
    Ok(text)
}

/// Says which results are of another machine than the table's.
fn elsewhere<'a>(entries: impl Iterator<Item = &'a Entry>, table: &Machine) -> String {
    entries
        .filter(|entry| (entry.machine.cores, &entry.machine.processor) != (table.cores, &table.processor))
        .map(|entry| format!("\n`{}` is of another machine: {}.\n", entry.finding.benchmark, entry.machine))
        .collect()
}

fn table(entries: &[Entry]) -> Result<String> {
    let table = rows(entries, |finding| IN_README.contains(&finding.benchmark.as_str()))?;
    let met = entries.iter().filter(|entry| entry.finding.met).count();
    Ok(format!(
        "{table}\n{met} of {} targets are met: [all results](deploy/benchmarks/results/README.md).\n",
        entries.len()
    ))
}

fn rows(entries: &[Entry], wanted: impl Fn(&Finding) -> bool) -> Result<String> {
    // Each row says itself whether it comes from a short run.
    let machine =
        Machine { short: false, ..entries.first().context("there are no results")?.machine.clone() };
    let mut text = format!(
        "{machine}.\n\n| benchmark | ours | compared with | ratio: min / median / max | target |\n| --- | --- | --- | --- | --- |\n"
    );
    for Entry { finding, machine } in entries.iter().filter(|entry| wanted(&entry.finding)) {
        let (ours, theirs) = (figure(finding, 0), figure(finding, 1));
        let ratio = &finding.ratio;
        let ratio = format!("{} / **{}** / {}", shown(ratio.min), shown(ratio.median), shown(ratio.max));
        let missed = if finding.met { "" } else { ", missed" };
        text.push_str(&format!(
            "| `{}`{} | {ours} | {theirs} | {ratio} | {}{missed} |\n",
            finding.benchmark,
            if machine.short { " (short)" } else { "" },
            finding.target
        ));
    }
    text.push_str(&elsewhere(entries.iter().filter(|entry| wanted(&entry.finding)), &machine));
    Ok(text)
}

fn figure(finding: &Finding, at: usize) -> String {
    finding.figures.get(at).map_or_else(String::new, |series| {
        format!("{}: {} {}", series.name, shown(series.spread.median), series.unit)
    })
}

/// The ratio relative to its target; more is better.
fn goodness(target: Target, ratio: f64) -> f64 {
    match target {
        Target::AtLeast(least) => ratio / least,
        Target::AtMost(most) => most / ratio,
    }
}

fn draw(entries: &[Entry], to: &Path) -> Result<()> {
    let shown: Vec<&Finding> =
        entries.iter().map(|entry| &entry.finding).filter(|finding| !is_one_of_many(finding)).collect();
    let rows = i32::try_from(shown.len())?;
    let height = TOP + ROW * rows + 50;
    let root = SVGBackend::new(to, (u32::try_from(WIDTH)?, u32::try_from(height)?)).into_drawing_area();
    root.fill(&WHITE)?;
    let x = |goodness: f64| {
        let part = (goodness.max(1e-9).log2().clamp(-DOUBLINGS, DOUBLINGS) + DOUBLINGS) / (2.0 * DOUBLINGS);
        #[expect(clippy::cast_possible_truncation, reason = "a place in a picture")]
        let place = (part * f64::from(WIDTH - LEFT - RIGHT)) as i32;
        LEFT + place
    };
    let font = ("sans-serif", 13).into_font();
    let right = TextStyle::from(font.clone()).pos(Pos::new(HPos::Right, VPos::Center));
    let center = font.color(&BLACK).pos(Pos::new(HPos::Center, VPos::Center));
    root.draw(&Text::new(
        "How many times as good as its target each ratio is (minimum, median, maximum of the rounds)",
        (WIDTH / 2, 20),
        center.clone(),
    ))?;
    for (label, at) in [("1/16", 1.0 / 16.0), ("1/4", 0.25), ("target", 1.0), ("4", 4.0), ("16", 16.0)] {
        let strong = if at == 1.0 { 0.9 } else { 0.2 };
        let line = vec![(x(at), TOP - 12), (x(at), height - 40)];
        root.draw(&PathElement::new(line, BLACK.mix(strong)))?;
        root.draw(&Text::new(label, (x(at), height - 25), center.clone()))?;
    }
    for (row, finding) in (0..).zip(shown) {
        let y = TOP + ROW * row;
        let label = format!("{} / {}", finding.benchmark, finding.against);
        root.draw(&Text::new(label.chars().take(70).collect::<String>(), (LEFT - 12, y), right.clone()))?;
        let color = if finding.met { RGBColor(20, 110, 60) } else { RED };
        let ends =
            [finding.ratio.min, finding.ratio.max].map(|ratio| (x(goodness(finding.target, ratio)), y));
        root.draw(&PathElement::new(ends.to_vec(), ShapeStyle::from(&color).stroke_width(3)))?;
        let median = (x(goodness(finding.target, finding.ratio.median)), y);
        root.draw(&Circle::new(median, 5, ShapeStyle::from(&color).filled()))?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_agrees_with_the_committed_results() {
        let entries = report::read(&path(RESULTS)).unwrap();
        let readme = std::fs::read_to_string(path(README)).unwrap();
        assert_eq!(
            with_table(&readme, &entries).unwrap(),
            readme,
            "run: cargo run --release -p benchmarks -- publish"
        );
        let costs = report::read(&path(COSTS)).unwrap();
        assert_eq!(all(&entries, &costs).unwrap(), std::fs::read_to_string(path(ALL)).unwrap());
    }

    #[test]
    fn less_is_better_where_the_target_is_a_limit() {
        assert!(goodness(Target::AtMost(2.0), 1.0) > 1.0);
        assert!(goodness(Target::AtLeast(2.0), 1.0) < 1.0);
    }
}
