//! Opening hours per weekday.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Error as _, value::MapAccessDeserializer},
    ser::SerializeMap,
};

/// Opening hours per weekday. A day without a span is closed.
///
/// In a request, unknown fields are refused: a misspelt day would count as closed. In the settings of an event they are ignored.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpeningHours {
    /// Monday.
    #[serde(default)]
    pub monday: OpenDay,
    /// Tuesday.
    #[serde(default)]
    pub tuesday: OpenDay,
    /// Wednesday.
    #[serde(default)]
    pub wednesday: OpenDay,
    /// Thursday.
    #[serde(default)]
    pub thursday: OpenDay,
    /// Friday.
    #[serde(default)]
    pub friday: OpenDay,
    /// Saturday.
    #[serde(default)]
    pub saturday: OpenDay,
    /// Sunday.
    #[serde(default)]
    pub sunday: OpenDay,
}

impl OpeningHours {
    /// The spans that begin on a weekday, in order.
    #[must_use]
    pub fn on(&self, weekday: chrono::Weekday) -> &[OpeningSpan] {
        let day = match weekday {
            chrono::Weekday::Mon => &self.monday,
            chrono::Weekday::Tue => &self.tuesday,
            chrono::Weekday::Wed => &self.wednesday,
            chrono::Weekday::Thu => &self.thursday,
            chrono::Weekday::Fri => &self.friday,
            chrono::Weekday::Sat => &self.saturday,
            chrono::Weekday::Sun => &self.sunday,
        };
        &day.0
    }

    /// Whether the days are written as lists: one has several spans, or a span that goes past midnight. Otherwise each day is
    /// its span.
    #[must_use]
    pub fn are_lists(&self) -> bool {
        self.days().iter().any(|(_, day)| day.0.len() > 1 || day.0.iter().any(|span| span.closes > DAY))
    }

    const fn days(&self) -> [(&'static str, &OpenDay); 7] {
        [
            ("monday", &self.monday),
            ("tuesday", &self.tuesday),
            ("wednesday", &self.wednesday),
            ("thursday", &self.thursday),
            ("friday", &self.friday),
            ("saturday", &self.saturday),
            ("sunday", &self.sunday),
        ]
    }
}

impl Serialize for OpeningHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lists = self.are_lists();
        let mut map = serializer.serialize_map(None)?;
        for (name, OpenDay(spans)) in self.days() {
            match spans.as_slice() {
                [] => {}
                [span] if !lists => map.serialize_entry(name, span)?,
                spans => map.serialize_entry(name, spans)?,
            }
        }
        map.end()
    }
}

/// Reads the opening hours of an event. A newer service may have written unknown fields.
pub(crate) fn with_unknown_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<OpeningHours>, D::Error> {
    #[derive(Deserialize)]
    struct Span {
        opens: String,
        closes: String,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Week {
        monday: Spans<Span>,
        tuesday: Spans<Span>,
        wednesday: Spans<Span>,
        thursday: Spans<Span>,
        friday: Spans<Span>,
        saturday: Spans<Span>,
        sunday: Spans<Span>,
    }
    let Some(week) = Option::<Week>::deserialize(deserializer)? else { return Ok(None) };
    let day = |Spans(spans): Spans<Span>| {
        let texts = spans.into_iter().map(|Span { opens, closes }| SpanText { opens, closes });
        OpenDay::try_from(Spans(texts.collect())).map_err(D::Error::custom)
    };
    Ok(Some(OpeningHours {
        monday: day(week.monday)?,
        tuesday: day(week.tuesday)?,
        wednesday: day(week.wednesday)?,
        thursday: day(week.thursday)?,
        friday: day(week.friday)?,
        saturday: day(week.saturday)?,
        sunday: day(week.sunday)?,
    }))
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// The spans that begin on a day: in order, apart or adjoining, at most [`OpenDay::MOST_SPANS`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Deserialize)]
#[serde(try_from = "Spans<SpanText>")]
pub struct OpenDay(Vec<OpeningSpan>);

impl OpenDay {
    /// Most spans of a day.
    pub const MOST_SPANS: usize = 12;

    /// A day with these spans.
    ///
    /// # Errors
    /// If they overlap, are not in order, or are too many.
    pub fn new(spans: Vec<OpeningSpan>) -> Result<Self, InvalidDay> {
        let in_order = spans.windows(2).all(|two| matches!(two, [one, next] if one.closes <= next.opens));
        if in_order && spans.len() <= Self::MOST_SPANS { Ok(Self(spans)) } else { Err(InvalidDay) }
    }

    /// The spans.
    #[must_use]
    pub fn spans(&self) -> &[OpeningSpan] {
        &self.0
    }
}

impl From<OpeningSpan> for OpenDay {
    fn from(span: OpeningSpan) -> Self {
        Self(vec![span])
    }
}

impl TryFrom<Spans<SpanText>> for OpenDay {
    type Error = InvalidHours;

    fn try_from(Spans(texts): Spans<SpanText>) -> Result<Self, InvalidHours> {
        let spans: Result<Vec<_>, _> = texts.into_iter().map(OpeningSpan::try_from).collect();
        Ok(Self::new(spans?)?)
    }
}

/// The time from `opens` to `closes` of one day, in local time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "SpanText", into = "SpanText")]
pub struct OpeningSpan {
    opens: u16,
    closes: u16,
}

impl OpeningSpan {
    /// A span in minutes after local midnight. From 1440 on `closes` is on the next day: `opens < 1440`, and
    /// `opens < closes <= opens + 1440`.
    ///
    /// # Errors
    /// If the numbers are not of this order.
    pub fn new(opens: u16, closes: u16) -> Result<Self, InvalidSpan> {
        if opens < DAY && opens < closes && closes - opens <= DAY {
            Ok(Self { opens, closes })
        } else {
            Err(InvalidSpan)
        }
    }

    /// Minutes after local midnight at which the room opens, 0 to 1439.
    #[must_use]
    pub const fn opens(self) -> u16 {
        self.opens
    }

    /// Minutes after local midnight at which the room closes, 1 to 2879. From 1440 on it is the next day.
    #[must_use]
    pub const fn closes(self) -> u16 {
        self.closes
    }
}

/// The error of a text that is not an opening span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "opening hours need `opens` and `closes` as HH:MM, `opens` before 24:00; the next day is 24:00 to 47:59 or a time before \
     `opens`, and no span is longer than 24 hours"
)]
pub struct InvalidSpan;

/// The error of spans that are not those of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the spans of a day must come in order, must not overlap, and are at most {}", OpenDay::MOST_SPANS)]
pub struct InvalidDay;

/// The error of a text that is not the open time of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
enum InvalidHours {
    Span(#[from] InvalidSpan),
    Day(#[from] InvalidDay),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SpanText {
    opens: String,
    closes: String,
}

impl TryFrom<SpanText> for OpeningSpan {
    type Error = InvalidSpan;
    fn try_from(text: SpanText) -> Result<Self, InvalidSpan> {
        let minutes = |text: &str| -> Result<u16, InvalidSpan> {
            let (hours, minutes) = text.split_once(':').ok_or(InvalidSpan)?;
            let two_digits = |part: &str| {
                if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) {
                    part.parse::<u16>().ok()
                } else {
                    None
                }
            };
            let (hours, minutes) =
                (two_digits(hours).ok_or(InvalidSpan)?, two_digits(minutes).ok_or(InvalidSpan)?);
            if minutes < 60 { Ok(hours * 60 + minutes) } else { Err(InvalidSpan) }
        };
        let (opens, closes) = (minutes(&text.opens)?, minutes(&text.closes)?);
        // 18:00 to 02:00 is 18:00 to 26:00.
        let next_day = if closes < opens { DAY } else { 0 };
        Self::new(opens, closes + next_day)
    }
}

impl From<OpeningSpan> for SpanText {
    fn from(span: OpeningSpan) -> Self {
        let text = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self { opens: text(span.opens), closes: text(span.closes) }
    }
}

/// One span, or a list of them.
struct Spans<T>(Vec<T>);

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spans<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Spans<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of opening hours, or a list of spans")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Spans<T>, E> {
                Ok(Spans::default())
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Spans<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|span| Spans(vec![span]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Spans<T>, A::Error> {
                let mut spans = Vec::new();
                while let Some(Object(span)) = items.next_element()? {
                    spans.push(span);
                }
                Ok(Spans(spans))
            }
        }
        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

/// A value that is an object: serde would also accept a list of its members' values.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of opening hours")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}
