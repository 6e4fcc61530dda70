//! An endpoint of webhooks on this machine, which behaves as a test wants.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the endpoint does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Answers with this status.
    Status(u16),
    /// Answers 302 with this address.
    Redirects(String),
    /// Never answers.
    Hangs,
    /// Sends a byte of its answer every 50 ms.
    DripsIn,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

pub(crate) struct Receiver {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, connections) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicUsize>::default());
        let behaviour = Arc::new(Mutex::new(behaviour));
        let state = (Arc::clone(&received), Arc::clone(&behaviour), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let (received, behaviour, connections) = state;
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(connection, Arc::clone(&received), Arc::clone(&behaviour)));
            }
        });
        Self { port, received, behaviour, connections, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.received().iter().map(|received| received.id().to_owned()).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers the requests of a connection, one after another.
async fn serve(
    mut connection: TcpStream,
    received: Arc<Mutex<Vec<Received>>>,
    behaviour: Arc<Mutex<Behaviour>>,
) -> Option<()> {
    loop {
        let request = request(&mut connection).await?;
        received.lock().unwrap().push(request);
        let behaviour = behaviour.lock().unwrap().clone();
        let (status, more) = match &behaviour {
            Behaviour::Status(status) => (*status, String::new()),
            Behaviour::Redirects(to) => (302, format!("location: {to}\r\n")),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::DripsIn => (200, format!("x-long: {}\r\n", "x".repeat(10_000))),
        };
        let answer = format!("HTTP/1.1 {status} x\r\n{more}content-length: 0\r\n\r\n");
        if matches!(behaviour, Behaviour::DripsIn) {
            for byte in answer.as_bytes() {
                connection.write_all(&[*byte]).await.ok()?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        connection.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn request(connection: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let headers: HashMap<String, String> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return Some(Received { body: body.to_owned(), headers });
        }
    }
}
