//! Rooms, their schedules and their free time.

use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web::Json,
};
use service_kit::{
    auth::Caller,
    http::problem::{Problem, ProblemType},
};
use shared_events::{ConsistencyToken, RoomId, UserId, Version};

use super::{
    answers::{
        AvailableRoom, BusySpan, Closed, Free, Kind, List, Occupied, Room, RoomSchedule, Schedule, Span,
    },
    filters::{AvailabilityParameters, RoomsParameters, SchedulesParameters},
    parameters::{
        ListParameters, Nothing, PastRoomParameters, RangeParameters, RoomPath, ScheduleParameters,
    },
    request::{QueryRequest, TOKEN},
    reservations::user_of,
    schemas::{QueryHeaders, Refusals},
};
use crate::{
    queries::{self, PastRoom, PastSchedule, Remembered, RoomPage, Scheduled},
    read_models::{AsOf, ReservationDoc},
    stores::RoomFilter,
};

/// The weight of a query that may read much to fill a page: all rooms, or all changes of one.
const SEARCH: u32 = 5;

/// Rooms that can be booked, by name.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", params(RoomsParameters, QueryHeaders),
    responses((status = 200, body = List<Room>), Refusals))]
pub(super) async fn rooms(ask: QueryRequest<Nothing, RoomsParameters>) -> Result<Json<List<Room>>, Problem> {
    let query = queries::Rooms { filter: ask.parameters.filter()? };
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let mut place = None;
    // An index finds rooms by kind alone.
    if (RoomFilter { kinds: Vec::new(), ..query.filter.clone() }) != RoomFilter::default() {
        ask.charge(SEARCH)?;
        place = Some(shown.generation.searches.enter(&ask.caller.user).await?);
    }
    let rooms = query.run(shown.models.as_ref(), &page).await?;
    drop(place);
    Ok(Json(List::of(rooms, |room| Room::at(room, Version::NONE))))
}

/// One room, retired or not: as it is, or as it was. At a moment of the past, `version` is the one that last changed the room.
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms",
    params(("room" = Uuid, Path), PastRoomParameters, QueryHeaders),
    responses(
        (status = 200, body = Room, headers(
            ("Consistency-Token" = String, description = "Of the present: what is shown. A query with it shows no less of the room."),
            ("ETag" = String, description = "The revision of its settings, by which `If-Match` counts, and a digest of the answer."),
            ("Memento-Datetime" = String, description = "Of the past: when this version was recorded, in whole seconds."),
            ("Link" = String, description = "Of the past: the room as it is (RFC 7089)."))),
        (status = 304, description = "The client has this answer."),
        (status = 404, description = "There is no such room, or was none then.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn room(ask: QueryRequest<RoomPath, PastRoomParameters>) -> Result<HttpResponse, Problem> {
    let at = ask.parameters.as_of(ask.now)?;
    let shown = ask.shown().await?;
    let (models, id) = (shown.models.as_ref(), ask.path.room);
    if let Some(at) = at {
        let past = PastRoom { room: id, at }.run(models).await?;
        let Remembered { value: (room, version), recorded_at } = past.ok_or_else(|| unknown_then(id, at))?;
        let answer = ask.tagged(room.revision, &Room::at(room, version))?;
        return Ok(ask.of_the_past(answer, at, recorded_at, None));
    }
    // Read first, so that the document shows at least this version.
    let version = queries::version_of(models, &shown.generation.progress, id).await?;
    let room = models.room(id).await?.ok_or_else(|| unknown(id))?;
    let mut answer = ask.tagged(room.revision, &Room::at(room, version))?;
    let token = ConsistencyToken { rooms: vec![(id, version)] }.to_string();
    if let (Ok(name), Ok(token)) = (HeaderName::try_from(TOKEN), HeaderValue::try_from(token)) {
        answer.headers_mut().insert(name, token);
    }
    Ok(answer)
}

/// Kinds of rooms, with how many rooms of them can be booked. Without a token, the count may be a second old.
#[utoipa::path(get, path = "/v1/kinds", tag = "rooms", params(ListParameters, QueryHeaders),
    responses((status = 200, body = List<Kind>), Refusals))]
pub(super) async fn kinds(ask: QueryRequest<Nothing, ListParameters>) -> Result<Json<List<Kind>>, Problem> {
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let kinds = shown.generation.kinds.since(ask.oldest(), async || shown.models.kinds().await).await?;
    Ok(Json(List::of(queries::Kinds.page(&kinds, &page)?, Kind::from)))
}

/// What is reserved in a room, by `from`, and when it is closed: as it is, or as it was. Of others' reservations the time alone is shown. All pages
/// of a schedule of the past show one version.
#[utoipa::path(get, path = "/v1/rooms/{room}/schedule", tag = "rooms",
    params(("room" = Uuid, Path), ScheduleParameters, QueryHeaders),
    responses(
        (status = 200, body = Schedule, headers(
            ("Memento-Datetime" = String, description = "Of the past: when this version was recorded, in whole seconds."),
            ("Link" = String, description = "Of the past: the schedule as it is (RFC 7089)."))),
        (status = 404, description = "There is no such room, or was none then.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn schedule(
    ask: QueryRequest<RoomPath, ScheduleParameters>,
) -> Result<HttpResponse, Problem> {
    let (room, during) = (ask.path.room, ask.parameters.range()?);
    let at = ask.parameters.as_of(ask.now)?;
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let models = shown.models.as_ref();
    let Some(at) = at else {
        let query = queries::Schedule { room, during };
        let schedule = query.run(models, &shown.generation.progress, &page).await?;
        let scheduled = schedule.ok_or_else(|| unknown(room))?;
        return Ok(HttpResponse::Ok().json(schedule_of(&ask, scheduled)));
    };
    // It may read all changes of a year to fill a page.
    ask.charge(SEARCH)?;
    let past = PastSchedule { room, during, at }.run(models, &page).await?;
    let Remembered { value: scheduled, recorded_at } = past.ok_or_else(|| unknown_then(room, at))?;
    let answer = HttpResponse::Ok().json(schedule_of(&ask, scheduled));
    Ok(ask.of_the_past(answer, at, recorded_at, None))
}

/// What the caller may see of a page.
fn schedule_of(
    ask: &QueryRequest<RoomPath, ScheduleParameters>,
    Scheduled { version, closures, page }: Scheduled,
) -> Schedule {
    let mut shows_others = false;
    let List { items, next } = List::of(page, |doc| occupied(&ask.caller, doc, &mut shows_others));
    if shows_others {
        ask.note_reading("read-schedule", &format!("room {}", ask.path.room));
    }
    let closures = closures.into_iter().map(Closed::from).collect();
    Schedule { room: ask.path.room, version, items, closures, next }
}

/// What the caller may see of a reservation. `shows_others` becomes true if that is more than another's time.
fn occupied(caller: &Caller, doc: ReservationDoc, shows_others: &mut bool) -> Occupied {
    let own = doc.reservation.is_open_to(&caller.user);
    if own || caller.admin {
        *shows_others |= !own;
        Occupied::Reservation(Box::new(doc.into()))
    } else {
        Occupied::Busy(BusySpan::of(&doc.reservation))
    }
}

/// What is reserved in all rooms on up to seven dates, and when they are closed, each date on the room's own calendar. Rooms that can be booked, by name.
/// Of others' reservations the time alone is shown. A page has fewer rooms if they have more than 12,000 reservations.
#[utoipa::path(get, path = "/v1/schedule", tag = "rooms", params(SchedulesParameters, QueryHeaders),
    responses(
        (status = 200, body = List<RoomSchedule>, headers(
            ("ETag" = String, description = "A digest of the answer."))),
        (status = 304, description = "The client has this answer."),
        Refusals))]
pub(super) async fn schedules(
    ask: QueryRequest<Nothing, SchedulesParameters>,
) -> Result<HttpResponse, Problem> {
    let (date, days) = ask.parameters.dates()?;
    let query = queries::Schedules { date, days, filter: ask.parameters.filter()? };
    let page = ask.parameters.page()?;
    ask.charge(SEARCH)?;
    let shown = ask.shown().await?;
    let place = shown.generation.searches.enter(&ask.caller.user).await?;
    let schedules = query.run(shown.models.as_ref(), &shown.generation.progress, &page).await?;
    drop(place);
    let mut shows_others = false;
    let list = List::of(schedules, |schedule| RoomSchedule {
        room: Room::at(schedule.room, schedule.version),
        from: schedule.during.from,
        to: schedule.during.to,
        reservations: schedule
            .reservations
            .into_iter()
            .map(|doc| occupied(&ask.caller, doc, &mut shows_others))
            .collect(),
        closures: schedule.closures.into_iter().map(Closed::from).collect(),
    });
    if shows_others {
        ask.note_reading("read-schedules", &format!("rooms on {date}"));
    }
    ask.digested(&list)
}

/// What is free in a room from now on: the longest intervals that stays can hold by its opening hours, slots, shortest stay and
/// days ahead. A slot is free until it ends.
#[utoipa::path(get, path = "/v1/rooms/{room}/free", tag = "rooms",
    params(("room" = Uuid, Path), RangeParameters, QueryHeaders),
    responses(
        (status = 200, body = Free),
        (status = 404, description = "There is no such room.", content_type = "application/problem+json", body = Problem),
        Refusals))]
pub(super) async fn free(ask: QueryRequest<RoomPath, RangeParameters>) -> Result<Json<Free>, Problem> {
    let query = queries::FreeTime { room: ask.path.room, during: ask.parameters.range()? };
    let page = ask.parameters.page()?;
    let shown = ask.shown().await?;
    let now = ask.now;
    let free = query.run(shown.models.as_ref(), &shown.generation.progress, now, &page).await?;
    let RoomPage { room, version, page } = free.ok_or_else(|| unknown(ask.path.room))?;
    let List { items, next } = List::of(page, Span::from);
    Ok(Json(Free { room, version, items, next }))
}

/// Rooms that would accept such a request of the caller now, all their rules included, by name. With a duration, rooms with the
/// times of such stays anywhere in the range, each alone.
///
/// A room whose `maxAhead` the caller has used up is left out, also for administrators and delegates. They reserve for others, too:
/// with `reservedBy`, the stays of that owner count.
#[utoipa::path(get, path = "/v1/availability", tag = "rooms", params(AvailabilityParameters, QueryHeaders),
    responses((status = 200, body = List<AvailableRoom>), Refusals))]
pub(super) async fn availability(
    ask: QueryRequest<Nothing, AvailabilityParameters>,
) -> Result<Json<List<AvailableRoom>>, Problem> {
    let (stay, filter) = (ask.parameters.range()?, ask.parameters.filter()?);
    let booker = booker(&ask.caller, ask.parameters.reserved_by()?)?;
    let duration = ask.parameters.duration()?;
    let page = ask.parameters.page()?;
    ask.charge(SEARCH)?;
    let shown = ask.shown().await?;
    let _place = shown.generation.searches.enter(&ask.caller.user).await?;
    let (models, progress, now) = (shown.models.as_ref(), &shown.generation.progress, ask.now);
    if let Some(minutes) = duration {
        let query = queries::FreeStays { during: stay, minutes, filter, booker };
        let rooms = query.run(models, progress, now, &page).await?;
        return Ok(Json(List::of(rooms, |found| AvailableRoom {
            room: Room::at(found.room, found.version),
            times: Some(found.times.into_iter().map(Span::from).collect()),
        })));
    }
    let query = queries::Availability { stay, filter, booker };
    let rooms = query.run(models, progress, now, &page).await?;
    let shown = |found: queries::AvailableRoom| Room::at(found.room, found.version);
    Ok(Json(List::of(rooms, |found| AvailableRoom { room: shown(found), times: None })))
}

/// The caller, who would book for itself or for the owner that it names.
fn booker(caller: &Caller, reserved_by: Option<UserId>) -> Result<queries::Booker, Problem> {
    let own = reserved_by.as_ref().is_none_or(|owner| owner.as_str() == caller.user);
    if !own && !caller.admin && !caller.delegate {
        let detail = "only administrators and the role `delegate` reserve for others";
        return Err(Problem::new(ProblemType::Forbidden, detail));
    }
    let owner = reserved_by.map_or_else(|| user_of(caller), Ok)?;
    Ok(queries::Booker { roles: caller.roles.clone(), is_admin: caller.admin, owner })
}

fn unknown_then(room: RoomId, at: AsOf<Version>) -> Problem {
    let detail = match at {
        AsOf::Moment(moment) => format!("there was no room {room} at {moment}"),
        AsOf::Number(version) => format!("there is no version {version} of room {room}"),
    };
    Problem::new(ProblemType::UnknownRoom, detail)
}

pub(super) fn unknown(room: RoomId) -> Problem {
    Problem::new(ProblemType::UnknownRoom, format!("there is no room {room}"))
}
