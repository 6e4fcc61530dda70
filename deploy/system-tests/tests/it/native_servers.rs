//! The servers of `deploy/servers/servers.sh` can do no harm to the machine, and MySQL asks for its password.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use system_tests::{mysql, unique};

use crate::project::root;

const NAMES: [&str; 3] = ["mysql", "kafka", "mongodb"];

/// A set of servers. Dropped, it ends and is removed.
struct Set(PathBuf);

impl Set {
    /// Starts the servers on free ports. Returns the script's output with them.
    fn start() -> (Self, String) {
        let set = Self(root().join(".servers/private").join(unique("native")));
        let output = set.script("up").stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (set, String::from_utf8(output.stdout).unwrap())
    }

    fn script(&self, command: &str) -> Command {
        let mut script = Command::new(root().join("deploy/servers/servers.sh"));
        script.arg(command).env("SERVERS_DIR", &self.0).stdin(Stdio::null()).stderr(Stdio::null());
        script.envs(["MYSQL_PORT", "KAFKA_PORT", "MONGODB_PORT"].map(|port| (port, "0")));
        script
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        let ended = self.script("kill").status();
        assert!(ended.is_ok_and(|status| status.success()), "the servers in {} run on", self.0.display());
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The real, effective, saved and file system user of a server's process.
fn users(folder: &Path, name: &str) -> Vec<u32> {
    let pid = fs::read_to_string(folder.join(format!("run/{name}.pid"))).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", pid.split(' ').next().unwrap())).unwrap();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    users.split_whitespace().map(|user| user.parse().unwrap()).collect()
}

#[tokio::test]
async fn servers_run_as_an_unprivileged_user_and_mysql_lets_nobody_in_without_its_password() {
    let (set, printed) = Set::start();
    for name in NAMES {
        let users = users(&set.0, name);
        assert!(users.len() == 4 && !users.contains(&0), "{name} runs as {users:?}");
    }
    let url = printed.split('\'').nth(1).unwrap();
    mysql::run(url, "SELECT 1").await.unwrap();
    let password = fs::read_to_string(set.0.join("mysql-password")).unwrap();
    let open = url.replace(&format!(":{password}@"), "@");
    assert!(password.len() == 32 && open != url, "{url}");
    let refused = mysql::run(&open, "SELECT 1").await.unwrap_err().to_string();
    assert!(refused.contains("Access denied"), "{refused}");
    let mode = fs::metadata(set.0.join("mysql-password")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
