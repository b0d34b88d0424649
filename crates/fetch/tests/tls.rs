//! Tests downloads over TLS, and which certificates they trust.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fetch::{Client, Environment, Error, ExpectedFile, Url};
use rustls::pki_types::PrivateKeyDer;

/// A server with a self-signed certificate. It runs until the test process ends.
struct Server {
    port: u16,
    certificate: String,
    connections: Arc<AtomicUsize>,
}

const CONTENT: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 7\r\n\r\ncontent";

fn serve(reply: &'static str) -> Server {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            // Some tests expect that the client rejects the certificate and ends the handshake.
            let _ = answer(stream.unwrap(), config.clone(), reply);
        }
    });
    Server { port, certificate: cert.pem(), connections }
}

fn answer(stream: TcpStream, config: Arc<rustls::ServerConfig>, reply: &str) -> std::io::Result<()> {
    let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    stream.write_all(reply.as_bytes())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn download(server: &Server, certificates: Option<&Path>, dir: &Path) -> fetch::Result<()> {
    let variable = certificates.map(|path| ("SSL_CERT_FILE", path.to_str().unwrap()));
    let client = Client::from_environment(&Environment::from_iter(variable))?;
    let url = Url::parse(&format!("https://localhost:{}/file", server.port)).unwrap();
    client.download(&url.into(), &dir.join("file"), &ExpectedFile::default()).map(drop)
}

#[test]
fn trusts_certificates_in_ssl_cert_file() {
    let server = serve(CONTENT);
    let dir = tempfile::tempdir().unwrap();
    let certificates = dir.path().join("authorities.pem");
    fs::write(&certificates, &server.certificate).unwrap();
    download(&server, Some(&certificates), dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"content");
}

#[test]
fn rejects_unknown_certificate_without_retrying() {
    let server = serve(CONTENT);
    let dir = tempfile::tempdir().unwrap();
    let error = download(&server, None, dir.path()).unwrap_err();
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error:?}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    assert!(!dir.path().join("file").exists());
}

#[test]
fn rejects_file_without_certificates() {
    let server = serve(CONTENT);
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    assert!(matches!(download(&server, Some(&empty), dir.path()), Err(Error::Artifact(artifacts::Error::Io { .. }))));
    fs::write(&empty, "-----BEGIN CERTIFICATE-----\nnonsense").unwrap();
    assert!(matches!(download(&server, Some(&empty), dir.path()), Err(Error::NoCertificates { .. })));
}

#[test]
fn rejects_redirect_from_https_to_http() {
    let server =
        serve("HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n");
    let dir = tempfile::tempdir().unwrap();
    let certificates = dir.path().join("authorities.pem");
    fs::write(&certificates, &server.certificate).unwrap();
    let error = download(&server, Some(&certificates), dir.path()).unwrap_err();
    assert!(error.to_string().contains("a redirect from https to http://127.0.0.1"), "{error:?}");
}
