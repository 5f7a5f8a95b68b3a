//! Markup: entities, depth, attributes without end.

use super::archives::word;
use super::{Case, outside};
use crate::office;
use crate::samples::zip_of;

/// Entities that come to ten thousand million `lol`.
fn declarations(root: &str) -> String {
    let mut entities = "<!ENTITY a0 'lol'>".to_owned();
    for level in 1..10 {
        let before = format!("&a{};", level - 1).repeat(10);
        entities.push_str(&format!("<!ENTITY a{level} '{before}'>"));
    }
    format!("<?xml version='1.0'?><!DOCTYPE {root} [{entities}]>")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = entities();
    cases.extend(depth());
    cases.extend(length());
    cases
}

/// Office never expands what a document declares; XML itself does, up to its limit.
fn entities() -> Vec<Case> {
    vec![
        Case::says("entities in a Word document", "plain  end", || {
            let start = declarations("w:document");
            let body = format!(
                "{start}<w:document><w:body><w:p><w:r><w:t>plain &a9; end</w:t></w:r></w:p></w:body></w:document>"
            );
            zip_of(&[("word/document.xml", &body)])
        }),
        Case::says(
            "entities in a workbook",
            "Prices\n\nplain end\t1.5\nb",
            || {
                let strings = format!(
                    "{}<sst><si><t>plain &a9; end</t></si><si><t>b</t></si></sst>",
                    declarations("sst")
                );
                office::workbook_of(office::SHEET, &strings)
            },
        ),
        Case::says("entities in a presentation", "plain  end", || {
            office::presentation_of(&format!(
                "{}<p:sld><p:sp><a:p><a:r><a:t>plain &a9; end</a:t></a:r></a:p></p:sp></p:sld>",
                declarations("p:sld")
            ))
        }),
        Case::says("entities in an OpenDocument text", "plain end", || {
            let content = format!(
                "{}<office:document-content><office:body><office:text><text:p>plain &a9; end</text:p></office:text></office:body></office:document-content>",
                declarations("office:document-content")
            );
            zip_of(&[
                ("mimetype", "application/vnd.oasis.opendocument.text"),
                ("content.xml", &content),
            ])
        }),
        // Browsers show what they do not know as it is.
        Case::says("entities in an e-book", "plain &a9; end", || {
            office::book_of(&format!(
                "{}<html><body><p>plain &a9; end</p></body></html>",
                declarations("html")
            ))
        }),
        Case::reads(
            "entities in HTML",
            |extraction| extraction.text.ends_with("plain &a9; end"),
            || b"<!doctype html><p>plain &a9; end".to_vec(),
        ),
        Case::ends("entities in XML", "too-large", || {
            format!("{}<a>plain &a9; end</a>", declarations("a")).into_bytes()
        })
        .small(),
        Case::ends("entities in a drawing", "too-large", || {
            format!(
                "{}<svg xmlns='http://www.w3.org/2000/svg'><text>&a9;</text></svg>",
                declarations("svg")
            )
            .into_bytes()
        })
        .small()
        .named("a.svg"),
        Case::ends("entities that come to nothing", "too-large", || {
            let mut entities = "<!ENTITY a0 ''>".to_owned();
            for level in 1..12 {
                let before = format!("&a{};", level - 1).repeat(100);
                entities.push_str(&format!("<!ENTITY a{level} '{before}'>"));
            }
            format!("<?xml version='1.0'?><!DOCTYPE a [{entities}]><a>x&a11;</a>").into_bytes()
        })
        .small(),
        Case::says("an entity that names itself", "before after", || {
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a '&b;'><!ENTITY b '&a;'>]><a>before &a;after</a>".to_vec()
        }),
        Case::ends("one long entity, over and over", "too-large", || {
            let text = "x".repeat(100_000);
            let references = "&a;".repeat(100_000);
            format!("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a '{text}'>]><a>{references}</a>")
                .into_bytes()
        })
        .small(),
        Case::says("entities from elsewhere", "before after", || {
            let elsewhere = outside::CANARY_NOWHERE;
            format!("<?xml version='1.0'?><!DOCTYPE a SYSTEM '{elsewhere}' [<!ENTITY % p SYSTEM '{elsewhere}'>%p;<!ENTITY a SYSTEM '{elsewhere}'>]><a>before &a;after</a>").into_bytes()
        }),
    ]
}

fn nested(open: &str, depth: usize, inside: &str, close: &str) -> String {
    open.repeat(depth) + inside + &close.repeat(depth)
}

fn depth() -> Vec<Case> {
    vec![
        Case::says("divisions in divisions", "deep", || {
            format!(
                "<!doctype html>{}",
                nested(
                    "<div><b><table><tr><td>",
                    20_000,
                    "deep",
                    "</td></tr></table></b></div>"
                )
            )
            .into_bytes()
        }),
        Case::ends("elements in elements", "too-large", || {
            format!(
                "<?xml version='1.0'?>{}",
                nested("<a>", 100_000, "deep", "</a>")
            )
            .into_bytes()
        }),
        Case::says("tables in tables in a Word document", "deep", || {
            word(&nested(
                "<w:tbl><w:tr><w:tc>",
                100_000,
                "<w:p><w:r><w:t>deep</w:t></w:r></w:p>",
                "</w:tc></w:tr></w:tbl>",
            ))
        }),
        Case::says(
            "paragraphs in paragraphs in a Word document",
            "deep",
            || {
                word(&nested(
                    "<w:p>",
                    100_000,
                    "<w:r><w:t>deep</w:t></w:r>",
                    "</w:p>",
                ))
            },
        ),
        Case::says("groups in groups on a slide", "deep", || {
            office::presentation_of(&format!(
                "<p:sld>{}</p:sld>",
                nested(
                    "<p:grpSp>",
                    100_000,
                    "<p:sp><a:p><a:r><a:t>deep</a:t></a:r></a:p></p:sp>",
                    "</p:grpSp>"
                )
            ))
        }),
        Case::says("elements in elements in a cell", "Prices\n\n7", || {
            let cell = nested("<x>", 100_000, "<v>7</v>", "</x>");
            office::workbook_of(
                &format!("<worksheet><sheetData><row><c>{cell}</c></row></sheetData></worksheet>"),
                office::STRINGS,
            )
        }),
        Case::says("divisions in divisions in an e-book", "deep", || {
            office::book_of(&format!(
                "<html><body>{}</body></html>",
                nested("<div>", 100_000, "deep", "</div>")
            ))
        }),
        Case::reads(
            "quotes in quotes in Markdown",
            |extraction| extraction.text.ends_with("deep"),
            || format!("{}deep\n\n{}deep", "> ".repeat(20_000), "- ".repeat(20_000)).into_bytes(),
        )
        .named("a.md"),
        Case::reads(
            "brackets in brackets in Markdown",
            |extraction| extraction.text.ends_with("deep"),
            || {
                format!(
                    "x {}{}{}deep",
                    "[".repeat(50_000),
                    "![*_".repeat(20_000),
                    "](".repeat(20_000)
                )
                .into_bytes()
            },
        )
        .named("a.md"),
    ]
}

fn length() -> Vec<Case> {
    let attributes = || (0..200_000).map(|number| format!(" a{number}='x'"));
    vec![
        Case::says("an element of many attributes in XML", "text", move || {
            format!(
                "<?xml version='1.0'?><a{}>text</a>",
                attributes().collect::<String>()
            )
            .into_bytes()
        }),
        Case::ends(
            "many attributes and no text in XML",
            "output-limit",
            move || {
                let element = format!("<a{}/>", attributes().collect::<String>());
                format!("<?xml version='1.0'?><r>{}</r>", element.repeat(10)).into_bytes()
            },
        )
        .small(),
        Case::says("an element of many attributes in HTML", "text", move || {
            format!(
                "<!doctype html><p{}>text",
                attributes().take(30_000).collect::<String>()
            )
            .into_bytes()
        }),
        Case::says(
            "an element of many attributes in a Word document",
            "text",
            move || {
                word(&format!(
                    "<w:p{}><w:r><w:t>text</w:t></w:r></w:p>",
                    attributes().collect::<String>()
                ))
            },
        ),
        Case::reads(
            "a picture in an attribute",
            |extraction| extraction.text == "before\n\nafter",
            || {
                format!(
                    "<!doctype html><p>before</p><img src='data:image/png;base64,{}'><p>after</p>",
                    "QUJD".repeat(500_000)
                )
                .into_bytes()
            },
        ),
        Case::says("a comment of more than a megabyte", "text", || {
            format!(
                "<!doctype html><!-- {} --><p>text",
                "<p>no</p> - -> ".repeat(100_000)
            )
            .into_bytes()
        }),
        Case::says("a comment that never ends", "text", || {
            format!("<!doctype html><p>text<!-- {}", "<p>no</p>".repeat(100_000)).into_bytes()
        }),
        Case::says(
            "references that are none",
            "&#; &#x; \u{fffd} \u{fffd} &nosuch;",
            || b"<!doctype html><p>&#; &#x; &#xD800; &#99999999999; &nosuch; ".to_vec(),
        ),
        Case::ends(
            "an element that never closes, two megabytes long",
            "damaged-file",
            || format!("<?xml version='1.0'?><a b='{}", "x".repeat(2_000_000)).into_bytes(),
        ),
        Case::reads(
            "controls in a title",
            |extraction| extraction.title.as_deref() == Some("The title"),
            || {
                "<!doctype html><title>The\u{202e}\u{2066} ti\u{200b}tle\u{9}</title><p>some text that is long enough\u{202e}".as_bytes().to_vec()
            },
        ),
    ]
}
