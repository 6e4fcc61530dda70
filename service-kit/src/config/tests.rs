use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use super::*;

crate::declare! {
    KEYS:
    /// Where the events are.
    MYSQL_URL: SecretString = Key::secret(Need::Required);
    /// Address to listen on.
    LISTEN: SocketAddr = Key::default("127.0.0.1:8081");
    /// Rows at once.
    BATCH: u32 = Key::default("10").within(1, 100);
    /// Anything,
    /// on two lines.
    NOTE: String = Key::optional();
    /// Where events go.
    TOPIC: String = Key::required();
}

fn settings(variables: &[(&str, &str)], file: &str) -> Settings {
    let declared = [KEYS, super::KEYS].concat();
    let mut settings = Settings::from_variables(declared, variables.iter().copied());
    settings.take_file(file);
    settings
}

fn names(mistakes: &Mistakes) -> Vec<&str> {
    mistakes.0.iter().map(|mistake| mistake.key.as_str()).collect()
}

#[test]
fn all_mistakes_are_reported_at_once_with_the_name_of_the_key() {
    let mut settings = settings(&[("LISTEN", "nowhere"), ("BATCH", "0")], "toppic = 'x'\nnote = {a = 1}");
    let _ = settings.read(&MYSQL_URL);
    let _ = settings.read(&LISTEN);
    let _ = settings.read(&BATCH);
    let _ = settings.read(&TOPIC);
    let mistakes = settings.finish(|| Some(())).unwrap_err();
    let mut found = names(&mistakes);
    found.sort_unstable();
    assert_eq!(found, ["BATCH", "LISTEN", "MYSQL_URL", "TOPIC", "note", "toppic"]);
    assert!(mistakes.to_string().contains("LISTEN: can't be read from \"nowhere\""), "{mistakes}");
    assert!(mistakes.to_string().contains("BATCH: must be 1 to 100"), "{mistakes}");
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let file = "listen = '127.0.0.1:1'\nbatch = 20\nmysql_url = 'from file'\ntopic = ['a', 'b']";
    let mut settings = settings(&[("LISTEN", "127.0.0.1:2"), ("TOPIC", "")], file);
    assert_eq!(settings.read(&LISTEN).unwrap().port(), 2);
    assert_eq!(settings.read(&BATCH), Some(20));
    assert_eq!(settings.read(&TOPIC).as_deref(), Some("a,b"));
    assert_eq!(settings.read(&NOTE), None);
    assert_eq!(settings.read(&MYSQL_URL).unwrap().expose_secret(), "from file");
    settings.finish(|| Some(())).unwrap();
}

#[test]
fn a_secret_may_come_from_a_file_and_shows_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "mysql://u:hunter2@h/db\n").unwrap();
    let mut settings = settings(&[("MYSQL_URL_FILE", path.to_str().unwrap()), ("NOTE", "hunter2")], "");
    let url = settings.read(&MYSQL_URL).unwrap();
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
        let mut settings = settings(pairs, "");
        assert!(settings.read(&MYSQL_URL).is_none());
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
    let mut settings = settings(&[], "mysql_url = 'hunter2");
    assert_eq!(settings.read(&BATCH), Some(10));
    let mistakes = settings.finish(|| Some(())).unwrap_err();
    assert_eq!(names(&mistakes), ["CONFIG_FILE"]);
    assert!(!mistakes.to_string().contains("hunter2"), "{mistakes}");
}

#[test]
fn a_file_that_is_missing_is_reported() {
    let mut settings = settings(&[("CONFIG_FILE", "/nowhere/at.toml")], "");
    settings.read_file();
    assert_eq!(names(&settings.finish(|| Some(())).unwrap_err()), ["CONFIG_FILE"]);
}

#[test]
fn the_table_names_each_setting() {
    let table = markdown_table(KEYS);
    assert_eq!(table.lines().count(), 2 + KEYS.len());
    assert!(table.contains("| `BATCH` | `10` | 1 to 100 | Rows at once. |"), "{table}");
    assert!(table.contains("| `NOTE` | none |  | Anything, on two lines. |"), "{table}");
}

#[test]
fn a_secret_follows_its_file_and_keeps_its_value_while_the_file_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("one\n");
    let mut settings = settings(&[("MYSQL_URL_FILE", file.to_str().unwrap()), ("TOPIC", "t")], "");
    let secret = settings.read_secret(&MYSQL_URL).unwrap();
    settings.finish(|| Some(())).unwrap();
    let is = |value: &str| assert_eq!(secret.current().expose_secret(), value);
    is("one");
    for broken in ["", "\n"] {
        write(broken);
        is("one");
    }
    write("two\r\n");
    is("two");
    std::fs::remove_file(&file).unwrap();
    is("two");
    assert!(!format!("{secret:?}").contains("two"));
}
