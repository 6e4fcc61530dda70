//! The origins of web pages that may use a service from a browser.

use std::{net::SocketAddr, str::FromStr};

use reqwest::Url;

/// Exact origins, as browsers send them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// The origins of pages that are served at a loopback address: by its number, and as `localhost`.
    #[must_use]
    pub fn of_this_machine(address: SocketAddr) -> Self {
        let urls = [format!("http://{address}"), format!("http://localhost:{}", address.port())];
        let urls = urls.iter().filter_map(|url| Url::parse(url).ok());
        Self(urls.map(|url| url.origin().ascii_serialization()).collect())
    }

    /// These and the others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the origin is one of them.
    pub(crate) fn have(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known == origin)
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// An origin in the form of the header: a scheme, a host in lower case, and a port that is not the scheme's.
fn one(text: &str) -> Result<String, String> {
    let is_page = |url: &Url| matches!(url.scheme(), "http" | "https") && !text.contains('*');
    let url = Url::parse(text).ok().filter(is_page);
    match url {
        Some(url) if url.origin().ascii_serialization() == text => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is no origin as browsers send it, such as https://rooms.example")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_on_this_machine_has_two_origins_and_its_own_port() {
        let origins = Origins::of_this_machine("127.0.0.1:8082".parse().unwrap())
            .and("https://rooms.example".parse().unwrap());
        for own in ["http://127.0.0.1:8082", "http://localhost:8082", "https://rooms.example"] {
            assert!(origins.have(own), "{own}");
        }
        for other in ["http://localhost:8081", "https://localhost:8082", "http://localhost", "null"] {
            assert!(!origins.have(other), "{other}");
        }
    }

    #[test]
    fn only_exact_origins_are_taken() {
        let origins: Origins =
            "https://rooms.example, http://localhost:3000,https://[::1]:8443".parse().unwrap();
        for own in ["https://rooms.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(origins.have(own), "{own}");
        }
        for other in
            ["http://rooms.example", "https://rooms.example:8443", "https://a.rooms.example", "null", ""]
        {
            assert!(!origins.have(other), "{other}");
        }
        for bad in [
            "*",
            "null",
            "https://*.example",
            "rooms.example",
            "https://rooms.example/",
            "https://rooms.example/page",
            "https://rooms.example:443",
            "https://Rooms.example",
            "https://user@rooms.example",
            "file:///page.html",
            "https://rooms.example,",
            "",
        ] {
            assert!(bad.parse::<Origins>().is_err(), "{bad}");
        }
    }
}
