//! Probes both services with Schemathesis: requests that their OpenAPI documents allow, and others.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::{Client, Stack, unique};

/// The options of a probe.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program `schemathesis`.
    pub schemathesis: PathBuf,
    /// The seed of the cases.
    pub seed: u64,
    /// Most random cases per operation, besides those of the other phases.
    pub cases: u32,
}

/// The result of a probe.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The number of answers of both services.
    pub answered: u64,
    /// Whether the documents describe all answers.
    pub as_described: bool,
}

/// Probes a new system on real servers as an administrator.
pub async fn run(options: &Options) -> anyhow::Result<Outcome> {
    // Development headers would replace a missing token.
    let stack = Stack::real_with_tokens_alone().await;
    let (command_url, query_url) = stack.urls();
    let token = stack.token("probe", &["admin"]);
    let known = Known::make(&stack.client().with_token(&token)).await;
    let mut as_described = true;
    // Queries first: commands retire rooms.
    for url in [query_url, command_url] {
        println!("=== {url}");
        as_described &= schemathesis(options, url, &token, &known).status().await?.success();
    }
    let answered = answered(command_url).await? + answered(query_url).await?;
    Ok(Outcome { answered, as_described })
}

/// Existing rooms, kinds and reservations, separated by commas.
struct Known {
    rooms: String,
    kinds: String,
    reservations: String,
}

impl Known {
    async fn make(client: &Client) -> Self {
        let (mut rooms, mut kinds, mut reservations) = (Vec::new(), Vec::new(), Vec::new());
        for kind in 0..3 {
            let kind = unique(&format!("kind-{kind}"));
            for _ in 0..4 {
                let room = client.register(json!({"kind": kind, "capacity": 1_000_000})).await;
                for hour in 8..18 {
                    let from = format!("2031-01-06T{hour:02}:00:00Z");
                    let to = format!("2031-01-06T{hour:02}:30:00Z");
                    let made = client.reserve(&room.id, &from, &to).send().await.expect(201);
                    reservations.push(format!("{}/{}", room.id, made["reservation"].as_str().unwrap()));
                }
                rooms.push(room.id);
            }
            kinds.push(kind);
        }
        let last = reservations.last().and_then(|pair| pair.split_once('/')).unwrap().1;
        client.until(&format!("/v1/reservations/{last}"), |answer| answer.status == 200).await;
        Self { rooms: rooms.join(","), kinds: kinds.join(","), reservations: reservations.join(",") }
    }
}

fn schemathesis(options: &Options, url: &str, token: &str, known: &Known) -> Command {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).unwrap().join("probe");
    let seed = options.seed.to_string();
    let mut command = Command::new(&options.schemathesis);
    command
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .args(["--no-color", "run", &format!("{url}/openapi.json")])
        .args(["--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"])
        // One worker: Python 3.11 fails at random when several threads parse code.
        .args(["--workers", "1", "--generation-database", "none", "--seed", &seed])
        .args(["--max-examples", &options.cases.to_string()])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"))
        .env("PROBE_SEED", seed)
        .env("PROBE_ROOMS", &known.rooms)
        .env("PROBE_KINDS", &known.kinds)
        .env("PROBE_RESERVATIONS", &known.reservations)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true);
    command
}

/// The number of answers by a service's metrics.
async fn answered(url: &str) -> anyhow::Result<u64> {
    let metrics = reqwest::Client::new().request(Method::GET, format!("{url}/metrics")).send().await?;
    let text = metrics.text().await?;
    let counts = text.lines().filter(|line| line.starts_with("http_requests_total{"));
    Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}
