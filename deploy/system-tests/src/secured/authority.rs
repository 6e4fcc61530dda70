//! A certificate authority of a test.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// Signs certificates. Only programs that are configured so trust it.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate as PEM.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = parameters(name, Vec::new());
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// Writes the files of a server that is reached as 127.0.0.1 only: its certificate, its key, both in one file, and the
    /// authority's certificate.
    pub(crate) fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            parameters("server", vec!["127.0.0.1".to_owned()]).signed_by(&key, &self.issuer).unwrap().pem();
        let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        file("ca.pem", &self.pem);
        file("cert.pem", &certificate);
        file("key.pem", &key.serialize_pem());
        file("server.pem", &format!("{}{certificate}", key.serialize_pem()));
    }

    /// Writes its certificate into a folder.
    pub(crate) fn write_certificate(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.pem", crate::unique("ca")));
        std::fs::write(&path, &self.pem).unwrap();
        path
    }
}

fn parameters(name: &str, hosts: Vec<String>) -> CertificateParams {
    let mut parameters = CertificateParams::new(hosts).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
