//! What benchmarks ask MongoDB for.

use anyhow::{Context, Result};
use mongodb::{Client, bson::doc};

/// The server's version.
///
/// # Errors
/// When it can't be reached.
pub(crate) async fn version(url: &str) -> Result<String> {
    let info =
        Client::with_uri_str(url).await?.database("admin").run_command(doc! { "buildInfo": 1 }).await?;
    info.get_str("version").map(str::to_owned).context("no version")
}
