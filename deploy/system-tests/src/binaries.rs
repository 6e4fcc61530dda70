//! The services' binaries, built once per test run.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// The path of a binary of the workspace, in the profile of the caller. The first call builds all of them, unless
/// `SYSTEM_TESTS_BINARIES` names a folder that has them.
pub(crate) fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    if let Some(folder) = std::env::var_os("SYSTEM_TESTS_BINARIES") {
        return folder.into();
    }
    // Taken before building, which may put another file in its place.
    let program = std::env::current_exe().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace with its tests: the same features as `cargo test --workspace` builds with, so that no
    // dependency is built twice.
    cargo.args(["build", "--workspace", "--bins", "--locked"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // What `cargo test` tells a test about its own package would make build scripts believe that theirs has moved.
    for (name, _) in std::env::vars_os() {
        let about_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") || name == "CARGO"
        });
        if about_package {
            cargo.env_remove(name);
        }
    }
    if cfg!(debug_assertions) {
        cargo.arg("--tests");
    } else {
        cargo.arg("--release");
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "the binaries can't be built: {status}");
    // A test runs as target/PROFILE/deps/it-HASH, a program as target/PROFILE/NAME.
    let folder = program.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}
