//! Alerts speak of metrics that the services have, and of entries of the runbook.

use std::{fs, path::Path};

use serde_yaml_ng::Value;
use system_tests::Stack;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join(path)).unwrap()
}

/// Names and expressions of all alerts, with the entry of the runbook that each points at.
fn alerts() -> Vec<[String; 3]> {
    let rules: Value = serde_yaml_ng::from_str(&read("deploy/prometheus/alerts.yml")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rules = rules["groups"][0]["rules"].as_sequence().unwrap();
    rules
        .iter()
        .map(|rule| [text(&rule["alert"]), text(&rule["expr"]), text(&rule["annotations"]["runbook"])])
        .collect()
}

#[test]
fn every_alert_has_its_entry_in_the_runbook() {
    let runbook = read("docs/runbook.md");
    for [alert, _, entry] in alerts() {
        assert!(runbook.contains(&format!("\n## {entry}\n")), "{alert}: there is no entry {entry}");
    }
}

#[tokio::test]
async fn every_metric_of_an_alert_is_one_that_a_service_shows_or_names_in_its_readme() {
    let stack = Stack::real(1).await;
    let client = stack.client();
    // Some are shown only once there is something to count.
    client.command(reqwest::Method::GET, "/nowhere").send().await.problem(404, "not-found");
    let mut known = read("command-service/README.md") + &read("query-service/README.md");
    known += &client.command(reqwest::Method::GET, "/metrics").send().await.text;
    known += &client.get("/metrics").send().await.text;
    let functions = ["max", "sum", "increase", "rate", "up", "service", "type", "job", "generation"];
    for [alert, expression, _] in alerts() {
        let quoted = expression.split('"').step_by(2).collect::<String>();
        let words = quoted.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names =
            words.filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.len() > 1);
        for name in names.filter(|name| !functions.contains(name)) {
            assert!(known.contains(name), "{alert}: nothing has the metric {name}");
        }
    }
}
