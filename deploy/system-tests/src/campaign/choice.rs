//! What a caller does next. Callers change and cancel the same reservations.

use super::{
    board::{Board, Closed, Live},
    inflict::IN_THE_STAYS,
    operation::{Operation, Repeated},
    record::{Stay, YEAR_BEGINS},
    rooms::Rooms,
};
use crate::Random;

/// The hours of all stays. With [`LIVE`] reservations a third of the requests meet another one.
const HOURS: u64 = 20 * 24;
/// The number of live reservations at which making and cancelling are in balance.
const LIVE: usize = 3_000;
/// The number of closures at which closing and lifting are in balance.
const CLOSURES: usize = 20;

/// A caller of commands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) number: u64,
    /// The number of callers.
    pub(crate) callers: u64,
    /// Whether both builds know all commands.
    pub(crate) knows_all: bool,
}

impl Caller {
    pub(crate) fn user(self) -> String {
        format!("user-{}", self.number)
    }

    /// Another caller, or this one.
    fn other(self, random: &mut Random) -> String {
        format!("user-{}", random.below(self.callers))
    }
}

/// The next operation.
pub(crate) fn next(random: &mut Random, caller: Caller, rooms: &Rooms, board: &mut Board) -> Operation {
    if caller.knows_all {
        if random.chance(8) && !board.cancelled.is_empty() {
            let place = random.index(board.cancelled.len());
            let (Live { room, reservation, .. }, last) = board.cancelled.swap_remove(place);
            // Any earlier one: in this room, in another one, or cancelled too.
            if last > 1 {
                return Operation::Restore { room, reservation, revision: random.between(1, last - 1) };
            }
        }
        let special = match random.below(100) {
            0..4 => Some(series(random, caller, rooms)),
            4..9 => of_series(random, board),
            9..11 => Some(closure(random, rooms, board)),
            11..14 => Some(Operation::Reserve {
                room: rooms.any(random),
                stay: stay(random),
                owner: Some(caller.other(random)),
            }),
            14..18 => in_the_stays(random, caller, rooms, board),
            18..28 => contested(random, board),
            _ => None,
        };
        if let Some(special) = special {
            return special;
        }
    }
    plain(random, caller, rooms, board)
}

fn stay(random: &mut Random) -> Stay {
    let from = YEAR_BEGINS + i64::try_from(random.below(HOURS)).unwrap() * 60;
    Stay { from, to: from + i64::try_from(random.between(1, 3)).unwrap() * 60 }
}

fn cancel(live: &Live, caller: Caller) -> Operation {
    let own = caller.knows_all && live.users.contains(&caller.user());
    Operation::Cancel { room: live.room, reservation: live.reservation, own }
}

fn plain(random: &mut Random, caller: Caller, rooms: &Rooms, board: &Board) -> Operation {
    let count = board.live.len();
    // Other callers are most likely at work on the newest ones.
    let newest = count.saturating_sub(50);
    let index = if random.chance(30) && count > 0 {
        newest + random.index(count - newest)
    } else {
        random.index(count.max(1))
    };
    let stay = stay(random);
    let cancels = if count > LIVE { 45 } else { 15 };
    match (random.below(100), board.live.get(index)) {
        (0..20, Some(Live { room, reservation, .. })) => {
            Operation::Reschedule { room: *room, reservation: *reservation, stay }
        }
        (20..35, Some(Live { room, reservation, .. })) => {
            let mut to_room = rooms.any(random);
            while to_room == *room {
                to_room = rooms.any(random);
            }
            Operation::Move { room: *room, reservation: *reservation, to_room }
        }
        (part, Some(live)) if part < 35 + cancels => cancel(live, caller),
        (part, _) if part % 3 == 0 => {
            let kind = rooms.kinds[random.index(rooms.kinds.len())].0.clone();
            Operation::ReserveKind { kind, stay }
        }
        _ => Operation::Reserve { room: rooms.any(random), stay, owner: None },
    }
}

/// A new series of 3 to 8 occurrences.
fn series(random: &mut Random, caller: Caller, rooms: &Rooms) -> Operation {
    let number = |random: &mut Random, from, to| i64::try_from(random.between(from, to)).unwrap();
    let count = number(random, 3, 8);
    Operation::ReserveSeries(Repeated {
        room: rooms.any(random),
        first: stay(random),
        days: [1, 2, 3, 7][random.index(4)],
        count,
        except: random.chance(30).then(|| number(random, 1, 2)),
        // Of a long one, some occurrence is nearly always in the way of another reservation.
        skip: random.chance(60),
        owner: random.chance(20).then(|| caller.other(random)),
    })
}

/// All or the rest of a series, in the room where one of its reservations is.
fn of_series(random: &mut Random, board: &Board) -> Option<Operation> {
    let of_series: Vec<&Live> = board.live.iter().filter(|live| live.series.is_some()).collect();
    let live = of_series.get(random.index(of_series.len().max(1)))?;
    let (room, series) = (live.room, live.series?);
    let following = random.chance(50).then_some(live.reservation);
    if random.chance(30) {
        return Some(Operation::CancelSeries { room, series, following });
    }
    let stay = match live.stay {
        // The first is shifted by some hours, or gets another length.
        Some(stay) if random.chance(80) => {
            let hours = |random: &mut Random| i64::try_from(random.between(0, 4)).unwrap() - 2;
            let (by, longer) = (hours(random) * 60, hours(random).max(0) * 30);
            let from = (stay.from + by).max(YEAR_BEGINS);
            Stay { from, to: from + stay.minutes() + longer }
        }
        _ => stay(random),
    };
    Some(Operation::ChangeSeries { room, series, following, stay })
}

/// Closes some rooms or a kind for some hours, or lifts a closure.
fn closure(random: &mut Random, rooms: &Rooms, board: &mut Board) -> Operation {
    let open = board.closures.len();
    if open > 0 && random.chance(if open > CLOSURES { 80 } else { 30 }) {
        let Closed { closure, .. } = board.closures.swap_remove(random.index(open));
        return Operation::Lift { closure };
    }
    let Stay { from, .. } = stay(random);
    let stay = Stay { from, to: from + i64::try_from(random.between(1, 6)).unwrap() * 60 };
    if random.chance(20) {
        let (kind, rooms) = rooms.kinds[random.index(rooms.kinds.len())].clone();
        return Operation::Close { kind: Some(kind), rooms, stay };
    }
    let mut some: Vec<_> = (0..random.between(1, 3)).map(|_| rooms.any(random)).collect();
    some.sort_unstable();
    some.dedup();
    Operation::Close { kind: None, rooms: some, stay }
}

/// Reserves a room when another stay or a closure is in the way, or its buffers, as far as the caller knows. While there are few
/// reservations, hardly any other request is refused.
fn contested(random: &mut Random, board: &Board) -> Option<Operation> {
    let (room, Stay { from, to }) = if random.chance(40) && !board.closures.is_empty() {
        let Closed { rooms, stay, .. } = &board.closures[random.index(board.closures.len())];
        (rooms[random.index(rooms.len())], *stay)
    } else {
        let live = board.live.get(random.index(board.live.len().max(1)))?;
        (live.room, live.stay?)
    };
    // From right before it to right after it.
    let begins = i64::try_from(random.between(0, 8)).unwrap() * 15 - 60;
    let from = (from + begins).clamp(YEAR_BEGINS, to);
    Some(Operation::Reserve { room, stay: Stay { from, to: from + 60 }, owner: None })
}

/// Makes or cancels a stay that runs while a clock is in the middle of the stays: it is ended then.
fn in_the_stays(random: &mut Random, caller: Caller, rooms: &Rooms, board: &Board) -> Option<Operation> {
    let middle = IN_THE_STAYS / 60;
    if random.chance(50) {
        let stay = Stay { from: middle - 60, to: middle + 60 };
        return Some(Operation::Reserve { room: rooms.any(random), stay, owner: None });
    }
    let runs = |stay: Stay| stay.from <= middle && middle < stay.to;
    let running: Vec<&Live> = board.live.iter().filter(|live| live.stay.is_some_and(runs)).collect();
    Some(cancel(running.get(random.index(running.len().max(1)))?, caller))
}
