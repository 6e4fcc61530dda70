//! Fetches Kafka Connect and its plugins into the user's cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// The folder's name: versions of Connect, Debezium and the MongoDB sink, and a number for other changes.
const NAME: &str = "connect-4.3.0-3.6.1-2.0.1-1";
const POM: &str = include_str!("../../connect/pom.xml");
/// The Maven profile of each class path, and the folder of its jars.
const FOLDERS: [(&str, &str); 3] =
    [("worker", "worker"), ("debezium", "plugins/debezium"), ("mongodb-sink", "plugins/mongodb-sink")];
/// Artifacts that plugins take from the worker. With their own copies the classes would differ.
const GIVEN: &str = "kafka-clients,connect-api,slf4j-api";

/// The folder with all jars. Fetches them with Maven on the first call.
pub(super) fn installed() -> Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) if !cache.is_empty() => PathBuf::from(cache),
        _ => PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    let folder = cache.join("room-reservations").join(NAME);
    if folder.exists() {
        return Ok(folder);
    }
    // Renamed when complete, so that an interrupted download never looks complete.
    let unfinished = folder.with_extension(format!("{}.tmp", std::process::id()));
    eprintln!(
        "  fetching Kafka Connect, Debezium and the MongoDB sink from Maven (once, 77 MB) into {}",
        folder.display()
    );
    let fetched = fetch(&unfinished);
    if fetched.is_ok() && fs::rename(&unfinished, &folder).is_ok() {
        return Ok(folder);
    }
    drop(fs::remove_dir_all(&unfinished));
    // Another process may have fetched them first.
    fetched
        .map(|()| folder.clone())
        .context(
            "the peers could not be fetched from Maven, and without them there is nothing to compare with",
        )
        .and_then(|folder| {
            ensure!(folder.exists(), "{} can't be made", folder.display());
            Ok(folder)
        })
}

fn fetch(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, POM)?;
    for (profile, jars) in FOLDERS {
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--file"]).arg(&pom).args(["--activate-profiles", profile]);
        maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
        maven.arg(format!("-DoutputDirectory={}", folder.join(jars).display()));
        if profile != "worker" {
            maven.arg(format!("-DexcludeArtifactIds={GIVEN}"));
        }
        let status = maven.status().context("mvn can't be started: apt-get install maven")?;
        ensure!(status.success(), "mvn could not fetch the jars of {profile}: {status}");
    }
    Ok(())
}
