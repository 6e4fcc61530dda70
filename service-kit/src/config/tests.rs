use secrecy::ExposeSecret;

use super::*;

const KEYS: &[Key] = &[
    Key::required("MYSQL_URL", "Where the events are.").secret(),
    Key::with_default("LISTEN", "127.0.0.1:8081", "Address to listen on."),
    Key::with_default("BATCH", "10", "Rows at once."),
    Key::optional("NOTE", "Anything."),
    Key::required("TOPIC", "Where events go."),
];

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn names(mistakes: &Mistakes) -> Vec<&str> {
    mistakes.0.iter().map(|mistake| mistake.key.as_str()).collect()
}

#[test]
fn all_mistakes_are_reported_at_once_with_the_name_of_the_key() {
    let environment = environment(&[("LISTEN", "nowhere"), ("BATCH", "0")]);
    let mut settings = Settings::from_parts(KEYS, environment, "toppic = 'x'\nnote = {a = 1}");
    let _ = settings.secret("MYSQL_URL");
    let _ = settings.get::<std::net::SocketAddr>("LISTEN");
    let _ = settings.within::<u32>("BATCH", 1, 100);
    let _ = settings.get::<String>("TOPIC");
    let mistakes = settings.finish(|| Some(())).unwrap_err();
    let mut found = names(&mistakes);
    found.sort_unstable();
    assert_eq!(found, ["BATCH", "LISTEN", "MYSQL_URL", "TOPIC", "note", "toppic"]);
    assert!(mistakes.to_string().contains("LISTEN: can't be read from \"nowhere\""), "{mistakes}");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file = "listen = '127.0.0.1:1'\nbatch = 20\nmysql_url = 'from file'\ntopic = ['a', 'b']";
    let mut settings =
        Settings::from_parts(KEYS, environment(&[("LISTEN", "127.0.0.1:2"), ("TOPIC", "")]), file);
    assert_eq!(settings.get::<String>("LISTEN").as_deref(), Some("127.0.0.1:2"));
    assert_eq!(settings.get::<u32>("BATCH"), Some(20));
    assert_eq!(settings.get::<String>("TOPIC").as_deref(), Some("a,b"));
    assert_eq!(settings.optional::<String>("NOTE"), None);
    assert_eq!(settings.secret("MYSQL_URL").unwrap().expose_secret(), "from file");
    settings.finish(|| Some(())).unwrap();
}

#[test]
fn a_secret_may_come_from_a_file_and_shows_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "mysql://u:hunter2@h/db\n").unwrap();
    let environment = environment(&[("MYSQL_URL_FILE", path.to_str().unwrap()), ("NOTE", "hunter2")]);
    let mut settings = Settings::from_parts(KEYS, environment, "");
    let url = settings.secret("MYSQL_URL").unwrap();
    assert_eq!(url.expose_secret(), "mysql://u:hunter2@h/db");
    assert!(!format!("{url:?} {settings:?}").contains("hunter2"));
}

#[test]
fn a_secret_given_twice_or_as_an_empty_file_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let path = path.to_str().unwrap();
    std::fs::write(path, "mysql://u:hunter2@h/db\n").unwrap();
    let mistakes = |pairs: &[(&str, &str)]| {
        let mut settings = Settings::from_parts(KEYS, environment(pairs), "");
        assert!(settings.secret("MYSQL_URL").is_none());
        let mistakes = settings.finish(|| Some(())).unwrap_err();
        assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
        mistakes.to_string()
    };
    let twice = mistakes(&[("MYSQL_URL", "mysql://u:hunter2@h/db"), ("MYSQL_URL_FILE", path)]);
    assert!(twice.contains("MYSQL_URL_FILE: can't be set together with MYSQL_URL"), "{twice}");
    std::fs::write(path, "\n").unwrap();
    let empty = mistakes(&[("MYSQL_URL_FILE", path)]);
    assert!(empty.contains(&format!("MYSQL_URL_FILE: {path} is empty")), "{empty}");
}

#[test]
fn a_broken_file_is_reported_without_its_text() {
    let mut settings = Settings::from_parts(KEYS, environment(&[]), "mysql_url = 'hunter2");
    assert_eq!(settings.get::<u32>("BATCH"), Some(10));
    let mistakes = settings.finish(|| Some(())).unwrap_err();
    assert_eq!(names(&mistakes), [CONFIG_FILE]);
    assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
}

#[test]
fn a_file_that_is_missing_is_reported() {
    let settings = Settings::from_environment(KEYS, environment(&[(CONFIG_FILE, "/nowhere/at.toml")]));
    assert_eq!(names(&settings.finish(|| Some(())).unwrap_err()), [CONFIG_FILE]);
}

#[test]
fn the_table_names_each_setting() {
    let table = markdown_table(KEYS);
    assert_eq!(table.lines().count(), 2 + KEYS.len());
    assert!(table.contains("| `BATCH` | `10` | Rows at once. |"));
}
