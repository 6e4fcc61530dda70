use super::*;
use crate::config::Mistakes;

fn read(pairs: &[(&str, &str)]) -> Result<KitSettings, Mistakes> {
    let declared = all(&[], &[("LISTEN", "127.0.0.1:8081")]);
    let mut settings = Settings::from_variables(declared, pairs.iter().copied());
    let kit = KitSettings::read(&mut settings);
    settings.finish(|| kit)
}

fn mistaken(pairs: &[(&str, &str)]) -> Vec<String> {
    let mut names: Vec<String> = read(pairs).unwrap_err().0.into_iter().map(|mistake| mistake.key).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_defaults_need_keys_alone() {
    assert_eq!(mistaken(&[]), ["JWKS_FILE"]);
    let settings = read(&[("JWKS_FILE", "/k/jwks.json")]).unwrap();
    assert_eq!(settings.auth.jwks, Some(Source::File("/k/jwks.json".into())));
    assert_eq!(settings.server.request_timeout, Duration::from_secs(30));
    let defaults = ServerSettings::on(settings.server.listen);
    assert_eq!(format!("{:?}", settings.server), format!("{defaults:?}"));
    assert!(!settings.auth.dev_headers);
    assert_eq!(settings.auth.rules, TokenRules::default());
}

#[test]
fn headers_are_trusted_on_loopback_only() {
    assert!(read(&[("DEV_HEADERS", "true")]).unwrap().auth.dev_headers);
    assert_eq!(mistaken(&[("DEV_HEADERS", "true"), ("LISTEN", "0.0.0.0:8081")]), ["DEV_HEADERS"]);
}

#[test]
fn certificates_that_cannot_be_used_are_mistakes() {
    let with = |pairs: &[(&str, &str)]| mistaken(&[&[("JWKS_FILE", "/k/jwks.json")], pairs].concat());
    assert_eq!(with(&[("TLS_CERT_FILE", "/nowhere/cert.pem")]), ["TLS_KEY_FILE"]);
    assert_eq!(with(&[("TLS_KEY_FILE", "/nowhere/key.pem")]), ["TLS_CERT_FILE"]);
    let both = [("TLS_CERT_FILE", "/nowhere/cert.pem"), ("TLS_KEY_FILE", "/nowhere/key.pem")];
    assert_eq!(with(&both), ["TLS_CERT_FILE"]);
    assert_eq!(with(&[("TLS_CA_FILE", "/nowhere/ca.pem")]), ["TLS_CA_FILE"]);
    assert_eq!(with(&[("ADMIN_LISTEN", "127.0.0.1:8081")]), ["ADMIN_LISTEN"]);
}

#[test]
fn every_mistake_is_found() {
    let pairs = [
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "a=b=c"),
        ("LISTEN", "8081"),
        ("KEEP_ALIVE_SECONDS", "0"),
        ("MAX_CONNECTIONS", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
        ("RATE_PER_SECOND", "0"),
        ("SLOW_CLIENT_SECONDS", "0"),
        ("TRUSTED_PROXIES", "proxy"),
        ("CORS_ORIGINS", "*"),
        ("JWT_ALGORITHMS", "HS256"),
        ("JWT_ROLES_CLAIM", "a..b"),
        ("DEV_HEADERS", "yes"),
        ("JWKS_FILE", "a"),
        ("JWKS_URL", "ftp://b"),
    ];
    let expected = [
        "CORS_ORIGINS",
        "DEV_HEADERS",
        "JWKS_URL",
        "JWT_ALGORITHMS",
        "JWT_ROLES_CLAIM",
        "KEEP_ALIVE_SECONDS",
        "LISTEN",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MAX_CONNECTIONS",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER_ARG",
        "RATE_PER_SECOND",
        "SLOW_CLIENT_SECONDS",
        "TRUSTED_PROXIES",
    ];
    assert_eq!(mistaken(&pairs), expected);
}
