//! Inflicts the faults.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::{
    sync::{MutexGuard, oneshot},
    time::sleep,
};

use super::{
    proxy::Mode,
    record::YEAR_BEGINS,
    schedule::{Fault, Planned, Target},
    world::World,
};
use crate::{Server, mysql};

/// How long a stuttering process is paused, and how long it then runs.
const STANDS: Duration = Duration::from_millis(400);
const RUNS: Duration = Duration::from_millis(100);
/// The time between two restarts of a storm.
const STORM: Duration = Duration::from_millis(700);
/// The target of a clock that jumps into the stays: ten days after the first ones.
pub(crate) const IN_THE_STAYS: i64 = YEAR_BEGINS * 60 + 10 * 86_400;

impl World {
    /// Aims the takeover from a command service at the one that relays most.
    pub(crate) async fn aimed(&self, planned: Planned) -> Planned {
        if planned.fault != Fault::Takeover || !matches!(planned.target, Target::Command(_)) {
            return planned;
        }
        let holder = mysql::lease_holder(&self.database_url()).await.ok().flatten();
        let target = holder.and_then(|holder| holder.parse().ok()).map_or(planned.target, Target::Command);
        Planned { target, ..planned }
    }

    /// Runs a fault from its start to its end. Tells `struck` once it has started.
    pub(crate) async fn inflict(&self, planned: &Planned, struck: oneshot::Sender<()>) {
        let Planned { fault, target, lasts, amount } = *planned;
        let last = async {
            // For most faults nobody listens.
            let _ = struck.send(());
            sleep(lasts).await;
        };
        match fault {
            Fault::Kill | Fault::Takeover => self.kill(target, &[], last).await,
            Fault::Pause => {
                let paused = self.pause(target).await;
                last.await;
                self.resume(target, paused);
            }
            Fault::Stutter => self.stutter(target, lasts).await,
            Fault::Cut => self.disturb(target, Mode::Cut, last).await,
            Fault::Late => {
                let delay = Duration::from_millis(u64::try_from(amount).unwrap());
                self.disturb(target, Mode::Late(delay), last).await;
            }
            Fault::Silent => self.disturb(target, Mode::Silent, last).await,
            Fault::ResetAfter => {
                let bytes = usize::try_from(amount).unwrap();
                self.disturb(target, Mode::ResetAfter(bytes), last).await;
            }
            Fault::LoseCommit => self.disturb(target, Mode::LoseCommit, last).await,
            Fault::EmptyTopic => {
                self.servers.kill(target).await;
                self.count_kill();
                last.await;
                self.servers.empty_topic(Self::database());
                self.servers.start_again(target).await;
            }
            Fault::PutBack => self.put_back(target, last).await,
            Fault::ClockJump => {
                let seconds = if amount == 0 { IN_THE_STAYS - now() } else { amount };
                let setting = ("CLOCK_OFFSET_SECONDS", seconds.to_string());
                self.restart_with((setting.0, &setting.1), target, last).await;
            }
            Fault::Storm => self.storm(lasts).await,
            Fault::FullQueue => self.restart_with(("QUEUE_CAPACITY", "1"), target, last).await,
            Fault::SwitchSource => {
                // Under another fault MySQL may be away. Then nothing is switched.
                drop(mysql::switch_source(&self.database_url()).await);
                last.await;
            }
            Fault::PurgeLog => self.purge_log(last).await,
        }
    }

    fn count_kill(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// Kills it, and starts it again with more settings after `last`.
    async fn kill(&self, target: Target, settings: &[(&str, &str)], last: impl Future) {
        self.count_kill();
        if let Some(service) = self.service(target) {
            let mut service = service.lock().await;
            service.kill();
            last.await;
            service.start(settings);
        } else {
            self.servers.kill(target).await;
            last.await;
            self.servers.start_again(target).await;
        }
    }

    /// Kills a service and starts it again with one more setting, and again without it.
    async fn restart_with(&self, setting: (&str, &str), target: Target, last: impl Future) {
        self.kill(target, &[setting], std::future::ready(())).await;
        last.await;
        self.kill(target, &[], std::future::ready(())).await;
    }

    /// A service stays locked during the pause.
    async fn pause(&self, target: Target) -> Option<MutexGuard<'_, Server>> {
        let Some(service) = self.service(target) else {
            self.servers.signal(target, "STOP");
            return None;
        };
        let mut service = service.lock().await;
        service.pause();
        Some(service)
    }

    fn resume(&self, target: Target, paused: Option<MutexGuard<'_, Server>>) {
        match paused {
            Some(mut service) => service.resume(),
            None => self.servers.signal(target, "CONT"),
        }
    }

    async fn stutter(&self, target: Target, lasts: Duration) {
        let start = Instant::now();
        while start.elapsed() < lasts {
            let paused = self.pause(target).await;
            sleep(STANDS).await;
            self.resume(target, paused);
            sleep(RUNS).await;
        }
    }

    async fn disturb(&self, target: Target, mode: Mode, last: impl Future) {
        let Target::Link(link) = target else { panic!("{target} is no connection") };
        let proxy = self.proxy(link);
        proxy.set(mode);
        last.await;
        proxy.set(Mode::Open);
    }

    async fn put_back(&self, target: Target, last: impl Future) {
        self.servers.kill(target).await;
        self.servers.copy_mongodb();
        self.servers.start_again(target).await;
        last.await;
        self.servers.kill(target).await;
        self.servers.put_mongodb_back();
        self.servers.start_again(target).await;
        self.count_kill();
        self.count_kill();
    }

    async fn purge_log(&self, last: impl Future) {
        let mut services = Vec::new();
        for number in 0..2 {
            let Some(service) = self.service(Target::Command(number)) else { continue };
            let mut service = service.lock().await;
            service.kill();
            self.count_kill();
            services.push(service);
        }
        last.await;
        mysql::purge_log(&self.database_url()).await.unwrap();
        for mut service in services {
            service.start(&[]);
        }
    }

    async fn storm(&self, lasts: Duration) {
        let start = Instant::now();
        while start.elapsed() < lasts {
            for number in 0..2 {
                self.kill(Target::Query(number), &[], std::future::ready(())).await;
                sleep(STORM).await;
            }
        }
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the services' clocks are offsets to the system's time")]
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}
