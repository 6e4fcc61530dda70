//! A mail server on this machine, which behaves as a test wants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use mail_parser::{MessageParser, MimeHeaders};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the server does with a mail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manners {
    /// Takes it.
    Takes,
    /// Answers its recipient with this code.
    Answers(u16),
    /// Takes it and never answers.
    Hangs,
}

/// A mail as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The recipient of the envelope.
    pub(crate) to: String,
    pub(crate) raw: String,
}

impl Received {
    pub(crate) fn id(&self) -> String {
        self.read().message_id().unwrap().to_owned()
    }

    pub(crate) fn subject(&self) -> String {
        self.read().subject().unwrap().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        self.read().body_text(0).unwrap().replace("\r\n", "\n")
    }

    fn read(&self) -> mail_parser::Message<'_> {
        MessageParser::default().parse(self.raw.as_bytes()).unwrap()
    }

    /// The properties of the calendar and of its only event, and the method of the part.
    pub(crate) fn calendar(&self) -> Option<HashMap<String, String>> {
        let mail = self.read();
        let part = mail.parts.iter().find(|part| part.is_content_type("text", "calendar"))?;
        let method = part.content_type().unwrap().attribute("method").unwrap().to_owned();
        let text = part.text_contents().unwrap().replace("\r\n ", "");
        assert!(text.ends_with("END:VCALENDAR\r\n"), "{text}");
        let mut properties: HashMap<String, String> = text
            .split_terminator("\r\n")
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        properties.insert("method".to_owned(), method);
        Some(properties)
    }
}

pub(crate) struct MailServer {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    commands: Arc<Mutex<Vec<String>>>,
    manners: Arc<Mutex<Manners>>,
    task: JoinHandle<()>,
}

impl MailServer {
    pub(crate) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let manners = Arc::new(Mutex::new(manners));
        let commands: Arc<Mutex<Vec<String>>> = Arc::default();
        let state = (Arc::clone(&received), Arc::clone(&commands), Arc::clone(&manners));
        let task = tokio::spawn(async move {
            let (received, commands, manners) = state;
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let commands = Arc::clone(&commands);
                tokio::spawn(serve(connection, Arc::clone(&received), commands, Arc::clone(&manners)));
            }
        });
        Self { port, received, commands, manners, task }
    }

    /// The commands that came, but for farewells.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.commands.lock().unwrap().iter().filter(|command| *command != "QUIT").cloned().collect()
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *self.manners.lock().unwrap() = manners;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    connection: TcpStream,
    received: Arc<Mutex<Vec<Received>>>,
    commands: Arc<Mutex<Vec<String>>>,
    manners: Arc<Mutex<Manners>>,
) -> Option<()> {
    let (reader, mut writer) = connection.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut to = String::new();
    writer.write_all(b"220 double\r\n").await.ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let manners = *manners.lock().unwrap();
        let upper = line.to_ascii_uppercase();
        let command = upper.split_whitespace().next()?;
        commands.lock().unwrap().push(command.to_owned());
        let answer = match (command, manners) {
            ("EHLO", _) => "250-double\r\n250-8BITMIME\r\n250 SMTPUTF8".to_owned(),
            ("RCPT", Manners::Answers(code)) => format!("{code} not {}", line.to_lowercase()),
            ("RCPT", _) => {
                to = line.split(['<', '>']).nth(1)?.to_owned();
                "250 yes".to_owned()
            }
            ("DATA", _) => {
                writer.write_all(b"354 go on\r\n").await.ok()?;
                let mut raw = String::new();
                loop {
                    let line = lines.next_line().await.ok()??;
                    if line == "." {
                        break;
                    }
                    raw += line.strip_prefix('.').unwrap_or(&line);
                    raw += "\r\n";
                }
                received.lock().unwrap().push(Received { to: to.clone(), raw });
                if matches!(manners, Manners::Hangs) {
                    std::future::pending::<()>().await;
                }
                "250 taken".to_owned()
            }
            ("QUIT", _) => "221 farewell".to_owned(),
            _ => "250 yes".to_owned(),
        };
        writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}
