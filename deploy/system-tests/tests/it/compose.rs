//! docker-compose.yml uses existing settings, and keeps its promises.
#![expect(clippy::panic, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::project::{read, root};

/// The services of this project. Their folders have the same names.
pub(super) const OURS: [&str; 2] = ["command-service", "query-service"];

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    build: Option<Build>,
    #[serde(default)]
    environment: BTreeMap<String, Value>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
    healthcheck: Healthcheck,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    cap_drop: Vec<String>,
    #[serde(default)]
    security_opt: Vec<String>,
    #[serde(default)]
    network_mode: String,
}

#[derive(Deserialize)]
struct Build {
    dockerfile: String,
    target: String,
}

#[derive(Deserialize)]
struct Dependency {
    condition: String,
}

#[derive(Deserialize)]
struct Healthcheck {
    #[serde(default)]
    test: Vec<String>,
    #[serde(default)]
    disable: bool,
}

/// A row of a README's table of settings.
pub(super) struct Setting {
    pub(super) required: bool,
    pub(super) secret: bool,
}

fn compose() -> Compose {
    let mut document: Value = serde_yaml_ng::from_str(&read("docker-compose.yml")).unwrap();
    document.apply_merge().unwrap();
    serde_yaml_ng::from_value(document).unwrap()
}

/// The rows `| `NAME` | default | range | meaning |` of a service's README. The service's own tests compare them with its code.
pub(super) fn settings(service: &str) -> BTreeMap<String, Setting> {
    let readme = read(&format!("{service}/README.md"));
    let rows = readme.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let required = cells.next()?.trim() == "required";
        let secret = cells.any(|cell| cell.contains(&format!("{name}_FILE")));
        name.chars().all(upper).then(|| (name.to_owned(), Setting { required, secret }))
    });
    let settings: BTreeMap<_, _> = rows.collect();
    assert!(settings.contains_key("LISTEN"), "{service}/README.md has no table of settings");
    settings
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        other => panic!("{other:?} is no value of a variable"),
    }
}

#[test]
fn every_variable_is_a_setting_of_its_service_and_every_required_setting_is_given() {
    let compose = compose();
    for name in OURS {
        let settings = settings(name);
        let given = &compose.services[name].environment;
        for variable in given.keys() {
            let from_file = variable.strip_suffix("_FILE").and_then(|of| settings.get(of));
            let known = settings.contains_key(variable) || from_file.is_some_and(|setting| setting.secret);
            assert!(known, "{name} has no setting {variable}");
        }
        for (setting, _) in settings.iter().filter(|(_, setting)| setting.required) {
            let is_given = given.contains_key(setting) || given.contains_key(&format!("{setting}_FILE"));
            assert!(is_given, "{name} needs {setting}");
        }
    }
}

#[test]
fn addresses_name_services_of_the_file_and_the_ports_on_which_they_listen() {
    let compose = compose();
    let ports: BTreeMap<&str, &str> = [
        ("mysql", "3306"),
        ("kafka", "9092"),
        ("mongodb", "27017"),
        ("command-service", "8081"),
        ("query-service", "8082"),
    ]
    .into();
    for name in OURS {
        let service = &compose.services[name];
        assert_eq!(text(&service.environment["LISTEN"]), format!("0.0.0.0:{}", ports[name]));
        assert!(service.ports[0].ends_with(&format!(":{}", ports[name])), "{name} publishes another port");
        for (variable, host) in [
            ("MYSQL_URL", "mysql"),
            ("MYSQL_ERASURE_URL", "mysql"),
            ("KAFKA_BROKERS", "kafka"),
            ("MONGODB_URL", "mongodb"),
            ("FEED_URL", "command-service"),
        ] {
            let Some(value) = service.environment.get(variable).map(text) else { continue };
            let authority = value.rsplit("//").next().unwrap().rsplit('@').next().unwrap();
            let authority = authority.split('/').next().unwrap();
            assert_eq!(authority, format!("{host}:{}", ports[host]), "{name}: {variable}");
            assert!(service.depends_on.contains_key(host), "{name} does not wait for {host}");
        }
    }
}

#[test]
fn the_page_finds_the_command_service_which_lets_it_in() {
    let compose = compose();
    let port = |service: &str| compose.services[service].ports[0].trim_start_matches("127.0.0.1:").to_owned();
    let outside = |service: &str| port(service).rsplit_once(':').unwrap().0.to_owned();
    let of_page = text(&compose.services["query-service"].environment["PAGE_COMMANDS_URL"]);
    assert_eq!(of_page, format!("http://127.0.0.1:{}", outside("command-service")));
    let origins = text(&compose.services["command-service"].environment["CORS_ORIGINS"]);
    let page = outside("query-service");
    assert_eq!(origins, format!("http://127.0.0.1:{page},http://localhost:{page}"));
}

#[test]
fn mysql_keeps_its_binary_logs_for_a_day_in_containers_and_natively() {
    for file in ["docker-compose.yml", "deploy/servers/mysql.cnf"] {
        let text = read(file);
        let setting = text.lines().find_map(|line| line.split_once("binlog-expire-logs-seconds"));
        let seconds: u32 = setting.unwrap().1.trim_matches([' ', '=']).parse().unwrap();
        assert!(seconds >= 24 * 60 * 60, "{file}: {seconds}");
    }
}

#[test]
fn the_user_and_the_database_of_mysql_are_those_that_are_made() {
    let compose = compose();
    let made = &compose.services["mysql"].environment;
    let [user, password, database] =
        ["MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE"].map(|variable| text(&made[variable]));
    let (erasure, migration) = (format!("{user}_erasure"), format!("{user}_migration"));
    for (service, variable, user) in [
        ("command-service", "MYSQL_URL", &user),
        ("command-service", "MYSQL_ERASURE_URL", &erasure),
        ("migrate", "MYSQL_URL", &migration),
    ] {
        let url = text(&compose.services[service].environment[variable]);
        assert_eq!(url, format!("mysql://{user}:{password}@mysql:3306/{database}?ssl-mode=DISABLED"));
    }
    let created = read("deploy/mysql/development-users.sql");
    for user in [&erasure, &migration] {
        let create = format!("CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}';");
        assert!(created.contains(&create), "{user} is not made");
    }
    let grants = read("deploy/mysql/grants.sql");
    let statements = grants.lines().filter(|line| !line.starts_with("--")).collect::<String>();
    let (grants, masking) = statements.split_once("SET @masking").unwrap();
    assert!(masking.contains(&format!("ON {database}.events TO '{erasure}'@'%'")));
    for statement in grants.split(';').filter(|statement| !statement.is_empty()) {
        let whom = [&user, &erasure, &migration].map(|user| format!(" '{user}'@'%'"));
        assert!(whom.iter().any(|user| statement.ends_with(user)), "{statement}");
        let table = statement.split_once(" ON ").map(|(_, on)| on);
        assert!(table.is_none_or(|on| on.starts_with(&format!("{database}."))), "{statement}");
    }
    let password = text(&compose.services["mongodb"].environment["QUERY_SERVICE_PASSWORD"]);
    let url = text(&compose.services["query-service"].environment["MONGODB_URL"]);
    assert!(url.starts_with(&format!("mongodb://query-service:{password}@mongodb:27017/")), "{url}");
    let roles = read("deploy/mongodb/roles.js");
    assert!(roles.contains("process.env.QUERY_SERVICE_PASSWORD") && roles.contains("'query-service'"));
}

#[test]
fn metrics_are_published_beside_the_public_ports_and_scraped_there() {
    let scraped = read("deploy/prometheus/prometheus.yml");
    let compose = compose();
    for name in OURS {
        let service = &compose.services[name];
        let listen = text(&service.environment["ADMIN_LISTEN"]);
        let port = listen.strip_prefix("0.0.0.0:").unwrap();
        assert!(service.ports[1].ends_with(&format!("-{port}}}:{port}")), "{name}: {:?}", service.ports);
        assert!(scraped.contains(&format!(":{port}\"")), "{name} is not scraped at {port}");
    }
}

#[test]
fn a_service_waits_until_its_dependencies_are_healthy() {
    let compose = compose();
    for (name, service) in &compose.services {
        for (other, dependency) in &service.depends_on {
            let runs_once = compose.services[other].healthcheck.disable;
            let condition = if runs_once { "service_completed_successfully" } else { "service_healthy" };
            assert_eq!(dependency.condition, condition, "{name} waits for {other}");
        }
        assert!(
            service.healthcheck.disable || !service.healthcheck.test.is_empty(),
            "{name} has no health check"
        );
    }
}

#[test]
fn images_from_elsewhere_are_pinned_and_data_is_in_named_volumes() {
    let compose = compose();
    let mut used = BTreeSet::new();
    for (name, service) in &compose.services {
        if service.build.is_none() {
            let (tagged, digest) = service.image.split_once("@sha256:").unwrap_or((&service.image, ""));
            let (_, tag) = tagged.split_once(':').unwrap_or_else(|| panic!("{name} has no tag"));
            let tag = tag.strip_suffix(".Final").unwrap_or(tag);
            assert_eq!(tag.split('.').count(), 3, "{name}: {tag} is not a whole version");
            assert!(digest.is_empty() || digest.len() == 64, "{name}: {digest} is no digest");
        }
        for volume in &service.volumes {
            let source = volume.split(':').next().unwrap();
            // Files of the project are mounted read-only.
            if let Some(path) = source.strip_prefix("./") {
                assert!(volume.ends_with(":ro") && path.starts_with("deploy/"), "{name}: {volume}");
                assert!(root().join(path).is_dir(), "{name}: there is no {path}");
                continue;
            }
            assert!(compose.volumes.contains_key(source), "{name}: {source} is no named volume");
            used.insert(source.to_owned());
        }
    }
    assert!(compose.volumes.keys().all(|volume| used.contains(volume)), "a volume is not used");
}

#[test]
fn nothing_is_published_beyond_this_machine() {
    for (name, service) in &compose().services {
        assert!(
            service.ports.iter().all(|port| port.starts_with("127.0.0.1:")),
            "{name}: {:?}",
            service.ports
        );
    }
}

#[test]
fn our_services_can_change_nothing_but_their_volumes() {
    let compose = compose();
    let ours = compose.services.iter().filter(|(_, service)| service.build.is_some());
    let mut count = 0;
    for (name, service) in ours {
        assert!(service.read_only, "{name} may write to its image");
        assert_eq!(service.cap_drop, ["ALL"], "{name}");
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn only_containers_without_a_network_have_the_private_key() {
    let compose = compose();
    let mut with_key = Vec::new();
    for (name, service) in &compose.services {
        if service.volumes.iter().any(|volume| volume.starts_with("keys:")) {
            assert_eq!(service.network_mode, "none", "{name} could send the private key");
            with_key.push(name);
        }
    }
    assert_eq!(with_key, ["dev-key", "token"]);
    for name in OURS {
        let service = &compose.services[name];
        let public = service.volumes.contains(&"public-keys:/keys/public:ro".to_owned());
        assert!(public && text(&service.environment["JWKS_FILE"]) == "/keys/public/jwks.json", "{name}");
        let with_token = service.volumes.iter().any(|volume| volume.starts_with("feed-token:"));
        assert_eq!(with_token, name == "query-service", "{name}");
    }
}

#[test]
fn the_image_is_built_with_the_toolchain_of_the_project_from_all_manifests() {
    let compose = compose();
    let build = compose.services["command-service"].build.as_ref().unwrap();
    let dockerfile = read(&build.dockerfile);
    for name in OURS {
        let build = compose.services[name].build.as_ref().unwrap();
        assert!(dockerfile.contains(&format!(" AS {}\n", build.target)), "{name}: no such target");
    }
    let toolchain = read("rust-toolchain.toml");
    let channel =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert!(dockerfile.contains(&format!("FROM rust:{channel}-")), "another version of Rust");
    assert!(dockerfile.contains(&format!("ENV RUSTUP_TOOLCHAIN={channel}\n")), "another version of Rust");
    let manifest = read("Cargo.toml");
    let sent_to_the_builder = read(".dockerignore");
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    for member in members.split('"').filter(|member| member.contains(|c: char| c.is_ascii_alphabetic())) {
        let copied = dockerfile.contains(&format!("COPY {member}/Cargo.toml {member}/\n"));
        assert!(copied, "the layer of dependencies has no {member}");
        let lines = [format!("!{member}\n"), format!("!{member}/Cargo.toml\n")];
        let sent = lines.iter().any(|line| sent_to_the_builder.contains(line));
        assert!(sent, ".dockerignore leaves out the manifest of {member}");
    }
}
