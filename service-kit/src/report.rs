//! The results of operators' commands: text for people, JSON for scripts, an exit status for both.

use std::process::ExitCode;

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;
use serde_json::Value;

/// The result of an operator's command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The state is as wanted, or the command did its work. Exit status 0.
    AsWanted,
    /// The state is not as wanted, or the command refused. Exit status 1.
    NotAsWanted,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::AsWanted => Self::SUCCESS,
            Verdict::NotAsWanted => Self::FAILURE,
        }
    }
}

/// The exit status of a program or of one of its commands. Prints an error, whose status is `on_error`.
///
/// Operators' commands have 2 there: the state is not known.
pub fn exit_code(program: &str, outcome: anyhow::Result<impl Into<ExitCode>>, on_error: u8) -> ExitCode {
    outcome.map_or_else(
        |error| {
            eprintln!("{program}: {error:#}");
            on_error.into()
        },
        Into::into,
    )
}

/// The output of a command, as arguments of a command line.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Format {
    /// Print JSON instead of a table or a sentence.
    #[arg(long)]
    pub json: bool,
}

impl Format {
    /// One value as text that ends with a line break: `text` for people, or the value as JSON.
    ///
    /// # Errors
    /// When the value can't be made JSON.
    pub fn value<T: Serialize>(self, value: &T, text: impl Into<String>) -> serde_json::Result<String> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text.into() };
        Ok(text.trim_end().to_owned() + "\n")
    }

    /// Rows as text that ends with a line break: a table of these columns, or a JSON list with all fields.
    ///
    /// # Errors
    /// When a row can't be made JSON.
    pub fn rows<T: Serialize>(self, rows: &[T], columns: &[&str]) -> serde_json::Result<String> {
        if self.json {
            return Ok(serde_json::to_string_pretty(rows)? + "\n");
        }
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(columns.iter().map(|column| column.to_uppercase()));
        for row in rows {
            let row = serde_json::to_value(row)?;
            table.add_row(columns.iter().map(|column| cell(row.get(column).unwrap_or(&Value::Null))));
        }
        Ok(table.lines().map(|line| line.trim_end().to_owned() + "\n").collect())
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_get_columns_and_scripts_get_everything() {
        let rows = [json!({"room": "r1", "behind": 17, "reason": null}), json!({"room": "r2", "behind": 0})];
        let table = Format { json: false }.rows(&rows, &["room", "behind", "reason"]).unwrap();
        let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words, [["ROOM", "BEHIND", "REASON"], ["r1", "17", "-"], ["r2", "0", "-"]]);
        let list = Format { json: true }.rows(&rows, &["room"]).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&list).unwrap(), json!(rows));
    }
}
