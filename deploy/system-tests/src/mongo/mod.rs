//! A database of one's own.

/// Removes a database with all that is in it.
///
/// # Errors
/// When the server can't be reached or refuses.
pub async fn drop_database(server: &str, name: &str) -> mongodb::error::Result<()> {
    mongodb::Client::with_uri_str(server).await?.database(name).drop().await
}
