//! TLS in front of a server without TLS: the MongoDB engine that runs without Docker.

use std::{path::Path, sync::Arc};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Ends TLS on one loopback port and forwards to another. Dropped, it accepts no more connections.
#[derive(Debug)]
pub(crate) struct TlsProxy(JoinHandle<()>);

impl TlsProxy {
    /// Uses the certificate and key that an authority wrote to a folder.
    pub(crate) async fn start(port: u16, server: u16, folder: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        Self(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(acceptor.clone(), client, server));
            }
        }))
    }
}

/// Forwards one connection. The client sees its errors.
async fn carry(acceptor: TlsAcceptor, client: TcpStream, server: u16) {
    let (client, server) = tokio::join!(acceptor.accept(client), TcpStream::connect(("127.0.0.1", server)));
    if let (Ok(mut client), Ok(mut server)) = (client, server) {
        drop(copy_bidirectional(&mut client, &mut server).await);
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.0.abort();
    }
}
