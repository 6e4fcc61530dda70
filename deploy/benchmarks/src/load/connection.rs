//! A minimal HTTP connection: a full client would cost more than the service that it measures.

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const MAX_HEADERS: usize = 32;
/// The end of an answer in chunks.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    /// Sends a request, reads the whole answer, and returns its status.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let (status, length) = loop {
            self.read().await?;
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut answer = httparse::Response::new(&mut headers);
            if let httparse::Status::Complete(head) = answer.parse(&self.received)? {
                let status = answer.code.context("an answer without a status")?;
                let header =
                    |name: &str| answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
                if header("transfer-encoding").is_some() {
                    break (status, None);
                }
                let length = header("content-length").context("an answer of no known length")?;
                let body: usize = std::str::from_utf8(length.value)?.trim().parse()?;
                break (status, Some(head + body));
            }
        };
        while length.map_or(!self.received.ends_with(LAST_CHUNK), |length| self.received.len() < length) {
            self.read().await?;
        }
        Ok(status)
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            bail!("the connection was closed within an answer");
        }
        Ok(())
    }
}
