//! A proxy that can fail. Each connection from a service to a server goes through one.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// The behaviour of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Forwards everything.
    Open,
    /// Resets every connection, also new ones.
    Cut,
    /// Delays everything.
    Late(Duration),
    /// Swallows everything without an error. Connections that lost bytes are reset at the end.
    Silent,
    /// Resets each connection after this number of bytes to the server.
    ResetAfter(usize),
    /// Resets each connection with a COMMIT, in turns after and before the server gets it.
    LoseCommit,
}

/// Forwards one port to another. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Forwards `port` to `server`, both on loopback.
    pub(crate) async fn start(port: u16, server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (mode, modes) = watch::channel(Mode::Open);
        let task = tokio::spawn(async move {
            let turns = Arc::default();
            loop {
                if let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(forward(client, server, modes.clone(), Arc::clone(&turns)));
                }
            }
        });
        Self { port, mode, task }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The end of one direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// Counts lost commits.
type Turns = Arc<std::sync::atomic::AtomicUsize>;

async fn forward(mut client: TcpStream, server: u16, modes: watch::Receiver<Mode>, turns: Turns) {
    let cut = *modes.borrow() == Mode::Cut;
    let server = if cut { None } else { TcpStream::connect(("127.0.0.1", server)).await.ok() };
    let Some(mut server) = server else { return reset(&client) };
    // No direction may delay small packets.
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let end = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let mut up = Pump { modes: modes.clone(), forwarded: 0, lost: false, turns: Some(turns) };
        let mut down = Pump { modes, forwarded: 0, lost: false, turns: None };
        tokio::select! {
            end = up.run(from_client, to_server) => end,
            end = down.run(from_server, to_client) => end,
        }
    };
    if end == End::Reset {
        reset(&client);
        reset(&server);
    }
}

/// The connection ends with RST when it is dropped.
fn reset(connection: &TcpStream) {
    // The connection may have ended already.
    let _ = connection.set_zero_linger();
}

/// One direction of a connection.
struct Pump {
    modes: watch::Receiver<Mode>,
    forwarded: usize,
    /// Whether bytes were swallowed.
    lost: bool,
    /// None in the direction of the client.
    turns: Option<Turns>,
}

impl Pump {
    async fn run(&mut self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) -> End {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = tokio::select! {
                length = from.read(&mut buffer) => length,
                changed = self.modes.changed() => {
                    let mode = *self.modes.borrow_and_update();
                    if changed.is_err() || mode == Mode::Cut || (self.lost && mode == Mode::Open) {
                        return End::Reset;
                    }
                    continue;
                }
            };
            let Ok(length @ 1..) = length else { return End::Closed };
            let (bytes, end) = self.passes(&buffer[..length]).await;
            if to.write_all(bytes).await.is_err() {
                return End::Closed;
            }
            if end {
                return End::Reset;
            }
        }
    }

    /// Which of these bytes pass, and whether the connection ends then.
    async fn passes<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], bool) {
        let mode = *self.modes.borrow();
        match mode {
            Mode::Open => (bytes, false),
            Mode::Cut => (&[], true),
            Mode::Late(delay) => {
                tokio::time::sleep(delay).await;
                (bytes, false)
            }
            Mode::Silent => {
                self.lost = true;
                (&[], false)
            }
            // Only requests are counted.
            Mode::ResetAfter(_) if self.turns.is_none() => (bytes, false),
            Mode::ResetAfter(most) => {
                let left = most.saturating_sub(self.forwarded).min(bytes.len());
                self.forwarded += left;
                (&bytes[..left], left < bytes.len())
            }
            Mode::LoseCommit => {
                let commits = bytes.windows(6).any(|word| word == b"COMMIT");
                let Some(turns) = self.turns.as_ref().filter(|_| commits) else { return (bytes, false) };
                let arrives = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 0;
                (if arrives { bytes } else { &[] }, true)
            }
        }
    }
}
