//! The mode of the relay: its row, which every append reads, and the place in the binary log.
//!
//! A switch is one UPDATE of the row. It waits for the appends that have read the row before, and blocks later ones until it is
//! committed. So in the binary log the row's change stands between the appends of the two phases.

use shared_events::{RoomId, Timestamp};
use sqlx::mysql::MySqlRow;

use super::{MySqlStore, database::MySqlTransaction};
use crate::event_store::{
    Mode, Phase, Position, RelayState, Release, StoreError, StoredPlace, WriterForm, bucket,
    sql::{Columns, Database, RowError, Statement, Transaction},
};

/// Rows of one page of a refill.
const PAGE: u64 = 5_000;

/// What is stored together with a place.
#[derive(Default, Debug)]
pub struct Passed {
    /// Delivered outbox rows of released rooms.
    pub rows: Vec<Position>,
    /// Released rooms whose release the place has passed.
    pub rooms: Vec<RoomId>,
}

/// The statement that raises the form of writing to the one that this build knows.
pub(super) fn raise_writer_form() -> String {
    let WriterForm(known) = WriterForm::KNOWN;
    format!("UPDATE relay_mode SET writer_form = GREATEST(writer_form, {known}) WHERE id = 1")
}

impl MySqlStore {
    /// Reads the state. Fails if the phase is one of a later build.
    pub(super) async fn read_state(&self) -> Result<RelayState, StoreError> {
        const OPERATION: &str = "relay_state";
        const SQL: &str = "SELECT s.wanted, s.phase, s.mode_epoch, s.phase_since, s.barrier, l.epoch, p.leader_epoch, \
            p.mode_epoch, p.server_uuid, p.file, p.file_position, p.gtids, p.anchor, p.delivered_to, p.problem, \
            CAST(LOWER(@@GLOBAL.server_uuid) AS BINARY) FROM relay_mode s JOIN relay_place p ON p.id = s.id JOIN erasure_list l ON l.id = s.id";
        let rows = self.rows(OPERATION, &Statement::new(SQL, [])).await?;
        let row = rows.first().ok_or_else(|| StoreError::Inconsistent {
            operation: OPERATION,
            detail: "the relay has no state".to_owned(),
        })?;
        state(row).map_err(|error| error.during(OPERATION))
    }

    /// A member of a build that does not know a form of writing. One that does not even know the first can't read the mode.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn member_that_does_not_know(&self, form: WriterForm) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT holder FROM leases WHERE name LIKE 'member/%' AND epoch < ? LIMIT 1";
        let rows = self.rows("member_forms", &Statement::new(SQL, [form.0.into()])).await?;
        let holder = rows.first().map(|row| row.text(0)).transpose();
        holder.map_err(|error| error.during("member_forms"))
    }

    /// Raises the form of writing to the one that this build knows.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn raise_writer_form(&self) -> Result<(), StoreError> {
        self.write("raise_writer_form", &Statement::text(raise_writer_form())).await.map(drop)
    }

    /// Wants a mode. The leader switches to it.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn want_mode(&self, mode: Mode) -> Result<(), StoreError> {
        let update = "UPDATE relay_mode SET wanted = ? WHERE id = 1";
        self.write("want_mode", &Statement::new(update, [mode.name().into()])).await?;
        let clear = Statement::text("UPDATE relay_place SET problem = '' WHERE id = 1".to_owned());
        self.write("want_mode", &clear).await.map(drop)
    }

    /// Changes the phase, if it is still the one of this epoch and the caller still leads. Returns whether that holds. With the
    /// change comes a barrier.
    ///
    /// # Errors
    /// If the store can't be written. The phase may be changed.
    pub async fn change_phase(&self, leader: u64, epoch: u64, to: Phase) -> Result<bool, StoreError> {
        let update = format!(
            "UPDATE relay_mode SET phase = '{to}', mode_epoch = mode_epoch + 1, phase_since = {}, barrier_no = \
             barrier_no + 1, barrier = (SELECT COALESCE(MAX(position), 0) FROM events) WHERE id = 1 AND mode_epoch = ? \
             AND (SELECT leader_epoch FROM relay_place WHERE id = 1) = ?",
            Self::NOW
        );
        let update = Statement::new(update, [epoch.into(), leader.into()]);
        let changed = self.0.sessions.run_once("change_phase", &update).await?;
        Ok(changed.affected > 0)
    }

    /// Sets a barrier: when the binary log shows it, every event up to its position has been shown.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn set_barrier(&self, epoch: u64) -> Result<(), StoreError> {
        // The position may be read before the row is locked. Then it is lower than it could be, which only makes a refill
        // longer.
        let update = "UPDATE relay_mode SET barrier_no = barrier_no + 1, barrier = (SELECT COALESCE(MAX(position), 0) \
                      FROM events) WHERE id = 1 AND mode_epoch = ?";
        self.write("set_barrier", &Statement::new(update, [epoch.into()])).await.map(drop)
    }

    /// Makes the caller the only one that may store places. Returns its epoch.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lead(&self) -> Result<u64, StoreError> {
        let update = "UPDATE relay_place SET leader_epoch = LAST_INSERT_ID(leader_epoch + 1) WHERE id = 1";
        Ok(self.0.sessions.run_once("lead", &Statement::text(update.to_owned())).await?.id)
    }

    /// Stores a place, with what it has passed, if the caller still leads and the place belongs to the present phase. Returns
    /// whether it does.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn store_place(&self, place: &StoredPlace, passed: &Passed) -> Result<bool, StoreError> {
        const OPERATION: &str = "store_place";
        const SQL: &str = "UPDATE relay_place SET mode_epoch = ?, server_uuid = ?, file = ?, file_position = ?, gtids = ?, \
            anchor = ?, delivered_to = ?, problem = ? WHERE id = 1 AND leader_epoch = ?";
        let update = Statement::new(
            SQL,
            [
                place.mode_epoch.into(),
                place.server_uuid.as_str().into(),
                place.file.as_str().into(),
                place.file_position.into(),
                place.gtids.as_str().into(),
                place.anchor.as_str().into(),
                place.delivered_to.into(),
                place.problem.as_str().into(),
                place.leader_epoch.into(),
            ],
        );
        if passed.rows.is_empty() && passed.rooms.is_empty() {
            return Ok(self.write(OPERATION, &update).await? > 0);
        }
        let mut transaction = MySqlTransaction::begin(OPERATION, &self.0.address.options()).await?;
        let stored = async {
            if transaction.run(&update).await?.affected == 0 {
                return Ok(false);
            }
            for piece in passed.rows.chunks(Self::MOST_POSITIONS) {
                let list: Vec<_> = piece.iter().map(ToString::to_string).collect();
                let delete = format!("DELETE FROM outbox WHERE position IN ({})", list.join(","));
                transaction.run(&Statement::text(delete)).await?;
            }
            for room in &passed.rooms {
                let delete = "DELETE FROM held_rooms WHERE room = ? AND released_to IS NOT NULL";
                transaction.run(&Statement::new(delete, [room.into()])).await?;
            }
            Ok(true)
        }
        .await;
        transaction.end(stored).await
    }

    /// Whether the outbox has no rows but those of held rooms.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn outbox_is_drained(&self) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM events e JOIN \
            held_rooms h ON h.room = e.stream_id WHERE e.position = o.position) LIMIT 1) AS rest";
        let rows = self.rows("outbox_is_drained", &Statement::new(SQL, [])).await?;
        let rest = rows.first().map_or(Ok(0), |row| row.count(0));
        Ok(rest.map_err(|error| error.during("outbox_is_drained"))? == 0)
    }

    /// Adds outbox rows for all events after a position, and ends the release of rooms, which the added rows complete. May be
    /// repeated.
    ///
    /// # Errors
    /// If the store can't be read or written.
    pub async fn refill_outbox(&self, after: Position) -> Result<u64, StoreError> {
        const OPERATION: &str = "refill_outbox";
        let failed = |error: RowError| error.during(OPERATION);
        let last = "SELECT CAST(COALESCE(MAX(position), 0) AS UNSIGNED) FROM events";
        let rows = self.rows(OPERATION, &Statement::new(last, [])).await?;
        let last = rows.first().map_or(Ok(0), |row| row.number(0)).map_err(failed)?;
        let (mut after, mut added) = (after, 0);
        loop {
            let select = "SELECT position, stream_id FROM events WHERE position > ? AND position <= ? ORDER BY position LIMIT ?";
            let select = Statement::new(select, [after.into(), last.into(), PAGE.into()]);
            let rows = self.rows(OPERATION, &select).await?;
            let pointers = rows.iter().map(|row| Ok((row.number(0)?.into(), row.room(1)?)));
            let pointers = pointers.collect::<Result<Vec<(Position, RoomId)>, _>>().map_err(failed)?;
            let Some((reached, _)) = pointers.last() else { break };
            after = *reached;
            added += self.write(OPERATION, &insert_pointers(&pointers)).await?;
        }
        self.end_releases().await?;
        Ok(added)
    }

    /// The held rooms with the refused event's position, and up to where released ones have outbox rows.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn holds(&self) -> Result<Vec<(RoomId, Position, Option<Position>)>, StoreError> {
        let select = Statement::new("SELECT room, position, CAST(released_to AS SIGNED) FROM held_rooms", []);
        let rows = self.rows("holds", &select).await?;
        let hold = |row: &MySqlRow| {
            Ok((
                row.room(0)?,
                row.number(1)?.into(),
                row.integer(2)?.map(|up_to| Position::from(up_to.cast_unsigned())),
            ))
        };
        rows.iter().map(hold).collect::<Result<_, RowError>>().map_err(|error| error.during("holds"))
    }

    /// Waits until a switch or a release that the binary log shows already can be read too.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn wait_for_change(&self) -> Result<(), StoreError> {
        let lock = Statement::new("SELECT phase FROM relay_mode WHERE id = 1 FOR SHARE", []);
        self.rows("wait_for_change", &lock).await.map(drop)
    }

    /// Ends all releases. Right in a phase in which the table is relayed: it has the rows of released rooms.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn end_releases(&self) -> Result<(), StoreError> {
        let delete = "DELETE FROM held_rooms WHERE released_to IS NOT NULL";
        self.write("end_releases", &Statement::new(delete, [])).await.map(drop)
    }

    /// The positions of a room's outbox rows up to one, in order.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn outbox_rows_of(&self, room: RoomId, up_to: Position) -> Result<Vec<Position>, StoreError> {
        const SQL: &str = "SELECT o.position FROM outbox o JOIN events e ON e.position = o.position \
            WHERE e.stream_id = ? AND o.position <= ? ORDER BY o.position";
        let select = Statement::new(SQL, [(&room).into(), up_to.into()]);
        let rows = self.rows("outbox_rows_of", &select).await?;
        let positions = rows.iter().map(|row| row.number(0).map(Position::from));
        positions.collect::<Result<_, _>>().map_err(|error| error.during("outbox_rows_of"))
    }

    /// Releases a held room: the outbox gets its events from the refused one on. In a phase of the binary log the row stays,
    /// until the place has passed the release: before it, the log's events of the room are left out.
    pub(super) async fn release_in_phase(&self, room: RoomId) -> Result<Release, StoreError> {
        const OPERATION: &str = "release_room";
        let mut transaction = MySqlTransaction::begin(OPERATION, &self.0.address.options()).await?;
        let released = release(&mut transaction, room).await;
        transaction
            .end(released.map_err(|error| match error {
                Failed::Store(error) => error,
                Failed::Row(error) => error.during(OPERATION),
            }))
            .await
    }
}

enum Failed {
    Store(StoreError),
    Row(RowError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RowError> for Failed {
    fn from(error: RowError) -> Self {
        Self::Row(error)
    }
}

async fn release(transaction: &mut MySqlTransaction, room: RoomId) -> Result<Release, Failed> {
    // Waits for all appends, so that the room's events before the release are visible, and none comes until its commit.
    let lock = Statement::text("SELECT phase FROM relay_mode WHERE id = 1 FOR UPDATE".to_owned());
    let phase = transaction.run(&lock).await?.rows.first().map_or(Ok(String::new()), |row| row.text(0))?;
    let select = "SELECT position FROM held_rooms WHERE room = ? AND released_to IS NULL";
    let held = transaction.run(&Statement::new(select, [(&room).into()])).await?.rows;
    let Some(held) = held.first() else { return Ok(Release::NotHeld) };
    let select = "SELECT position FROM events WHERE stream_id = ? AND position >= ? ORDER BY version";
    let select = Statement::new(select, [(&room).into(), held.number(0)?.into()]);
    let events = transaction.run(&select).await?.rows;
    let pointers = events.iter().map(|row| Ok((row.number(0)?.into(), room)));
    let pointers = pointers.collect::<Result<Vec<(Position, RoomId)>, RowError>>()?;
    for piece in pointers.chunks(5_000) {
        transaction.run(&insert_pointers(piece)).await?;
    }
    let from_the_log = [Phase::Log.name(), Phase::Draining.name()].contains(&phase.as_str());
    let end = match pointers.last() {
        Some((last, _)) if from_the_log => {
            let update = "UPDATE held_rooms SET released_to = ? WHERE room = ?";
            Statement::new(update, [(*last).into(), (&room).into()])
        }
        _ => Statement::new("DELETE FROM held_rooms WHERE room = ?", [(&room).into()]),
    };
    transaction.run(&end).await?;
    Ok(Release::Released)
}

fn insert_pointers(events: &[(Position, RoomId)]) -> Statement<'static> {
    let rows: Vec<_> =
        events.iter().map(|(position, room)| format!("({position},{})", bucket(*room))).collect();
    Statement::text(format!("INSERT IGNORE INTO outbox (position, bucket) VALUES {}", rows.join(",")))
}

fn state(row: &impl Columns) -> Result<RelayState, RowError> {
    let place = StoredPlace {
        leader_epoch: row.number(6)?,
        mode_epoch: row.number(7)?,
        server_uuid: row.text(8)?,
        file: row.text(9)?,
        file_position: row.number(10)?,
        gtids: row.text(11)?,
        anchor: row.text(12)?,
        delivered_to: row.number(13)?.into(),
        problem: row.text(14)?,
    };
    Ok(RelayState {
        wanted: row.text(0)?.parse().map_err(RowError)?,
        phase: row.text(1)?.parse().map_err(RowError)?,
        epoch: row.number(2)?,
        since: row.integer(3)?.map(Timestamp::from_epoch_millis),
        barrier: row.number(4)?.into(),
        erasures: row.number(5)?,
        place,
        server_uuid: row.text(15)?,
    })
}
