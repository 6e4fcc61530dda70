//! A system that trusts no network: TLS everywhere, passwords from files, and users with exactly the rights that the files
//! under `deploy/` grant.

mod authority;
mod tls_proxy;

use std::{path::Path, process::Stdio};

use authority::Authority;
use tempfile::TempDir;
use tls_proxy::TlsProxy;

use crate::{
    Client, Server,
    campaign::servers::{OwnServers, Target, project},
    free_port, kafka, mysql,
};

const PASSWORD: &str = "correct-horse";
const DATABASE: &str = "reservations";
const NOTICES: &str = "reservations.changes";
/// The users of `deploy/mysql/grants.sql`.
const USER: &str = "reservations";
const ERASURE_USER: &str = "reservations_erasure";
const MIGRATION_USER: &str = "reservations_migration";

/// Both services, not started yet, on their own running servers. Dropped, all of them end.
#[derive(Debug)]
pub struct Secured {
    /// The command service.
    pub command: Server,
    /// The query service.
    pub query: Server,
    command_url: String,
    query_url: String,
    migration_url_file: String,
    authority: Authority,
    mongodb: u16,
    _proxy: TlsProxy,
    /// Certificates, passwords and logs.
    folder: TempDir,
    servers: OwnServers,
}

impl Secured {
    /// Starts the servers and grants the services' users their rights.
    pub async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("authority of a test");
        let users = ["admin", "command-service", "query-service"].map(|name| format!("{name} {PASSWORD}\n"));
        let servers = OwnServers::start_with_tls(|tls| {
            authority.write(tls);
            std::fs::write(tls.join("kafka-users"), users.concat()).unwrap();
        })
        .await;
        authority.write(folder.path());
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let mongodb = free_port();
        let proxy = TlsProxy::start(mongodb, servers.mongodb, folder.path()).await;
        grant(&servers).await;
        let properties = format!(
            "security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\nssl.truststore.type=PEM\n\
             ssl.truststore.location={}\nsasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
             required username=\"admin\" password=\"{PASSWORD}\";\n",
            folder.path().join("ca.pem").display()
        );
        give_rights(&servers, &file("admin.properties", &properties)).await;

        let mysql_file = |user: &str| {
            let url = mysql_url(&servers, user, "127.0.0.1", "VERIFY_IDENTITY");
            file(&format!("{user}-url"), &format!("{url}\n"))
        };
        let mongodb_url = file("mongodb-url", &format!("{}\n", mongodb_url("127.0.0.1", mongodb)));
        let password = file("kafka-password", &format!("{PASSWORD}\n"));
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let common = |server: Server, name: &str, port: u16| {
            server
                .variable("LISTEN", format!("127.0.0.1:{port}"))
                .variable("DEV_HEADERS", "true")
                .variable("TLS_CERT_FILE", path("cert.pem"))
                .variable("TLS_KEY_FILE", path("key.pem"))
                .variable("TLS_CA_FILE", path("ca.pem"))
                .variable("KAFKA_BROKERS", format!("127.0.0.1:{}", servers.kafka))
                .variable("KAFKA_TLS", "true")
                .variable("KAFKA_USERNAME", name)
                .variable("KAFKA_PASSWORD_FILE", &password)
                // The variables of the test's environment name servers without TLS.
                .variable("MYSQL_URL", "")
                .variable("MONGODB_URL", "")
        };
        let [command_port, query_port] = [free_port(), free_port()];
        let [command_url, query_url] =
            [command_port, query_port].map(|port| format!("https://127.0.0.1:{port}"));
        let server = |name: &str, url: &String| Server::new(name, &["serve"], folder.path(), &[url]);
        let command = common(server("command-service", &command_url), "command-service", command_port)
            .variable("MYSQL_URL_FILE", mysql_file(USER))
            .variable("MYSQL_ERASURE_URL_FILE", mysql_file(ERASURE_USER));
        let migration_url_file = mysql_file(MIGRATION_USER);
        let query = common(server("query-service", &query_url), "query-service", query_port)
            .variable("MONGODB_URL_FILE", mongodb_url)
            .variable("KAFKA_NOTICES_TOPIC", NOTICES)
            .variable("FEED_URL", &command_url);
        Self {
            command,
            query,
            command_url,
            query_url,
            migration_url_file,
            authority,
            mongodb,
            _proxy: proxy,
            folder,
            servers,
        }
    }

    /// An administrator who trusts the authority.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::trusting(&self.authority.pem, &self.command_url, &self.query_url)
    }

    /// A file with the certificate of an authority that signed nothing here.
    #[must_use]
    pub fn other_authority(&self) -> String {
        let other = Authority::new("authority of somebody else");
        other.write_certificate(self.folder.path()).to_str().unwrap().to_owned()
    }

    /// A file with the authority's certificate.
    #[must_use]
    pub fn authority(&self) -> String {
        self.folder.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    /// The URL of the event store for the command service's user, with a name of this machine.
    #[must_use]
    pub fn mysql_url(&self, host: &str, ssl_mode: &str) -> String {
        mysql_url(&self.servers, USER, host, ssl_mode)
    }

    /// Migrates as the user for that.
    pub async fn migrate(&self) {
        let mut migrate = self.command.command(&["migrate"]);
        let output = migrate.env("MYSQL_URL_FILE", &self.migration_url_file).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The URL of the read models, with a name of this machine.
    #[must_use]
    pub fn mongodb_url(&self, host: &str) -> String {
        mongodb_url(host, self.mongodb)
    }

    /// The broker, with a name of this machine.
    #[must_use]
    pub fn brokers(&self, host: &str) -> String {
        format!("{host}:{}", self.servers.kafka)
    }

    /// Grants the command service's users their rights again, after the tables were created.
    pub async fn grant_again(&self) {
        run_grants(&self.servers).await;
    }

    /// Lets the command service's user read the binary log.
    pub async fn grant_binlog(&self) {
        let grants = std::fs::read_to_string(project().join("deploy/mysql/binlog-grants.sql")).unwrap();
        mysql::run(&self.servers.mysql_url(), &grants).await.unwrap();
    }

    /// Gives the command service the right to note in Kafka what was relayed, or takes it away.
    pub async fn let_note(&self, may: bool) {
        let action: &[&str] = if may { &["--add"] } else { &["--remove", "--force"] };
        let output = tokio::process::Command::new(project().join("deploy/servers/servers.sh"))
            .args(["kafka-acls", "--bootstrap-server", &self.brokers("127.0.0.1"), "--command-config"])
            .arg(self.folder.path().join("admin.properties"))
            .args(action)
            .args(["--allow-principal", "User:command-service", "--operation", "Read"])
            .args(["--group", "reservations.events-relay"])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "kafka-acls: {}", String::from_utf8_lossy(&said));
    }

    /// Runs a statement as one of the command service's users.
    pub async fn run_as(&self, user: &str, statement: &str) -> anyhow::Result<()> {
        let url = mysql_url(&self.servers, user, "127.0.0.1", "VERIFY_IDENTITY");
        let url = format!("{url}&ssl-ca={}", self.authority());
        Ok(mysql::run(&url, statement).await?)
    }

    /// Replaces the passwords of both services in Kafka and in their file, and ends all connections to Kafka.
    pub async fn replace_kafka_passwords(&self) {
        let broker = self.brokers("127.0.0.1");
        let administrator = self.folder.path().join("admin.properties");
        for user in ["command-service", "query-service"] {
            let output = tokio::process::Command::new(project().join("deploy/servers/servers.sh"))
                .args(["kafka-configs", "--bootstrap-server", &broker, "--command-config"])
                .arg(&administrator)
                .args(["--alter", "--entity-type", "users", "--entity-name", user])
                .args(["--add-config", "SCRAM-SHA-512=[password=another-horse]"])
                .stdin(Stdio::null())
                .output()
                .await
                .unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "kafka-configs: {}", String::from_utf8_lossy(&said));
        }
        std::fs::write(self.folder.path().join("kafka-password"), "another-horse\n").unwrap();
        self.servers.kill(Target::Kafka).await;
        self.servers.start_again(Target::Kafka).await;
    }

    /// Replaces the passwords of the command service's users in MySQL and in their files, and ends their sessions.
    pub async fn replace_mysql_passwords(&self) {
        let root = self.servers.mysql_url();
        for user in [USER, ERASURE_USER] {
            let alter = format!("ALTER USER '{user}'@'%' IDENTIFIED BY 'another-horse'");
            mysql::run(&root, &alter).await.unwrap();
            let url = mysql_url(&self.servers, user, "127.0.0.1", "VERIFY_IDENTITY");
            let url = url.replace(PASSWORD, "another-horse");
            std::fs::write(self.folder.path().join(format!("{user}-url")), url).unwrap();
            mysql::end_sessions(&root, user).await.unwrap();
        }
    }

    /// Sends a message to the topic of events as one of the services' users.
    pub async fn send_as(&self, user: &str) -> anyhow::Result<()> {
        let (brokers, authority) = (self.brokers("127.0.0.1"), self.authority());
        kafka::send_as(&brokers, &authority, (user, PASSWORD), "reservations.events").await
    }
}

fn mysql_url(servers: &OwnServers, user: &str, host: &str, ssl_mode: &str) -> String {
    format!("mysql://{user}:{PASSWORD}@{host}:{}/{DATABASE}?ssl-mode={ssl_mode}", servers.mysql)
}

fn mongodb_url(host: &str, port: u16) -> String {
    format!("mongodb://{host}:{port}/?directConnection=true&tls=true")
}

/// Creates the database and its users like an administrator, and grants the users their rights.
async fn grant(servers: &OwnServers) {
    let root = servers.mysql_url();
    mysql::run(&root, &format!("CREATE DATABASE {DATABASE}")).await.unwrap();
    for user in [USER, ERASURE_USER, MIGRATION_USER] {
        let prepare = format!(
            "CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
             GRANT ALL ON {DATABASE}.* TO '{user}'@'%'"
        );
        mysql::run(&root, &prepare).await.unwrap();
    }
    run_grants(servers).await;
}

async fn run_grants(servers: &OwnServers) {
    let grants = std::fs::read_to_string(project().join("deploy/mysql/grants.sql")).unwrap();
    mysql::run(&servers.mysql_url(), &grants).await.unwrap();
}

async fn give_rights(servers: &OwnServers, properties: &str) {
    let tool = Path::new(&project()).join("deploy/servers/servers.sh");
    let output = tokio::process::Command::new(project().join("deploy/kafka/acls.sh"))
        .args([&format!("127.0.0.1:{}", servers.kafka), properties])
        .env("KAFKA_NOTICES_TOPIC", NOTICES)
        .env("KAFKA_ACLS", format!("{} kafka-acls", tool.display()))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "acls.sh: {}", String::from_utf8_lossy(&said));
}
