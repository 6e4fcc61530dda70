//! Alerts use existing metrics and link to entries of the runbook.

use std::collections::HashSet;

use serde_json::json;
use serde_yaml_ng::Value;
use system_tests::Stack;

use crate::project::read;

/// Name, expression and runbook entry of each alert.
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

/// The metrics in an expression: its words with an underscore.
pub(super) fn metrics_of(expression: &str) -> Vec<String> {
    let outside_of_strings = expression.split('"').step_by(2).collect::<String>();
    let words = outside_of_strings.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let not_of_the_language = |word: &&str| !["histogram_quantile", "__rate_interval"].contains(word);
    words.filter(|word| word.contains('_')).filter(not_of_the_language).map(str::to_owned).collect()
}

/// The metrics that the services show after some work, and those of their READMEs.
pub(super) async fn known_metrics() -> HashSet<String> {
    let stack = Stack::real(1).await;
    let client = stack.client();
    // Some metrics appear with their first value.
    client.command(reqwest::Method::GET, "/nowhere").send().await.problem(404, "not-found");
    let room = client.register(json!({})).await;
    let [from, to] = ["2031-01-01T10:00:00Z", "2031-01-01T11:00:00Z"];
    let reserved = client.reserve(&room.id, from, to).send().await;
    client.sees(&room, &reserved.token()).await;
    client.reserve(&room.id, from, to).send().await.problem(409, "overlap");
    let mut known = read("command-service/README.md") + &read("query-service/README.md");
    known += &client.command(reqwest::Method::GET, "/metrics").send().await.text;
    known += &client.get("/metrics").send().await.text;
    known.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned).collect()
}

#[tokio::test]
async fn every_metric_of_an_alert_is_one_that_a_service_shows_or_names_in_its_readme() {
    let known = known_metrics().await;
    for [alert, expression, _] in alerts() {
        let named = metrics_of(&expression);
        assert!(!named.is_empty() || expression.starts_with("up{"), "{alert} names no metric");
        for name in named {
            assert!(known.contains(&name), "{alert}: there is no metric {name}");
        }
    }
}
