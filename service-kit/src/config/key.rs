//! Declarations of settings: name, type, default, range and meaning, each in one place.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

/// The outcome where a setting is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The service refuses to start.
    Required,
    /// The service uses this value.
    Default(&'static str),
    /// The service does without.
    Optional,
}

/// A setting, whatever the type of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declaration {
    /// Name of the environment variable; in the TOML file the same in lower case.
    pub name: &'static str,
    /// The outcome where the setting is absent.
    pub need: Need,
    /// The least value and the highest one, both allowed.
    pub range: Option<(u32, Option<u32>)>,
    /// A hidden value, which may be in a file named by `NAME_FILE` too.
    pub secret: bool,
    /// The lines of the text for the table of settings, with the unit.
    pub doc: &'static [&'static str],
}

impl Declaration {
    /// Whether the range has this number. Not a number is in no range.
    pub(super) fn allows(&self, text: &str) -> bool {
        let number = text.trim().parse().unwrap_or(f64::NAN);
        self.range.is_none_or(|(least, most)| {
            number >= least.into() && most.map_or(f64::INFINITY, f64::from) >= number
        })
    }

    /// The range in words.
    pub(super) fn range(&self) -> Option<String> {
        self.range.map(|(least, most)| match most {
            Some(most) => format!("{least} to {most}"),
            None => format!("at least {least}"),
        })
    }
}

/// A row of the table.
impl Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, need, secret, .. } = self;
        write!(f, "| `{name}` | ")?;
        match need {
            Need::Required => write!(f, "required"),
            Need::Default(value) => write!(f, "`{value}`"),
            Need::Optional => write!(f, "none"),
        }?;
        write!(f, " | {} |", self.range().unwrap_or_default())?;
        self.doc.iter().try_for_each(|line| write!(f, " {}", line.trim()))?;
        if *secret {
            write!(f, " Secret; or a file named by `{name}_FILE`.")?;
        }
        write!(f, " |")
    }
}

/// The table of settings for a README, in Markdown.
#[must_use]
pub fn markdown_table(declarations: &[Declaration]) -> String {
    let head = "| setting | default | range | meaning |\n| --- | --- | --- | --- |\n";
    declarations.iter().fold(head.to_owned(), |table, row| format!("{table}{row}\n"))
}

/// A setting with a value of this type. [`declare!`](crate::declare) gives it its name.
pub struct Key<T> {
    pub(super) declaration: Declaration,
    pub(super) parse: fn(&str) -> Result<T, String>,
}

impl<T> Key<T> {
    const fn new(need: Need, parse: fn(&str) -> Result<T, String>) -> Self {
        let declaration = Declaration { name: "", need, range: None, secret: false, doc: &[] };
        Self { declaration, parse }
    }

    /// The same setting, a number within these bounds, both allowed.
    #[must_use]
    pub const fn within(mut self, least: u32, most: u32) -> Self {
        self.declaration.range = Some((least, Some(most)));
        self
    }

    /// The same setting, a number of at least `least`.
    #[must_use]
    pub const fn at_least(mut self, least: u32) -> Self {
        self.declaration.range = Some((least, None));
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn declared(mut self, name: &'static str, doc: &'static [&'static str]) -> Self {
        self.declaration.name = name;
        self.declaration.doc = doc;
        self
    }

    /// The declaration, for a list of all settings.
    #[must_use]
    pub const fn declaration(&self) -> Declaration {
        self.declaration
    }
}

impl<T: FromStr<Err: Display>> Key<T> {
    /// A setting without which the service does not start.
    #[must_use]
    pub const fn required() -> Self {
        Self::new(Need::Required, parse)
    }

    /// A setting with a default.
    #[must_use]
    pub const fn default(value: &'static str) -> Self {
        Self::new(Need::Default(value), parse)
    }

    /// A setting that may be absent.
    #[must_use]
    pub const fn optional() -> Self {
        Self::new(Need::Optional, parse)
    }
}

impl Key<SecretString> {
    /// A secret; required, or not.
    #[must_use]
    pub const fn secret(need: Need) -> Self {
        let mut key = Self::new(need, |text| Ok(text.into()));
        key.declaration.secret = true;
        key
    }
}

impl Key<Duration> {
    /// A number of seconds with a default.
    #[must_use]
    pub const fn seconds(default: &'static str) -> Self {
        Self::new(Need::Default(default), |text| parse(text).map(Duration::from_secs))
    }

    /// A number of milliseconds with a default.
    #[must_use]
    pub const fn milliseconds(default: &'static str) -> Self {
        Self::new(Need::Default(default), |text| parse(text).map(Duration::from_millis))
    }

    /// A number of days with a default.
    #[must_use]
    pub const fn days(default: &'static str) -> Self {
        Self::new(Need::Default(default), days)
    }

    /// A number of days that may be absent.
    #[must_use]
    pub const fn optional_days() -> Self {
        Self::new(Need::Optional, days)
    }
}

fn days(text: &str) -> Result<Duration, String> {
    parse(text).map(|days: u32| Duration::from_hours(24 * u64::from(days)))
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|error: T::Err| error.to_string())
}

/// A URL with `http://` or `https://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(pub Url);

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self(url)),
            Ok(_) | Err(_) => Err("must begin with http:// or https://".to_owned()),
        }
    }
}

/// Declares settings, and the list of them. The comment of a setting is its text in the table of settings.
///
/// ```
/// use service_kit::{config::Key, declare};
///
/// declare! {
///     KEYS:
///     /// Events read together.
///     RELAY_BATCH: u32 = Key::default("2000").within(1, 100_000);
/// }
/// assert_eq!(RELAY_BATCH.declaration(), KEYS[0]);
/// ```
#[macro_export]
macro_rules! declare {
    ($(#[$meta:meta])* $list_vis:vis $list:ident:
        $($(#[doc = $doc:literal])+ $vis:vis $name:ident: $kind:ty = $key:expr;)+) => {
        $(
            $(#[doc = $doc])+
            $vis const $name: $crate::config::Key<$kind> =
                $crate::config::Key::declared($key, stringify!($name), &[$($doc),+]);
        )+

        $(#[$meta])*
        $list_vis const $list: &[$crate::config::Declaration] = &[$($name.declaration()),+];
    };
}
