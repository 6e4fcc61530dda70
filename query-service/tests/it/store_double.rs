//! Stores of tests: real ones that are removed at the end, and one that fails and counts.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use query_service::{
    generations::FIRST,
    read_models::{
        Checkpoint, DroppedEvent, HistoryDoc, KindCount, Outcome, ParkedMessage, Request, ReservationDoc,
        RoomDoc, RoomDocuments, UsageDoc, usage::Month,
    },
    stores::{
        Applied, ReadModels, RoomFilter, StoreError,
        memory::MemoryReadModels,
        mongo::{Generations, MongoReadModels, MongoSettings},
    },
};
use service_kit::ids;
use shared_events::{DecodedEvent, Erasures, Interval, Minute, ReservationId, RoomId, Timestamp, UserId};
use uuid::Uuid;

/// Read models in a database of the real server that only one test uses.
pub(crate) struct TestMongo {
    pub(crate) models: Arc<MongoReadModels>,
    pub(crate) url: String,
    pub(crate) database: String,
}

impl TestMongo {
    pub(crate) async fn open() -> Self {
        let (url, database) = Self::anew();
        let models = MongoReadModels::connect(&url, &database, "t_").await.unwrap();
        Self { models: Arc::new(models), url, database }
    }

    /// The generation that a service shows when there was none.
    pub(crate) async fn first_generation() -> Self {
        let (url, database) = Self::anew();
        let settings = MongoSettings { url: url.clone().into(), database, authorities: None };
        let now = Timestamp::from_epoch_millis(1_800_000_000_000);
        let generations = Generations::connect(&settings, now).await.unwrap();
        generations.ensure_first(now).await.unwrap();
        let models = generations.models(FIRST).await.unwrap();
        Self { models: Arc::new(models), url, database: settings.database }
    }

    fn anew() -> (String, String) {
        let url = std::env::var("MONGODB_URL").expect("MONGODB_URL names a MongoDB server");
        (url, format!("query_test_{}", ids::new_id().simple()))
    }

    pub(crate) async fn remove(self) {
        let client = mongodb::Client::with_uri_str(&self.url).await.unwrap();
        client.database(&self.database).drop().await.unwrap();
    }
}

/// Passes everything on, after the failures that a test asked for.
pub(crate) struct StoreDouble {
    inner: Arc<dyn ReadModels>,
    /// How many of the next applications fail before anything is written.
    pub(crate) fail_before: AtomicUsize,
    /// How many of the next applications fail after everything is written.
    pub(crate) fail_after: AtomicUsize,
    /// How often checkpoints were read.
    pub(crate) checkpoint_reads: AtomicUsize,
    /// How often a batch was applied.
    pub(crate) applications: AtomicUsize,
}

impl StoreDouble {
    pub(crate) fn over(inner: Arc<dyn ReadModels>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            fail_before: AtomicUsize::new(0),
            fail_after: AtomicUsize::new(0),
            checkpoint_reads: AtomicUsize::new(0),
            applications: AtomicUsize::new(0),
        })
    }

    pub(crate) fn in_memory() -> Arc<Self> {
        Self::over(Arc::new(MemoryReadModels::new()))
    }
}

fn due(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

fn failure() -> StoreError {
    StoreError::Backend("as the test wants".into())
}

#[async_trait]
impl ReadModels for StoreDouble {
    async fn checkpoints(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, Checkpoint>, StoreError> {
        self.checkpoint_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.checkpoints(rooms).await
    }

    async fn apply(&self, batch: &[DecodedEvent]) -> Result<Applied, StoreError> {
        if due(&self.fail_before) {
            return Err(failure());
        }
        self.applications.fetch_add(1, Ordering::SeqCst);
        let applied = self.inner.apply(batch).await?;
        if due(&self.fail_after) { Err(failure()) } else { Ok(applied) }
    }

    async fn park(&self, message: &ParkedMessage) -> Result<bool, StoreError> {
        self.inner.park(message).await
    }

    async fn parked_message(&self, room: RoomId) -> Result<Option<ParkedMessage>, StoreError> {
        self.inner.parked_message(room).await
    }

    async fn drop_event(&self, dropped: &DroppedEvent) -> Result<(), StoreError> {
        self.inner.drop_event(dropped).await
    }

    async fn is_dropped(&self, room: RoomId, version: u64) -> Result<bool, StoreError> {
        self.inner.is_dropped(room, version).await
    }

    async fn pass_over(&self, room: RoomId, version: u64) -> Result<bool, StoreError> {
        self.inner.pass_over(room, version).await
    }

    async fn forget_checkpoint(&self, room: RoomId) -> Result<(), StoreError> {
        self.inner.forget_checkpoint(room).await
    }

    async fn delete_documents(&self, room: RoomId, reservations: &[ReservationId]) -> Result<(), StoreError> {
        self.inner.delete_documents(room, reservations).await
    }

    async fn erasures(&self) -> Result<Option<Arc<Erasures>>, StoreError> {
        self.inner.erasures().await
    }

    async fn keep_erasures(&self, list: &Erasures) -> Result<(), StoreError> {
        self.inner.keep_erasures(list).await
    }

    async fn requests(&self) -> Result<Vec<Request>, StoreError> {
        self.inner.requests().await
    }

    async fn answer(&self, request: Uuid, outcome: &Outcome) -> Result<(), StoreError> {
        self.inner.answer(request, outcome).await
    }

    async fn room(&self, room: RoomId) -> Result<Option<RoomDoc>, StoreError> {
        self.inner.room(room).await
    }

    async fn rooms_by_name(
        &self,
        filter: RoomFilter<'_>,
        after: Option<&(String, RoomId)>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        self.inner.rooms_by_name(filter, after, limit).await
    }

    async fn rooms_by_id(
        &self,
        kind: Option<&str>,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomDoc>, StoreError> {
        self.inner.rooms_by_id(kind, after, limit).await
    }

    async fn kinds(&self, after: Option<&str>, limit: usize) -> Result<Vec<KindCount>, StoreError> {
        self.inner.kinds(after, limit).await
    }

    async fn reservation(&self, reservation: ReservationId) -> Result<Option<ReservationDoc>, StoreError> {
        self.inner.reservation(reservation).await
    }

    async fn live_in_room(
        &self,
        room: RoomId,
        during: Interval,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        self.inner.live_in_room(room, during, after, limit).await
    }

    async fn live_in_rooms(
        &self,
        rooms: &[RoomId],
        during: &[Interval],
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        self.inner.live_in_rooms(rooms, during).await
    }

    async fn occupied(&self, rooms: &[RoomId], during: Interval) -> Result<HashSet<RoomId>, StoreError> {
        self.inner.occupied(rooms, during).await
    }

    async fn live_of_user(
        &self,
        user: &UserId,
        from: Option<Minute>,
        to: Option<Minute>,
        after: Option<(Minute, ReservationId)>,
        limit: usize,
    ) -> Result<Vec<ReservationDoc>, StoreError> {
        self.inner.live_of_user(user, from, to, after, limit).await
    }

    async fn history_of_user(
        &self,
        user: &UserId,
        after: Option<(Timestamp, RoomId, u64)>,
        limit: usize,
    ) -> Result<Vec<HistoryDoc>, StoreError> {
        self.inner.history_of_user(user, after, limit).await
    }

    async fn usage(
        &self,
        rooms: &[RoomId],
        months: RangeInclusive<Month>,
    ) -> Result<Vec<UsageDoc>, StoreError> {
        self.inner.usage(rooms, months).await
    }

    async fn documents_of(
        &self,
        room: RoomId,
        reservations: &[ReservationId],
    ) -> Result<RoomDocuments, StoreError> {
        self.inner.documents_of(room, reservations).await
    }
}
