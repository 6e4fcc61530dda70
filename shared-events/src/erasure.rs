//! The list of erased persons, and the masking of events that name one.
//!
//! The list holds no names, only keyed hashes of them with pseudonyms. So every copy of an event can be masked, whenever it
//! arrives. Masking replaces an erased actor, owner or booker by the pseudonym. The events of an erased actor lose their
//! correlation id; the reservations of an erased owner lose title and guest. Everything else stays. Masking again changes
//! nothing.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::{DecodedEvent, Metadata, Reservation, UserId};

/// The key of the hashes, or a hash. In JSON as base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes32(pub [u8; 32]);

impl fmt::Debug for Bytes32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(32 bytes)")
    }
}

impl From<Bytes32> for String {
    fn from(bytes: Bytes32) -> Self {
        URL_SAFE_NO_PAD.encode(bytes.0)
    }
}

impl TryFrom<String> for Bytes32 {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("not 32 bytes as base64url")
    }
}

/// An erased person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErasedPerson {
    /// Place in the order of erasure. Grows, and may leave out numbers.
    pub seq: u64,
    /// Keyed hash of the person's name.
    pub person: Bytes32,
    /// Replaces the name.
    pub pseudonym: UserId,
}

/// A part of the list, in the order of erasure: `GET /v1/erasures?after=`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErasuresPage {
    /// As in [`Erasures`], at the time of this page.
    pub epoch: u64,
    /// As in [`Erasures`].
    pub secret: Bytes32,
    /// The persons after a place.
    pub persons: Vec<ErasedPerson>,
    /// Place of the last person of this page. The last page has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// The list of erased persons of one event store. It grows by pages.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Erasures {
    /// Number of changes of the list. 0 before the first erasure.
    pub epoch: u64,
    /// The key of this store's hashes. It reveals whether the person with a known name was erased.
    pub secret: Bytes32,
    /// Hashes of the erased persons, each with its place and pseudonym.
    pub persons: BTreeMap<Bytes32, (u64, UserId)>,
    /// Place of the last person that was read.
    pub last: u64,
}

impl Erasures {
    /// The place to read on after. The page begins with the last known person, to tell that the list is still the same.
    #[must_use]
    pub const fn after(&self) -> u64 {
        self.last.saturating_sub(1)
    }

    /// Adds the page after [`after`](Self::after). Returns whether the list is complete; until then its epoch stays.
    ///
    /// If the event store was restored from a backup or replaced, the list is read from its start. Persons that a restored
    /// one has forgotten stay.
    pub fn add(&mut self, page: ErasuresPage) -> bool {
        if self.last > 0 && !self.is_continued_by(&page) {
            self.last = 0;
            return false;
        }
        if page.secret != self.secret {
            *self = Self { epoch: self.epoch, secret: page.secret, ..Self::default() };
        }
        for ErasedPerson { seq, person, pseudonym } in page.persons {
            self.persons.insert(person, (seq, pseudonym));
            self.last = seq;
        }
        if page.next.is_none() {
            self.epoch = page.epoch;
        }
        page.next.is_none()
    }

    /// Whether the page after [`after`](Self::after) adds nothing.
    #[must_use]
    pub fn is_up_to_date(&self, page: &ErasuresPage) -> bool {
        self.epoch == page.epoch
            && page.persons.len() == usize::from(self.last > 0)
            && self.is_continued_by(page)
    }

    fn is_continued_by(&self, page: &ErasuresPage) -> bool {
        let is_last = |first: &ErasedPerson| {
            first.seq == self.last
                && self.persons.get(&first.person).is_some_and(|(_, known)| *known == first.pseudonym)
        };
        self.secret == page.secret && (self.last == 0 || page.persons.first().is_some_and(is_last))
    }

    /// The keyed hash of a person's name.
    #[must_use]
    pub fn fingerprint(&self, user: &UserId) -> Bytes32 {
        // HMAC accepts keys of any length.
        let Ok(mut hash) = Hmac::<Sha256>::new_from_slice(&self.secret.0) else { return Bytes32::default() };
        hash.update(user.as_str().as_bytes());
        Bytes32(hash.finalize().into_bytes().into())
    }

    /// The pseudonym of the person, if they were erased.
    #[must_use]
    pub fn pseudonym(&self, user: &UserId) -> Option<&UserId> {
        if self.persons.is_empty() {
            return None;
        }
        self.persons.get(&self.fingerprint(user)).map(|(_, pseudonym)| pseudonym)
    }

    /// Masks the reservation if its owner, or who made it for the owner, was erased. Returns whether one was.
    pub fn mask_reservation(&self, reservation: &mut Reservation) -> bool {
        let booker = reservation.booked_by.as_ref().and_then(|by| self.pseudonym(by)).cloned();
        let booked = booker.is_some();
        reservation.booked_by = booker.or_else(|| reservation.booked_by.take());
        let Some(pseudonym) = self.pseudonym(&reservation.reserved_by) else { return booked };
        reservation.reserved_by = pseudonym.clone();
        (reservation.title, reservation.reserved_for) = (None, None);
        true
    }

    /// Masks the metadata if the actor was erased. Returns whether they were.
    pub fn mask_metadata(&self, metadata: &mut Metadata) -> bool {
        let Some(pseudonym) = self.pseudonym(&metadata.actor) else { return false };
        metadata.actor = pseudonym.clone();
        // The client chose the correlation id, which may hold personal data.
        metadata.correlation_id.clone_from(&metadata.causation_id);
        true
    }

    /// Masks the event if it names an erased person. Returns whether it did.
    pub fn mask(&self, decoded: &mut DecodedEvent) -> bool {
        let acted = self.mask_metadata(&mut decoded.metadata);
        let reserved = decoded.event.reservation_mut().is_some_and(|it| self.mask_reservation(it));
        acted || reserved
    }

    /// The masked payload, if it is JSON with a reservation that an erased person owns or made for its owner.
    #[must_use]
    pub fn masked_payload(&self, payload: &[u8]) -> Option<Vec<u8>> {
        if self.persons.is_empty() {
            return None;
        }
        let mut value: Value = serde_json::from_slice(payload).ok()?;
        let reservation = value.get_mut("reservation")?.as_object_mut()?;
        let mut replace = |field: &str| {
            let user = reservation.get_mut(field)?;
            *user = Value::String(self.pseudonym(&UserId::new(user.as_str()?).ok()?)?.to_string());
            Some(())
        };
        let (booked, owned) = (replace("bookedBy"), replace("reservedBy"));
        if owned.is_some() {
            reservation.remove("title");
            reservation.remove("reservedFor");
        }
        booked.or(owned)?;
        serde_json::to_vec(&value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RawEvent, Timestamp};

    const MADE: &str = include_str!("../tests/golden/reservation-made.v1.json");

    fn erased(user: &str) -> Erasures {
        let mut erasures = Erasures { epoch: 1, secret: Bytes32([7; 32]), ..Erasures::default() };
        let fingerprint = erasures.fingerprint(&UserId::new(user).unwrap());
        erasures.persons.insert(fingerprint, (1, UserId::new("erased-1").unwrap()));
        erasures
    }

    fn made_by(actor: &str) -> RawEvent {
        let golden: Value = serde_json::from_str(MADE).unwrap();
        let at = Timestamp::from_epoch_millis(1);
        RawEvent {
            room: golden["key"].as_str().unwrap().parse().unwrap(),
            version: 7.into(),
            event_type: "reservations.reservation-made.v1".into(),
            payload: golden["payload"].to_string().into_bytes(),
            metadata: Metadata {
                time: at,
                subject: "subject".to_owned(),
                actor: UserId::new(actor).unwrap(),
                correlation_id: "what the client chose".to_owned(),
                causation_id: "the command".to_owned(),
                traceparent: None,
            },
            recorded_at: at,
        }
    }

    /// Masks metadata and payload apart, like the event store: without decoding the payload.
    fn masked(erasures: &Erasures, event: &RawEvent) -> Option<RawEvent> {
        let mut metadata = event.metadata.clone();
        let acted = erasures.mask_metadata(&mut metadata);
        let payload = erasures.masked_payload(&event.payload);
        let payload = if acted { payload.or_else(|| Some(event.payload.clone())) } else { payload };
        Some(RawEvent { metadata, payload: payload?, ..event.clone() })
    }

    fn reservation(event: &RawEvent) -> Reservation {
        event.event().unwrap().reservation().unwrap().clone()
    }

    #[test]
    fn an_owner_is_replaced_and_title_and_guest_go_and_nothing_else_changes() {
        let event = made_by("somebody else");
        let before = reservation(&event);
        assert!(before.title.is_some() && before.reserved_for.is_some());
        let erasures = erased(before.reserved_by.as_str());
        let after = masked(&erasures, &event).unwrap();
        let expected = Reservation {
            title: None,
            reserved_for: None,
            reserved_by: UserId::new("erased-1").unwrap(),
            ..before.clone()
        };
        assert_eq!(reservation(&after), expected);
        assert_eq!(after.metadata, event.metadata, "the actor is another person");
        assert_eq!(masked(&erasures, &after), None, "masked again it stays the same");
        let mut read = event.clone().decode().unwrap();
        assert!(erasures.mask(&mut read));
        assert_eq!(read, after.decode().unwrap(), "read or not, it is masked alike");
    }

    #[test]
    fn an_actor_is_replaced_and_another_persons_reservation_stays_byte_for_byte() {
        let event = made_by("the actor");
        let after = masked(&erased("the actor"), &event).unwrap();
        assert_eq!(after.payload, event.payload);
        assert_eq!(after.metadata.actor, UserId::new("erased-1").unwrap());
        assert_eq!(after.metadata.correlation_id, event.metadata.causation_id);
        assert_eq!(masked(&erased("nobody here"), &event), None);
    }

    #[test]
    fn who_made_a_reservation_for_its_owner_is_replaced_and_the_owners_title_and_guest_stay() {
        let mut event = made_by("somebody else");
        let mut payload: Value = serde_json::from_slice(&event.payload).unwrap();
        payload["reservation"]["bookedBy"] = "the office".into();
        event.payload = payload.to_string().into_bytes();
        let before = reservation(&event);
        let erasures = erased("the office");
        let after = masked(&erasures, &event).unwrap();
        let pseudonym = Some(UserId::new("erased-1").unwrap());
        assert_eq!(reservation(&after), Reservation { booked_by: pseudonym, ..before.clone() });
        assert_eq!(masked(&erasures, &after), None, "masked again it stays the same");
        let mut read = event.clone().decode().unwrap();
        assert!(erasures.mask(&mut read));
        assert_eq!(read, after.decode().unwrap(), "read or not, it is masked alike");
        let of_owner = reservation(&masked(&erased(before.reserved_by.as_str()), &event).unwrap());
        assert_eq!((of_owner.booked_by, of_owner.title), (before.booked_by, None));
    }

    #[test]
    fn an_event_that_this_build_cannot_read_is_masked_and_keeps_what_it_does_not_know() {
        let mut event = made_by("x");
        event.event_type = "reservations.reservation-made.v9".into();
        event.payload = br#"{"reservation":{"reservedBy":"ann","title":"t","new":[1]},"more":true}"#.to_vec();
        let after: Value = serde_json::from_slice(&masked(&erased("ann"), &event).unwrap().payload).unwrap();
        let expected =
            serde_json::json!({"reservation": {"reservedBy": "erased-1", "new": [1]}, "more": true});
        assert_eq!(after, expected);
    }

    fn page(epoch: u64, secret: u8, persons: &[(u64, u8)], next: Option<u64>) -> ErasuresPage {
        let person = |&(seq, name): &(u64, u8)| ErasedPerson {
            seq,
            person: Bytes32([name; 32]),
            pseudonym: UserId::new(format!("erased-{seq}-{name}")).unwrap(),
        };
        ErasuresPage {
            epoch,
            secret: Bytes32([secret; 32]),
            persons: persons.iter().map(person).collect(),
            next,
        }
    }

    fn names(list: &Erasures) -> Vec<u8> {
        list.persons.keys().map(|person| person.0[0]).collect()
    }

    #[test]
    fn a_list_grows_by_pages_and_has_an_epoch_only_with_all_its_persons() {
        let mut list = Erasures::default();
        assert_eq!(list.after(), 0);
        assert!(!list.add(page(3, 7, &[(1, 1), (4, 2)], Some(4))));
        assert_eq!((list.epoch, list.after(), names(&list)), (0, 3, vec![1, 2]));
        assert!(!list.is_up_to_date(&page(4, 7, &[(4, 2), (5, 3), (6, 4)], None)));
        assert!(list.add(page(4, 7, &[(4, 2), (5, 3), (6, 4)], None)), "one was added meanwhile");
        assert_eq!((list.epoch, list.after(), names(&list)), (4, 5, vec![1, 2, 3, 4]));
        assert!(list.is_up_to_date(&page(4, 7, &[(6, 4)], None)));
        assert!(Erasures { secret: Bytes32([7; 32]), ..Erasures::default() }.is_up_to_date(&page(
            0,
            7,
            &[],
            None
        )));
    }

    #[test]
    fn a_restored_list_is_read_from_its_start_and_keeps_whom_it_has_forgotten() {
        let mut known = Erasures::default();
        assert!(known.add(page(3, 7, &[(1, 1), (2, 2), (3, 3)], None)));
        for restored in [page(2, 7, &[], None), page(3, 7, &[(3, 4)], None), page(9, 7, &[(4, 4)], None)] {
            let mut list = known.clone();
            assert!(!list.is_up_to_date(&restored));
            assert!(!list.add(restored), "it lacks the last known person");
            assert_eq!((list.epoch, list.after(), names(&list)), (3, 0, vec![1, 2, 3]));
            assert!(list.add(page(9, 7, &[(1, 1), (2, 4), (3, 5)], None)));
            assert_eq!((list.epoch, list.last, names(&list)), (9, 3, vec![1, 2, 3, 4, 5]));
        }
        let foreign = page(3, 8, &[(3, 3)], None);
        assert!(!known.is_up_to_date(&foreign));
        assert!(!known.add(foreign));
        assert!(known.add(page(1, 8, &[(1, 9)], None)), "another event store has other persons");
        assert_eq!((known.epoch, known.secret, names(&known)), (1, Bytes32([8; 32]), vec![9]));
    }

    #[test]
    fn a_page_says_no_name_and_comes_back_from_json() {
        let erasures = erased("ann");
        let persons = erasures.persons.iter().map(|(person, (seq, pseudonym))| ErasedPerson {
            seq: *seq,
            person: *person,
            pseudonym: pseudonym.clone(),
        });
        let ErasuresPage { epoch, secret, .. } = page(1, 7, &[], None);
        let page = ErasuresPage { epoch, secret, persons: persons.collect(), next: None };
        let json = serde_json::to_string(&page).unwrap();
        assert!(!json.contains("ann"), "{json}");
        let mut read = Erasures::default();
        assert!(read.add(serde_json::from_str(&json).unwrap()));
        assert_eq!(read.pseudonym(&UserId::new("ann").unwrap()), Some(&UserId::new("erased-1").unwrap()));
        assert_eq!(read, Erasures { last: 1, ..erasures.clone() });
        let other = Erasures { secret: Bytes32([8; 32]), ..erasures };
        assert_eq!(
            other.pseudonym(&UserId::new("ann").unwrap()),
            None,
            "every store hashes with a key of its own"
        );
    }
}
