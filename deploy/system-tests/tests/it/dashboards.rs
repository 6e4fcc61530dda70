//! Dashboards use existing metrics and describe each panel.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::{
    alerts::{known_metrics, metrics_of},
    project::{read, root},
};

const FOLDER: &str = "deploy/grafana/dashboards";

fn dashboards() -> Vec<Value> {
    let files = fs::read_dir(root().join(FOLDER))
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    files.map(|text| serde_json::from_str(&text).unwrap()).collect()
}

/// All panels except row headings.
fn panels() -> Vec<Value> {
    let dashboards = dashboards();
    let all = dashboards.iter().flat_map(|dashboard| dashboard["panels"].as_array().unwrap());
    let panels: Vec<_> = all.filter(|panel| panel["type"] != "row").cloned().collect();
    assert!(panels.len() >= 20, "only {} panels", panels.len());
    panels
}

fn queries(panel: &Value) -> Vec<&str> {
    panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap()).collect()
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    for panel in panels() {
        let title = panel["title"].as_str().unwrap();
        assert!(!title.is_empty());
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        assert!(!queries(&panel).is_empty(), "{title} shows nothing");
    }
}

#[test]
fn no_two_panels_are_in_the_same_place_or_have_the_same_number() {
    for dashboard in dashboards() {
        let panels = dashboard["panels"].as_array().unwrap();
        let numbers: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(numbers.len(), panels.len());
        let mut taken = BTreeSet::new();
        for panel in panels {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(x + w <= 24, "{} is wider than the dashboard", panel["title"]);
            for cell in (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line))) {
                assert!(taken.insert(cell), "{} covers another panel", panel["title"]);
            }
        }
    }
}

#[tokio::test]
async fn every_metric_of_a_dashboard_is_one_that_a_service_shows_or_names_in_its_readme() {
    let known = known_metrics().await;
    for panel in panels() {
        for query in queries(&panel) {
            let named = metrics_of(query);
            assert!(!named.is_empty(), "{}: {query} names no metric", panel["title"]);
            for name in named {
                assert!(known.contains(&name), "{}: there is no metric {name}", panel["title"]);
            }
        }
    }
}

#[test]
fn grafana_finds_its_data_source_and_its_dashboards_where_compose_puts_them() {
    let compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&read("docker-compose.yml")).unwrap();
    let grafana = &compose["services"]["grafana"];
    let mounted =
        |volume: &serde_yaml_ng::Value| volume.as_str().unwrap().starts_with(&format!("./{FOLDER}:"));
    let volumes = grafana["volumes"].as_sequence().unwrap();
    let target =
        volumes.iter().find(|volume| mounted(volume)).unwrap().as_str().unwrap().split(':').nth(1).unwrap();
    assert!(read("deploy/grafana/provisioning/dashboards/files.yml").contains(&format!("path: {target}\n")));
    let home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    read(&home.replacen(target, FOLDER, 1));
    let source = read("deploy/grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("url: http://prometheus:9090\n"));
    let scraped = read("deploy/prometheus/prometheus.yml");
    for service in ["command-service", "query-service"] {
        let environment = &compose["services"][service]["environment"];
        // Metrics may have their own address.
        let listen = environment.get("ADMIN_LISTEN").unwrap_or(&environment["LISTEN"]).as_str().unwrap();
        let port = listen.rsplit(':').next().unwrap();
        assert!(scraped.contains(&format!("\"{service}:{port}\"")), "{service} is not scraped");
    }
}
