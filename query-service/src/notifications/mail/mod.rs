//! Notifications by e-mail: what a mail says (`message.rs`), and the server that takes it (`server.rs`).

mod message;
mod server;

use std::{fmt, time::Duration};

use lettre::{
    message::Mailbox,
    transport::smtp::{Error, response::Severity},
};
use service_kit::clock::Clock;
use shared_events::Timestamp;

pub use self::server::{InvalidServer, MailServer};
use super::{
    Answer, Delivery,
    delivery::{Outcome, Verdict},
};

/// Most characters of an e-mail address.
const MOST_CHARACTERS: usize = 254;
/// The time in which the server takes a mail. It is less than a lease.
pub const MAIL_IS_TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// An e-mail address.
#[derive(Clone, PartialEq, Eq)]
pub struct MailAddress(lettre::Address);

/// Shows the domain alone.
impl fmt::Debug for MailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0.domain())
    }
}

/// Why a text can't be an e-mail address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it must be an e-mail address of at most 254 characters, without quotes and spaces")]
pub struct InvalidMailAddress;

impl MailAddress {
    /// Reads an address, without a name beside it.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(text: &str) -> Result<Self, InvalidMailAddress> {
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "\"\\<>(),;:[]".contains(c);
        if text.chars().count() > MOST_CHARACTERS || text.contains(is_odd) {
            return Err(InvalidMailAddress);
        }
        text.parse().map(Self).map_err(|_| InvalidMailAddress)
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

/// The sender of all mails.
#[derive(Clone, Debug)]
pub struct Sender(Mailbox);

impl std::str::FromStr for Sender {
    type Err = InvalidMailAddress;

    /// Reads an address, or `Name <address>`.
    fn from_str(text: &str) -> Result<Self, InvalidMailAddress> {
        let mailbox: Mailbox = text.parse().map_err(|_| InvalidMailAddress)?;
        MailAddress::read(mailbox.email.as_ref()).map(|_| Self(mailbox))
    }
}

/// Sends mails.
pub struct Mailer {
    /// The server that takes them.
    pub server: MailServer,
    /// The sender.
    pub sender: Sender,
    /// The time in which the server takes a mail.
    pub timeout: Duration,
    /// The clock of attempts.
    pub clock: Clock,
}

impl Mailer {
    /// Sends a mail once. The server's words are logged and not shown: they may name its users and machines.
    pub(super) async fn send(&self, to: &MailAddress, delivery: &Delivery) -> Outcome {
        let now = Timestamp::from_epoch_millis(self.clock.now_ms());
        let message = match message::compose(&self.sender.0, &to.0, delivery, now) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(delivery = delivery.id, %error, "a mail can't be composed");
                return self.outcome(Verdict::Refused, "the mail can't be composed".to_owned());
            }
        };
        let sent = tokio::time::timeout(self.timeout, self.server.send(&self.sender.0, &message));
        let (verdict, text) = match sent.await {
            Ok(Ok(())) => (Verdict::Taken, "SMTP 250".to_owned()),
            Ok(Err(server::Failed::Before(error))) => {
                tracing::warn!(%error, "the mail server can't be used");
                (Verdict::Failed, "the mail server can't be used".to_owned())
            }
            Ok(Err(server::Failed::Sending(error))) => {
                tracing::info!(delivery = delivery.id, %error, "the mail server did not take a mail");
                refused(&error)
            }
            Err(_) => (Verdict::Failed, "no answer in time".to_owned()),
        };
        self.outcome(verdict, text)
    }

    fn outcome(&self, verdict: Verdict, text: String) -> Outcome {
        let at = Timestamp::from_epoch_millis(self.clock.now_ms());
        Outcome { answer: Answer { at, text }, verdict }
    }
}

/// The outcome of a mail that the server did not take: 5xx is for good, all else is tried again.
fn refused(error: &Error) -> (Verdict, String) {
    match error.status() {
        Some(code) if code.severity == Severity::PermanentNegativeCompletion => {
            (Verdict::Refused, format!("SMTP {code}"))
        }
        Some(code) => (Verdict::Failed, format!("SMTP {code}")),
        // The server can't take such an address, or has gone away.
        None if error.is_client() => {
            (Verdict::Refused, "the mail server can't take such an address".to_owned())
        }
        None => (Verdict::Failed, "the mail server went away".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_address_without_anything_that_could_end_a_line() {
        for text in ["ann@example.org", "ann+rooms@mail.example.org", "zoë@exämple.org"] {
            assert_eq!(MailAddress::read(text).unwrap().as_str(), text);
        }
        let long = format!("{}@example.org", "x".repeat(250));
        for text in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "ann@example.org\r\nBcc: eve@example.org",
            "ann@example.org, eve@example.org",
            "Ann <ann@example.org>",
            "\"a b\"@example.org",
            "ann@example.org ",
            "ann:eve@example.org",
            &long,
        ] {
            assert!(MailAddress::read(text).is_err(), "{text}");
        }
        assert_eq!(format!("{:?}", MailAddress::read("ann@example.org").unwrap()), "\"example.org\"");
        for text in ["rooms@example.org", "Rooms <rooms@example.org>"] {
            assert!(text.parse::<Sender>().is_ok(), "{text}");
        }
        assert!("Rooms".parse::<Sender>().is_err());
    }
}
