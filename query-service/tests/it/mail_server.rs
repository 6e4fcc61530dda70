//! A mail server on this machine, which behaves as a test wants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use mail_parser::{MessageParser, MimeHeaders};
use service_kit::tls::Authorities;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer},
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
        let (method, text) = self.calendar_text()?;
        let mut properties: HashMap<String, String> = text
            .split_terminator("\r\n")
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        properties.insert("method".to_owned(), method);
        Some(properties)
    }

    /// The method and the unfolded lines of the calendar.
    pub(crate) fn calendar_text(&self) -> Option<(String, String)> {
        let mail = self.read();
        let part = mail.parts.iter().find(|part| part.is_content_type("text", "calendar"))?;
        let method = part.content_type().unwrap().attribute("method").unwrap().to_owned();
        let text = part.text_contents().unwrap().replace("\r\n ", "");
        assert!(text.ends_with("END:VCALENDAR\r\n"), "{text}");
        Some((method, text))
    }
}

/// How the server is reached.
#[derive(Clone)]
pub(crate) enum Way {
    Open,
    StartTls(Certificate),
    Tls(Certificate),
}

/// The certificate of a server, and its own authority.
#[derive(Clone)]
pub(crate) struct Certificate {
    acceptor: TlsAcceptor,
    pem: String,
}

impl Certificate {
    pub(crate) fn of(host: &str) -> Self {
        let own = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![own.cert.der().clone()], key.into()).unwrap();
        Self { acceptor: Arc::new(config).into(), pem: own.cert.pem() }
    }

    /// What a client reads from a file that holds it.
    pub(crate) fn trusted(&self, folder: &tempfile::TempDir) -> Authorities {
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, &self.pem).unwrap();
        file.to_str().unwrap().parse().unwrap()
    }
}

pub(crate) struct MailServer {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

struct State {
    manners: Manners,
    commands: Vec<String>,
    received: Vec<Received>,
}

impl MailServer {
    pub(crate) async fn start(manners: Manners) -> Self {
        Self::start_behind(Way::Open, manners).await
    }

    pub(crate) async fn start_behind(way: Way, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { manners, commands: Vec::new(), received: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(Box::new(connection), way.clone(), Arc::clone(&shared)));
            }
        });
        Self { port, state, task }
    }

    /// The commands that came, but for farewells. Those of which TLS hides the text end with a star.
    pub(crate) fn commands(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.commands.iter().filter(|command| !command.starts_with("QUIT")).cloned().collect()
    }

    pub(crate) fn behave(&self, manners: Manners) {
        self.state.lock().unwrap().manners = manners;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().received.len()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

async fn serve(mut connection: Box<dyn Connection>, way: Way, state: Arc<Mutex<State>>) -> Option<()> {
    let mut is_secret = false;
    if let Way::Tls(certificate) = &way {
        connection = Box::new(certificate.acceptor.accept(connection).await.ok()?);
        is_secret = true;
    }
    connection.write_all(b"220 double\r\n").await.ok()?;
    connection.flush().await.ok()?;
    while converse(&mut connection, is_secret, &way, &state).await? == Next::StartTls {
        let Way::StartTls(certificate) = &way else { return None };
        connection = Box::new(certificate.acceptor.accept(connection).await.ok()?);
        is_secret = true;
    }
    Some(())
}

#[derive(PartialEq, Eq)]
enum Next {
    StartTls,
    End,
}

/// Answers commands up to the end, or up to one that asks for TLS.
async fn converse(
    connection: &mut Box<dyn Connection>,
    is_secret: bool,
    way: &Way,
    state: &Mutex<State>,
) -> Option<Next> {
    let mut lines = BufReader::new(connection);
    let mut to = String::new();
    loop {
        let Some(line) = next_line(&mut lines).await else { return Some(Next::End) };
        let command = line.split_whitespace().next()?.to_ascii_uppercase();
        let manners = {
            let mut state = state.lock().unwrap();
            // A client that logs in sends its password in the same line.
            let shown = if command == "AUTH" { &line } else { &command };
            state.commands.push(format!("{shown}{}", if is_secret { "*" } else { "" }));
            state.manners
        };
        let answer = match (command.as_str(), manners) {
            ("EHLO", _) if is_secret => {
                "250-double\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8".to_owned()
            }
            ("EHLO", _) if matches!(way, Way::StartTls(_)) => "250-double\r\n250 STARTTLS".to_owned(),
            ("EHLO", _) => "250-double\r\n250-8BITMIME\r\n250 SMTPUTF8".to_owned(),
            ("STARTTLS", _) if matches!(way, Way::StartTls(_)) => {
                lines.write_all(b"220 begin\r\n").await.ok()?;
                lines.flush().await.ok()?;
                return Some(Next::StartTls);
            }
            ("AUTH", _) => "235 welcome".to_owned(),
            ("RCPT", Manners::Answers(code)) => format!("{code} not {}", line.to_lowercase()),
            ("RCPT", _) => {
                to = line.split(['<', '>']).nth(1)?.to_owned();
                "250 yes".to_owned()
            }
            ("DATA", _) => {
                lines.write_all(b"354 go on\r\n").await.ok()?;
                lines.flush().await.ok()?;
                let mut raw = String::new();
                loop {
                    let line = next_line(&mut lines).await?;
                    if line == "." {
                        break;
                    }
                    raw += line.strip_prefix('.').unwrap_or(&line);
                    raw += "\r\n";
                }
                state.lock().unwrap().received.push(Received { to: to.clone(), raw });
                if matches!(manners, Manners::Hangs) {
                    std::future::pending::<()>().await;
                }
                "250 taken".to_owned()
            }
            ("QUIT", _) => "221 farewell".to_owned(),
            _ => "250 yes".to_owned(),
        };
        lines.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        lines.flush().await.ok()?;
    }
}

async fn next_line(lines: &mut BufReader<&mut Box<dyn Connection>>) -> Option<String> {
    let mut line = String::new();
    let length = lines.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
