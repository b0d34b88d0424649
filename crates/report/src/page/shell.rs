//! What stands around the sections: head, header, table of contents, footer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::widgets::Section;
use crate::text::visible;

const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// What a page is about.
pub(crate) struct Page<'a> {
    /// The heading.
    pub(crate) title: &'a str,
    /// What stands under the heading: data, split, run.
    pub(crate) about: Markup,
    /// The first screen, a section called `answer`.
    pub(crate) opening: Markup,
    /// What follows.
    pub(crate) sections: &'a [Section],
    /// The version of the program whose results it shows.
    pub(crate) version: &'a str,
}

/// The document.
pub(crate) fn document(page: &Page<'_>) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "Candling " (env!("CARGO_PKG_VERSION")) };
                title { (page.title) " · Candling" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                @if let Some(first) = page.sections.first() {
                    a.skip href={ "#" (first.id) } { "Skip to the results" }
                }
                header.masthead {
                    p.brand { (mark()) " Candling" }
                    h1 { (page.title) }
                    p.about { (page.about) }
                }
                div.layout {
                    (contents(page.sections))
                    main {
                        (page.opening)
                        @for section in page.sections { (section.render()) }
                    }
                }
                (footer(page.version))
                div #tooltip role="status" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    document.into_string()
}

/// Only this style and this script, only pictures inside the page, and nothing from anywhere else.
fn policy() -> String {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

/// An egg before a candle, which shows what is inside.
fn mark() -> Markup {
    html! {
        svg class="logo" viewBox="0 0 24 24" aria-hidden="true" {
            circle class="glow" cx="12" cy="13" r="11" {}
            path class="egg" d="M12 3.2c3.7 0 6.4 5.2 6.4 9.7 0 4.3-2.8 7.3-6.4 7.3s-6.4-3-6.4-7.3c0-4.5 2.7-9.7 6.4-9.7z" {}
            circle class="yolk" cx="12" cy="13.8" r="3" {}
        }
    }
}

fn contents(sections: &[Section]) -> Markup {
    html! {
        nav.contents aria-label="Contents" {
            ol {
                li { a href="#answer" { "The answer" } }
                @for section in sections { li { a href={ "#" (section.id) } { (section.title) } } }
            }
        }
    }
}

fn footer(version: &str) -> Markup {
    html! {
        footer {
            p {
                "Made by Candling " (visible(version))
                ". This page is complete in itself and asks nothing of the network; its figures lie as SVG and PNG, and "
                "their numbers as CSV, in the folder " code { "figures" } " beside it."
            }
        }
    }
}
