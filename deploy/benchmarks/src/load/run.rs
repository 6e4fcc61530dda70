//! The process of the load generator: one thread, one task for each connection.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt::Write as _,
    io::Read,
    io::Write as _,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::{
    sync::mpsc,
    task::{JoinSet, LocalSet},
};

use super::{Load, Outcome, Pace, Requests, connection::Connection, new_histogram};
use crate::{figures::number, wall_clock::clock_micros};

/// Reads a [`Load`] from standard input, runs it, and prints its [`Outcome`].
pub(crate) fn generate() -> Result<()> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let load: Load = serde_json::from_slice(&input)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = LocalSet::new().block_on(&runtime, run(load))?;
    serde_json::to_writer(std::io::stdout(), &outcome)?;
    Ok(())
}

/// The state that all connections share.
struct Shared {
    load: Load,
    next: Cell<u64>,
    counted_from: Instant,
    end: Instant,
    statuses: RefCell<BTreeMap<u16, u64>>,
    answered_at: RefCell<Vec<(u64, i64)>>,
    latencies: RefCell<Histogram<u64>>,
    succeeded: Cell<u64>,
}

async fn run(load: Load) -> Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(Connection::open(&load.address).await?);
    }
    let start = Instant::now();
    let counted_from = start + Duration::from_secs_f64(load.warm_up_seconds);
    let shared = Rc::new(Shared {
        next: Cell::new(0),
        counted_from,
        end: counted_from + Duration::from_secs_f64(load.seconds),
        statuses: RefCell::default(),
        answered_at: RefCell::default(),
        latencies: RefCell::new(new_histogram()?),
        succeeded: Cell::new(0),
        load,
    });
    let mut tasks = JoinSet::new();
    match shared.load.pace {
        Pace::Closed => {
            for connection in connections {
                tasks.spawn_local(closed(Rc::clone(&shared), connection));
            }
        }
        Pace::Open(per_second) => {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                connections.iter().map(|_| mpsc::unbounded_channel()).unzip();
            for (connection, due) in connections.into_iter().zip(receivers) {
                tasks.spawn_local(open(Rc::clone(&shared), connection, due));
            }
            let end = shared.end;
            // A thread sleeps more precisely than the runtime's timer, which counts in milliseconds.
            std::thread::spawn(move || {
                for (number, sender) in (0u32..).zip(senders.iter().cycle()) {
                    let due = start + Duration::from_secs_f64(f64::from(number) / per_second);
                    if due >= end {
                        break;
                    }
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    if sender.send(due).is_err() {
                        break;
                    }
                }
            });
        }
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let latencies = shared.latencies.borrow();
    Ok(Outcome {
        sent: shared.next.get(),
        statuses: shared.statuses.borrow().clone(),
        answered_at: shared.answered_at.take(),
        rate: number(shared.succeeded.get()) / shared.load.seconds,
        latencies: latencies
            .iter_recorded()
            .map(|value| (value.value_iterated_to(), value.count_at_value()))
            .collect(),
    })
}

async fn closed(shared: Rc<Shared>, mut connection: Connection) -> Result<()> {
    let mut request = Vec::with_capacity(1024);
    loop {
        let due = Instant::now();
        if due >= shared.end {
            return Ok(());
        }
        shared.send(&mut connection, due, &mut request).await?;
    }
}

async fn open(
    shared: Rc<Shared>,
    mut connection: Connection,
    mut due: mpsc::UnboundedReceiver<Instant>,
) -> Result<()> {
    let mut request = Vec::with_capacity(1024);
    while let Some(due) = due.recv().await {
        shared.send(&mut connection, due, &mut request).await?;
    }
    Ok(())
}

impl Shared {
    async fn send(&self, connection: &mut Connection, due: Instant, request: &mut Vec<u8>) -> Result<()> {
        request.clear();
        let number = self.next.replace(self.next.get() + 1);
        self.load.requests.write(number, &self.load.address, request)?;
        let status = connection.send(request).await?;
        *self.statuses.borrow_mut().entry(status).or_default() += 1;
        let now = Instant::now();
        if matches!(self.load.pace, Pace::Open(_)) {
            self.answered_at.borrow_mut().push((number, clock_micros()));
        }
        // The closed loop counts by the time of the answer, the open loop by the due time.
        let counted = match self.load.pace {
            Pace::Closed => now >= self.counted_from && now < self.end,
            Pace::Open(_) => due >= self.counted_from,
        };
        if counted {
            let micros = u64::try_from(now.duration_since(due).as_micros())?;
            self.latencies.borrow_mut().record(micros.max(1))?;
            if (200..300).contains(&status) {
                self.succeeded.set(self.succeeded.get() + 1);
            }
        }
        Ok(())
    }
}

impl Requests {
    fn write(&self, number: u64, address: &str, request: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Reserve { rooms, tokens, first, lines } => {
                let count = u64::try_from(rooms.len())?;
                let token = tokens.get(usize::try_from(number)? % tokens.len()).context("no token")?;
                let mut all = String::new();
                let mut path = "/v1/commands".to_owned();
                let mut headers = "Content-Type: application/x-ndjson\r\n".to_owned();
                for number in first + number * lines..first + (number + 1) * lines {
                    let room = rooms.get(usize::try_from(number % count)?).context("no such room")?;
                    let body = reservation(number / count)?;
                    if *lines == 1 {
                        path = format!("/v1/rooms/{room}/reservations");
                        headers =
                            format!("Idempotency-Key: {room}-{number}\r\nContent-Type: application/json\r\n");
                        all = body;
                    } else {
                        writeln!(
                            all,
                            "{{\"key\":\"{room}-{number}\",\"method\":\"POST\",\
                             \"path\":\"/v1/rooms/{room}/reservations\",\"body\":{body}}}"
                        )?;
                    }
                }
                write!(
                    request,
                    "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{headers}\
                     Content-Length: {}\r\n\r\n{all}",
                    all.len()
                )?;
            }
            Self::Get { paths, token } => {
                let path = paths.get(usize::try_from(number)? % paths.len()).context("no path")?;
                write!(
                    request,
                    "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
                )?;
            }
        }
        Ok(())
    }
}

/// The body of a room's reservation in an hour of its own, with a quarter for buffers.
fn reservation(hour: u64) -> Result<String> {
    let from = first_hour() + chrono::TimeDelta::hours(i64::try_from(hour)?);
    let to = from + chrono::TimeDelta::minutes(45);
    let format = "%Y-%m-%dT%H:%M:00Z";
    Ok(format!(
        "{{\"from\":\"{}\",\"to\":\"{}\",\"people\":4,\"title\":\"Planning of the quarter\",\
         \"reservedFor\":\"The whole team\"}}",
        from.format(format),
        to.format(format)
    ))
}

/// An hour far in the future.
fn first_hour() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(2_000_000_000 / 3600 * 3600, 0).unwrap_or_default()
}
