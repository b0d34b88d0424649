//! The document around the sections: head, masthead, table of contents and footer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::section::Section;
use crate::escape::visible;

const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// The id of the summary, which comes before the sections.
pub(crate) const SUMMARY_ID: &str = "summary";

/// The content of a page.
pub(crate) struct Page<'a> {
    /// The heading.
    pub(crate) title: &'a str,
    /// The line under the heading: data set, split, run.
    pub(crate) subtitle: Markup,
    /// The first screen: a section with the id [`SUMMARY_ID`].
    pub(crate) summary: Markup,
    /// The sections after the summary.
    pub(crate) sections: &'a [Section],
    /// The version of the program that made the results.
    pub(crate) version: &'a str,
}

/// Renders a page as one HTML document that needs no other file.
pub(crate) fn document(page: &Page<'_>) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(content_security_policy());
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
                    p.brand { (logo()) " Candling" }
                    h1 { (page.title) }
                    p.about { (page.subtitle) }
                }
                div.layout {
                    (table_of_contents(page.sections))
                    main {
                        (page.summary)
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

/// Returns a policy that allows only this style sheet, this script and embedded images.
fn content_security_policy() -> String {
    let digest = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

/// Draws an egg in front of a candle.
fn logo() -> Markup {
    html! {
        svg class="logo" viewBox="0 0 24 24" aria-hidden="true" {
            circle class="glow" cx="12" cy="13" r="11" {}
            path class="egg" d="M12 3.2c3.7 0 6.4 5.2 6.4 9.7 0 4.3-2.8 7.3-6.4 7.3s-6.4-3-6.4-7.3c0-4.5 2.7-9.7 6.4-9.7z" {}
            circle class="yolk" cx="12" cy="13.8" r="3" {}
        }
    }
}

fn table_of_contents(sections: &[Section]) -> Markup {
    html! {
        nav.contents aria-label="Contents" {
            ol {
                li { a href={ "#" (SUMMARY_ID) } { "Summary" } }
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
                ". This page works offline and loads nothing from the network. The folder " code { "figures" }
                " next to it contains each figure as SVG and PNG, and its numbers as CSV. The SVG and CSV files are also in the \
                page itself, unless they are large."
            }
        }
    }
}
