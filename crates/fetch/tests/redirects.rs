//! Tests redirects, which hosts receive credentials, and requests that are not downloads.

use fetch::{Authorization, Client, ExpectedFile, Request, RetryPolicy, Url};
use loopback::{Reply, Server};

fn client() -> Client {
    Client::new(RetryPolicy::default().with_sleep(|_| {}))
}

fn request(address: &str) -> Request {
    Request { url: Url::parse(address).unwrap(), authorization: Some(Authorization::Bearer("hunter2".into())) }
}

#[test]
fn sends_credentials_to_original_host_and_port_only() {
    let storage = Server::start(|request, _| Reply::file(request, b"content", "\"v\""));
    // Another port of the same host, and another name of the same host, are other origins.
    for address in [storage.url(), storage.url_by_name()] {
        let elsewhere = format!("{address}/signed?Signature=secret");
        let api = Server::start(move |request, _| match request.path.as_str() {
            "/file" => Reply::redirect("/moved"),
            _ => Reply::status(307).header("location", &elsewhere),
        });
        let dir = tempfile::tempdir().unwrap();
        client()
            .download(&request(&format!("{}/file", api.url())), &dir.path().join("f"), &ExpectedFile::default())
            .unwrap();
        let requested: Vec<_> = api
            .received()
            .iter()
            .map(|request| (request.path.clone(), request.header("authorization").is_some()))
            .collect();
        assert_eq!(requested, [("/file".to_owned(), true), ("/moved".to_owned(), true)]);
    }
    let received = storage.received();
    assert_eq!(received.len(), 2);
    assert!(
        received.iter().all(|request| request.header("authorization").is_none() && request.query == "Signature=secret")
    );
}

#[test]
fn error_omits_signed_query_and_credentials() {
    let storage = Server::start(|_, _| Reply::status(403));
    let address = format!("{}/object?X-Signature=secret", storage.url());
    let api = Server::start(move |_, _| Reply::redirect(&address));
    let error = client().size(&request(&format!("{}/file", api.url()))).unwrap_err();
    let shown = format!("{error} {error:?}");
    assert_eq!(error.status(), Some(403));
    assert!(shown.contains("/object") && !shown.contains("secret") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn limits_redirects() {
    let server = Server::start(|_, _| Reply::redirect("/again"));
    let error = client().size(&request(&server.url())).unwrap_err();
    assert!(error.to_string().contains("more than 10 redirects"), "{error}");
    let no_location = Server::start(|_, _| Reply::status(302));
    let error = client().size(&request(&no_location.url())).unwrap_err();
    assert!(error.to_string().contains("a redirect without a location"), "{error}");
}

#[test]
fn head_does_not_follow_redirect_to_other_origin() {
    let storage = Server::start(|_, _| Reply::status(200));
    let address = storage.url();
    let api = Server::start(move |request, _| match request.path.as_str() {
        "/old" => Reply::redirect("/new"),
        _ => Reply::redirect(&address).header("x-linked-size", "12"),
    });
    let head = client().head(&request(&format!("{}/old", api.url()))).unwrap();
    assert_eq!(head.get("x-linked-size"), Some("12"));
    assert!(api.received().iter().all(|request| request.method == "HEAD"));
    assert!(storage.received().is_empty());
}

#[test]
fn requests_size_with_one_byte() {
    let server = Server::start(|request, _| Reply::file(request, &[7; 12_345], "\"v\""));
    assert_eq!(client().size(&request(&server.url())).unwrap(), Some(12_345));
    assert_eq!(server.received()[0].header("range"), Some("bytes=0-0"));
    let without_ranges = Server::start(|_, _| Reply::status(200).body([7; 1000]));
    assert_eq!(client().size(&request(&without_ranges.url())).unwrap(), Some(1000));
}

#[test]
fn closed_port_is_unreachable() {
    let address = Server::start(|_, _| Reply::status(200)).url();
    let error = client().size(&request(&address)).unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
}

#[test]
fn error_omits_credentials_with_invalid_characters() {
    let request = Request {
        url: Url::parse("http://127.0.0.1:9").unwrap(),
        authorization: Some(Authorization::Bearer("hunter2\r\nX: y".into())),
    };
    let error = client().size(&request).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn parses_json_and_rejects_other_text() {
    let server = Server::start(|_, number| match number {
        0 => Reply::status(200).body("{\"a\": 1").cut_after(3),
        1 => Reply::json("{\"a\": 1}"),
        _ => Reply::json("<html>"),
    });
    let value: std::collections::BTreeMap<String, u32> = client().json(&request(&server.url())).unwrap();
    assert_eq!(value["a"], 1);
    assert!(client().json::<u32>(&request(&server.url())).is_err());
}

#[test]
fn does_not_retry_json_that_is_too_long() {
    let server = Server::start(|_, _| Reply::json(&format!("\"{}\"", "x".repeat(33 << 20))));
    let error = client().json::<String>(&request(&server.url())).unwrap_err();
    assert!(error.to_string().contains("more than 32 MiB"), "{error}");
    assert_eq!(server.received().len(), 1);
}

#[test]
fn size_of_an_empty_file_is_zero() {
    let server = Server::start(|_, _| Reply::status(416).header("content-range", "bytes */0"));
    assert_eq!(client().size(&request(&server.url())).unwrap(), Some(0));
}
