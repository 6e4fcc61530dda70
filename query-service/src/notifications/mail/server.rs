//! The mail server: its address, and one conversation with it.

use std::{fmt, time::Duration};

use lettre::{
    Message,
    message::Mailbox,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        extension::ClientId,
    },
};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use service_kit::tls::{Authorities, is_this_machine};

/// How long the server may take to say farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// A mail server, from an address such as `smtps://user:password@mail.example.org`.
#[derive(Clone)]
pub struct MailServer {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
}

#[derive(Clone)]
enum Security {
    None,
    /// TLS after `STARTTLS`, without which nothing is sent.
    StartTls(TlsParameters),
    /// TLS from the start.
    Tls(TlsParameters),
}

/// Shows neither user nor password.
impl fmt::Debug for MailServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// Why a text can't be the address of a mail server. Holds no part of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidServer {
    /// It has another form.
    #[error(
        "it must be smtps://[USER:PASSWORD@]HOST[:PORT] or smtp://[USER:PASSWORD@]HOST[:PORT][?tls=false]"
    )]
    Form,
    /// There can be no TLS with it.
    #[error("no TLS with this server: {0}")]
    Tls(#[from] Error),
    /// The authorities can't be read.
    #[error("TLS_CA_FILE: {0}")]
    Authorities(#[from] std::io::Error),
}

/// Where a conversation failed.
pub(super) enum Failed {
    /// Before the mail: connecting, TLS or logging in.
    Before(Error),
    /// With the mail.
    Sending(Error),
}

impl MailServer {
    /// Reads an address. Only servers of this machine, and those with `tls=false`, are used without TLS.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str, authorities: Option<&Authorities>) -> Result<Self, InvalidServer> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidServer::Form)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(InvalidServer::Form)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(InvalidServer::Form);
        }
        let tls = || -> Result<TlsParameters, InvalidServer> {
            let mut parameters = TlsParameters::builder(host.clone());
            if let Some(authorities) = authorities {
                let certificates = Certificate::from_pem(&std::fs::read(authorities.path())?)?;
                parameters = parameters.add_root_certificate(certificates);
            }
            Ok(parameters.build()?)
        };
        let (security, port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (Security::Tls(tls()?), 465),
            ("smtp", None) if is_this_machine(&host) => (Security::None, 587),
            ("smtp", Some("tls=false")) => (Security::None, 587),
            ("smtp", None | Some("tls=true")) => (Security::StartTls(tls()?), 587),
            _ => return Err(InvalidServer::Form),
        };
        let decoded = |text: &str| {
            percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| InvalidServer::Form)
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, Some(password)) if !user.is_empty() => {
                Some(Credentials::new(decoded(user)?, decoded(password)?))
            }
            _ => return Err(InvalidServer::Form),
        };
        Ok(Self { port: url.port().unwrap_or(port), host, security, credentials })
    }

    /// Gives the server one mail, over a connection of its own.
    pub(super) async fn send(&self, sender: &Mailbox, message: &Message) -> Result<(), Failed> {
        let mut connection = self.connect(sender).await.map_err(Failed::Before)?;
        let sent = connection.send(message.envelope(), &message.formatted()).await;
        _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
        sent.map(drop).map_err(Failed::Sending)
    }

    async fn connect(&self, sender: &Mailbox) -> Result<AsyncSmtpConnection, Error> {
        let name = ClientId::Domain(sender.email.domain().to_owned());
        let tls = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::None | Security::StartTls(_) => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, None, &name, tls, None).await?;
        if let Security::StartTls(parameters) = &self.security {
            connection.starttls(parameters.clone(), &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_are_reached_by_tls_unless_the_address_says_otherwise() {
        let read = |text: &str| MailServer::read(text, None);
        let is = |text: &str| {
            let server = read(text).unwrap();
            let security = match server.security {
                Security::None => "none",
                Security::StartTls(_) => "starttls",
                Security::Tls(_) => "tls",
            };
            (format!("{server:?}"), security, server.credentials.is_some())
        };
        assert_eq!(is("smtps://u:p%40ss@mail.example.org"), ("mail.example.org:465".into(), "tls", true));
        assert_eq!(is("smtp://mail.example.org"), ("mail.example.org:587".into(), "starttls", false));
        assert_eq!(is("smtp://mail:25?tls=false"), ("mail:25".into(), "none", false));
        assert_eq!(is("smtp://127.0.0.1:3025"), ("127.0.0.1:3025".into(), "none", false));
        assert_eq!(is("smtp://127.0.0.1:3025?tls=true"), ("127.0.0.1:3025".into(), "starttls", false));
        for text in [
            "",
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtps://mail.example.org?tls=false",
            "smtp://mail.example.org?tls=opportunistic",
            "smtp://mail.example.org/name",
            "smtp://user@mail.example.org",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(!error.contains("example"), "{error}");
        }
    }
}
