//! Finds Kafka Connect and its plugins.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../servers/servers.sh");

/// The folder with all jars. The first call fetches them from Maven into the user's cache.
pub(super) fn installed() -> Result<PathBuf> {
    let output =
        Command::new(SCRIPT).arg("connect-jars").stderr(Stdio::inherit()).output().context(SCRIPT)?;
    ensure!(
        output.status.success(),
        "the peers could not be fetched from Maven, and without them there is nothing to compare with"
    );
    Ok(String::from_utf8(output.stdout)?.trim().into())
}
