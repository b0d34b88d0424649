//! The addresses of the server and their answers.

use std::collections::BTreeSet;

use serde_json::Value;
use serve::Limits;

use crate::support::client::{check, form, form_of, form_type, get, request};
use crate::support::{Running, jpeg};

#[test]
fn page_loads_its_files_and_forbids_everything_else() {
    let server = Running::start(Limits::default());
    let page = get(server.address, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    assert!(text.contains("fake &lt;b&gt;model&lt;/b&gt;"), "the model is escaped");
    let addresses: Vec<&str> =
        text.split(['"', ' ']).filter(|word| word.starts_with("/assets/") || word.starts_with("/api/")).collect();
    assert!(addresses.len() >= 4, "{addresses:?}");
    for address in addresses {
        assert_eq!(get(server.address, address).status, 200, "{address}");
    }
    for path in ["/", "/api/health", "/none"] {
        let answer = get(server.address, path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self' 'sha256-"), "{policy}");
        assert!(
            !policy.contains("unsafe")
                && policy.contains("frame-ancestors 'none'")
                && policy.contains("base-uri 'none'")
        );
        let expected = [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("set-cookie"), None);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[test]
fn checks_a_file_and_adds_images_and_page_when_asked() {
    let server = Running::start(Limits::default());
    let picture = jpeg(40, 30);
    let plain = check(server.address, "fake.jpg", &picture);
    assert_eq!((plain.status, plain.header("content-type")), (200, Some("application/json")));
    let plain = plain.json();
    assert_eq!((&plain["path"], &plain["verdict"]), (&"fake.jpg".into(), &"fake".into()));
    assert!(["images", "page", "picture", "record"].iter().all(|name| plain.get(name).is_none()));

    let path = "/api/check?images=true&page=true&record=true";
    let full = request(server.address, "POST", path, &[form_type()], &form("fake.jpg", &picture)).json();
    assert!(full["images"][0]["overlay"].as_str().unwrap().starts_with("iVBOR"), "a PNG");
    assert!(full["picture"].as_str().unwrap().starts_with("/9j/"), "a JPEG");
    assert_eq!(full["record"]["result"], plain);
    assert!(full["page"].as_str().unwrap().contains("Traces of generation"));

    let form_answer = request(server.address, "POST", "/check", &[form_type()], &form("a.jpg", &picture));
    assert_eq!((form_answer.status, form_answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(form_answer.text().contains("No traces found") && form_answer.text().contains("Check another picture"));
}

#[test]
fn file_that_is_no_picture_has_an_error() {
    let server = Running::start(Limits::default());
    let answer = check(server.address, "../../<b>notes</b>.txt", b"no picture");
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["path"], "../../<b>notes</b>.txt");
    assert!(!answer.error().is_empty());
    let page = request(server.address, "POST", "/check", &[form_type()], &form("<b>notes</b>.txt", b"no picture"));
    assert_eq!(page.status, 422);
    assert!(page.text().contains("&lt;b&gt;notes&lt;/b&gt;.txt") && !page.text().contains("<b>"), "{}", page.text());
}

#[test]
fn refuses_other_forms_with_a_reason() {
    let server = Running::start(Limits::default());
    let picture = jpeg(16, 16);
    let post = |body: &[u8]| request(server.address, "POST", "/api/check", &[form_type()], body);
    let two = post(&form_of(&[("file", "a.jpg", &picture), ("file", "b.jpg", &picture)]));
    assert_eq!((two.status, two.error().contains("several files")), (400, true));
    let other = post(&form_of(&[("picture", "a.jpg", &picture)]));
    assert_eq!((other.status, other.error().contains("unknown field")), (400, true));
    let none = post(&form_of(&[]));
    assert_eq!((none.status, none.error().contains("no file")), (400, true));
    let empty = post(&form("", b""));
    assert_eq!((empty.status, empty.error().contains("no file was chosen")), (400, true));
    let cut = post(&form("a.jpg", &picture)[..100]);
    assert_eq!((cut.status, cut.error().contains("cut short")), (400, true));
    let many = post(&form_of(&vec![("file", "a.jpg", b"x".as_slice()); 50]));
    assert_eq!(many.status, 400);

    let raw = request(server.address, "POST", "/api/check", &[("content-type", "image/jpeg")], &picture);
    assert_eq!((raw.status, raw.error().contains("multipart/form-data")), (415, true));
    let no_boundary = request(server.address, "POST", "/api/check", &[("content-type", "multipart/form-data")], b"x");
    assert_eq!(no_boundary.status, 415);
    assert_eq!(get(server.address, "/api/check").status, 405);
    assert_eq!(request(server.address, "DELETE", "/", &[], b"").status, 405);
    assert!(server.seen().is_empty(), "{:?}", server.seen());
}

#[test]
fn refuses_foreign_hosts_and_origins() {
    let server = Running::start(Limits::default());
    let port = server.address.port();
    let host = |host: &str| request(server.address, "GET", "/api/health", &[("host", host)], b"").status;
    assert_eq!(host(&format!("localhost:{port}")), 200);
    for foreign in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", "127.0.0.1:1", "[::1]"] {
        assert_eq!(host(foreign), 403, "{foreign}");
    }
    let body = form("a.jpg", &jpeg(16, 16));
    let post = |path: &str, headers: &[(&str, &str)]| {
        request(server.address, "POST", path, &[headers, &[form_type()]].concat(), &body).status
    };
    for path in ["/api/check", "/check"] {
        assert_eq!(post(path, &[("origin", "https://evil.example")]), 403);
        assert_eq!(post(path, &[("origin", "null")]), 403);
        assert_eq!(post(path, &[("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(post(path, &[("host", &format!("evil.example:{port}"))]), 403);
    }
    assert!(server.seen().is_empty());
    let own = format!("http://127.0.0.1:{port}");
    assert_eq!(post("/api/check", &[("origin", &own), ("sec-fetch-site", "same-origin")]), 200);
}

#[test]
fn description_has_every_address_and_every_field() {
    let server = Running::start(Limits::default());
    let document = get(server.address, "/api/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(paths, BTreeSet::from(["/api/check", "/api/health", "/api/openapi.json"]));
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let status = request(server.address, &method.to_uppercase(), path, &[], b"").status;
            assert!(status != 404 && status != 405, "{method} {path}: {status}");
        }
    }
    let health = get(server.address, "/api/health").json();
    assert_described(&document, "Health", &health);
    let path = "/api/check?images=true&page=true&record=true";
    let result = request(server.address, "POST", path, &[form_type()], &form("fake.jpg", &jpeg(16, 16))).json();
    assert_described(&document, "Result", &result);
    assert_described(&document, "Problem", &get(server.address, "/none").json());
    // References lead somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

/// Checks that a schema has the fields of a value, and that the value has all that are required.
fn assert_described(document: &Value, schema: &str, value: &Value) {
    let schema = &document["components"]["schemas"][schema];
    for field in value.as_object().unwrap().keys() {
        assert!(schema["properties"].get(field).is_some(), "{field} is not described");
    }
    for field in schema["required"].as_array().unwrap() {
        assert!(value.get(field.as_str().unwrap()).is_some(), "{field} is missing");
    }
}
