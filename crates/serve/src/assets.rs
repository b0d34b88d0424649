//! The files of the page. They are part of the program.

use std::sync::LazyLock;

use axum::http::HeaderValue;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The page, with placeholders.
pub(crate) const HTML: &str = include_str!("../assets/page.html");
/// The style of the page and of results.
pub(crate) const CSS: &str = include_str!("../assets/page.css");
/// The script of the page.
pub(crate) const JS: &str = include_str!("../assets/page.js");
/// The icon.
pub(crate) const ICON: &str = include_str!("../assets/icon.svg");

/// The path of the style. It changes with the content, so that browsers can keep the file.
pub(crate) static CSS_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/page-{}.css", short_hash(CSS)));
/// The path of the script.
pub(crate) static JS_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/page-{}.js", short_hash(JS)));
/// The path of the icon.
pub(crate) static ICON_PATH: LazyLock<String> = LazyLock::new(|| format!("/assets/icon-{}.svg", short_hash(ICON)));

/// Returns the content security policy of every answer.
///
/// Scripts come from this server only, and run nothing that is text. The pages of results have the style within them,
/// which the policy allows by its hash.
pub(crate) fn content_security_policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let style = STANDARD.encode(Sha256::digest(CSS));
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{style}'; img-src 'self' blob: data:; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types results"
        );
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    POLICY.clone()
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_neither_foreign_addresses_nor_inline_code() {
        for (name, text) in [("html", HTML), ("css", CSS), ("js", JS)] {
            assert!(!text.contains("https:") && !text.contains("//fonts"), "{name}");
            for word in [" style=", " onclick", " onload", "javascript:", "innerHTML", "eval(", "document.write"] {
                assert!(!text.contains(word), "{name} has {word}");
            }
        }
        assert!(!HTML.contains("<style") && !HTML.contains("<script>"));
    }

    #[test]
    fn policy_allows_the_style_by_its_hash() {
        assert!(content_security_policy().to_str().unwrap().contains("'sha256-"));
    }
}
