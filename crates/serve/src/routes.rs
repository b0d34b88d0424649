//! The addresses of the server.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, Response, StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::app::{App, Wanted};
use crate::checker::Checked;
use crate::guard::{self, Guard};
use crate::problem::Problem;
use crate::{assets, openapi, page, result_page};

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// Makes the router of all addresses.
pub(crate) fn router(app: Arc<App>, port: u16) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/check", post(check_form))
        .route("/api/health", get(health))
        .route("/api/check", post(check))
        .route("/api/openapi.json", get(openapi_json))
        .route(&assets::CSS_PATH, get(|| file("text/css; charset=utf-8", assets::CSS)))
        .route(&assets::JS_PATH, get(|| file("text/javascript; charset=utf-8", assets::JS)))
        .route(&assets::ICON_PATH, get(|| file("image/svg+xml", assets::ICON)))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Guard::new(port), guard::apply))
        .with_state(app)
}

type AppState = State<Arc<App>>;

async fn home(State(app): AppState) -> Response<Body> {
    with_type(HTML, page::home(&app.model, &app.limits))
}

async fn health(State(app): AppState) -> Response<Body> {
    with_type(JSON, app.health().to_string())
}

async fn openapi_json() -> Response<Body> {
    with_type(JSON, openapi::document().to_string())
}

/// Checks a file for a program. `?images=true` adds the heat maps, `?page=true` the result as a page, and `?record=true`
/// the record.
async fn check(State(app): AppState, request: Request) -> Result<Response<Body>, Problem> {
    let query = request.uri().query().unwrap_or_default();
    let [images, page, record, stability] = ["images", "page", "record", "stability"].map(|name| option(query, name));
    let wanted =
        Wanted { images: images.unwrap_or(false) || page.unwrap_or(false), stability: stability.unwrap_or(true) };
    let checked = app.check(request, wanted).await?;
    let page = page.unwrap_or(false).then(|| result_page::document(&checked, &app.model, result_page::Back::None));
    let status = status_of(&checked);
    let mut body = match checked.result {
        Value::Object(fields) => fields,
        other => Map::from_iter([("result".to_owned(), other)]),
    };
    if images.unwrap_or(false) {
        let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
        let maps = checked.images.iter().map(|image| {
            json!({
                "branch": image.branch,
                "class": image.class,
                "overlay": encoded(&image.overlay),
                "heat": encoded(&image.heat),
                "region": image.region,
            })
        });
        body.insert("images".to_owned(), maps.collect());
        body.insert("picture".to_owned(), checked.picture.as_deref().map(encoded).into());
    }
    if record.unwrap_or(false) {
        body.insert("record".to_owned(), checked.record);
    }
    if let Some(page) = page {
        body.insert("page".to_owned(), page.into());
    }
    Ok((status, [(header::CONTENT_TYPE, JSON)], Value::Object(body).to_string()).into_response())
}

/// Checks a file of the form, for browsers without JavaScript.
async fn check_form(State(app): AppState, request: Request) -> Response<Body> {
    match app.check(request, Wanted { images: true, stability: true }).await {
        Ok(checked) => {
            let page = result_page::document(&checked, &app.model, result_page::Back::Home);
            (status_of(&checked), [(header::CONTENT_TYPE, HTML)], page).into_response()
        }
        Err(problem) => problem.with_body(HTML, result_page::problem(&problem.message)),
    }
}

/// A file without a result is unprocessable.
fn status_of(checked: &Checked) -> StatusCode {
    if checked.result["error"].is_null() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
}

async fn file(content_type: &'static str, text: &'static str) -> Response<Body> {
    const FOREVER: &str = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, FOREVER)], text).into_response()
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is nothing at this address")
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the address does not have this method")
}

fn with_type(content_type: &'static str, text: String) -> Response<Body> {
    const TYPE: HeaderName = header::CONTENT_TYPE;
    ([(TYPE, content_type)], text).into_response()
}

/// Reads a boolean option of a query. Other values than true and false are ignored.
fn option(query: &str, name: &str) -> Option<bool> {
    let value = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    value.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_options_of_a_query() {
        assert_eq!(option("images=true&page=false", "images"), Some(true));
        assert_eq!(option("images=true&page=false", "page"), Some(false));
        assert_eq!(option("images=1&pages=true", "page"), None);
        assert_eq!(option("images=1", "images"), None);
    }
}
