//! PDF: what a library of others makes of it, in the child and under its limits.
//!
//! Where the reason is `time-limit`, `memory-limit` or `extraction-crashed`, `pdf_oxide` does
//! not stop by itself; the child's limits do, and the code says which. Where any limit will do,
//! which one comes first is the library's affair.

use super::make::{deflated, pdf_of_objects, stream};
use super::{Case, outside};
use crate::samples::pdf_of;

const CATALOGUE: &str = "<</Type/Catalog/Pages 2 0 R>>";
const FONT: &str = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";
const TEXT: &str = "BT /F1 11 Tf 60 780 Td (The mill stands by the river.) Tj ET";
const SENTENCE: &str = "The mill stands by the river.";

/// A page of these contents (object 5) with a font (object 4), as object 3, and what else there is.
fn pdf(pages: &str, font: &str, content: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    let page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>/XObject<</X 6 0 R>>>>>>";
    let mut objects: Vec<Vec<u8>> = [CATALOGUE, pages, page, font]
        .iter()
        .map(|object| object.as_bytes().to_vec())
        .collect();
    objects.push(content);
    objects.extend_from_slice(others);
    pdf_of_objects(&objects)
}

fn one_page(content: Vec<u8>, others: &[Vec<u8>]) -> Vec<u8> {
    pdf("<</Type/Pages/Kids[3 0 R]/Count 1>>", FONT, content, others)
}

fn with_pages(pages: &str) -> Vec<u8> {
    pdf(pages, FONT, stream("", TEXT.as_bytes()), &[])
}

fn with_font(font: &str, others: &[Vec<u8>]) -> Vec<u8> {
    pdf(
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        font,
        stream("", TEXT.as_bytes()),
        others,
    )
}

/// The wrapping of deflated bytes in a PDF; nobody asks for the sum behind them.
fn packed(beginning: &str, piece: &str, size: u64, end: &str) -> Vec<u8> {
    let mut content = b"\x78\x01".to_vec();
    content.extend(deflated(beginning, piece, size, end));
    content.extend([0; 4]);
    stream("/Filter/FlateDecode", &content)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = passwords();
    cases.extend(structure());
    cases.extend(contents());
    cases.extend(fonts());
    cases
}

/// Encrypted once, elsewhere: their text is the sentence.
fn passwords() -> Vec<Case> {
    vec![
        Case::ends("a password, AES of 256 bits", "encrypted", || {
            include_bytes!("../files/password-aes-256.pdf").to_vec()
        }),
        Case::ends("a password, RC4 of 128 bits", "encrypted", || {
            include_bytes!("../files/password-rc4-128.pdf").to_vec()
        }),
        Case::says("an empty password, AES of 256 bits", SENTENCE, || {
            include_bytes!("../files/no-password-aes-256.pdf").to_vec()
        }),
        Case::says("an empty password, AES of 128 bits", SENTENCE, || {
            include_bytes!("../files/no-password-aes-128.pdf").to_vec()
        }),
        Case::says("an empty password, RC4 of 40 bits", SENTENCE, || {
            include_bytes!("../files/no-password-rc4-40.pdf").to_vec()
        }),
    ]
}

fn structure() -> Vec<Case> {
    vec![
        Case::says("two thousand million pages declared", SENTENCE, || {
            with_pages("<</Type/Pages/Kids[3 0 R]/Count 2000000000>>")
        }),
        Case::says("fewer pages than none declared", SENTENCE, || {
            with_pages("<</Type/Pages/Kids[3 0 R]/Count -5>>")
        }),
        Case::ends("a million pages that are one", "too-large", || {
            with_pages(&format!(
                "<</Type/Pages/Kids[{}]/Count 1000000>>",
                "3 0 R ".repeat(1_000_000)
            ))
        }),
        Case::says("a tree of pages that is its own branch", SENTENCE, || {
            with_pages("<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2>>")
        }),
        Case::ends("branches shared forty times over", "no-text", || {
            let mut objects = vec![CATALOGUE.as_bytes().to_vec()];
            for number in 3..43 {
                objects.push(
                    format!("<</Type/Pages/Kids[{number} 0 R {number} 0 R]/Count 2>>").into_bytes(),
                );
            }
            objects.push(b"<</Type/Page/MediaBox[0 0 9 9]>>".to_vec());
            pdf_of_objects(&objects)
        })
        .within_seconds(2),
        Case::ends("references that go round", "no-text", || {
            one_page(b"6 0 R".to_vec(), &[b"7 0 R".to_vec(), b"6 0 R".to_vec()])
        }),
        Case::ends("a length that is its own", "no-text", || {
            one_page(b"<</Length 5 0 R>>stream\nx\nendstream".to_vec(), &[])
        }),
        Case::ends("a filter a hundred thousand times", "no-text", || {
            one_page(
                stream(
                    &format!("/Filter[{}]", "/ASCIIHexDecode".repeat(100_000)),
                    b"41>",
                ),
                &[],
            )
        }),
        Case::ends("arrays in arrays", "no-text", || {
            let deep = "[".repeat(200_000) + &"]".repeat(200_000);
            one_page(stream("", deep.as_bytes()), &[deep.into_bytes()])
        }),
        Case::ends("dictionaries in dictionaries", "extraction-crashed", || {
            pdf_of_objects(&[("<</A ".repeat(200_000) + &">>".repeat(200_000)).into_bytes()])
        }),
        Case::ends(
            "a cross-reference table that goes round",
            "damaged-file",
            || {
                b"%PDF-1.4\nxref\n0 1\n0000000000 65535 f \ntrailer<</Size 1/Root 1 0 R/Prev 9>>\nstartxref\n9\n%%EOF\n".to_vec()
            },
        ),
        Case::ends(
            "a cross-reference table of two thousand million objects",
            "damaged-file",
            || {
                b"%PDF-1.4\nxref\n0 2000000000\n0000000000 65535 f \ntrailer<</Size 2000000000/Root 1 0 R>>\nstartxref\n9\n%%EOF\n".to_vec()
            },
        ),
        Case::ends("cut off in the middle", "damaged-file", || {
            let file = pdf_of(&["The mill stands by the river."; 50]);
            file[..file.len() / 2].to_vec()
        }),
        Case::ends("a header and nothing else", "damaged-file", || {
            b"%PDF-1.7\n".to_vec()
        }),
        Case::ends("a page with a picture only", "needs-ocr", || {
            let picture = stream(
                "/Type/XObject/Subtype/Image/Width 8/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8",
                b"01234567",
            );
            one_page(stream("", b"q 595 0 0 842 0 0 cm /X Do Q"), &[picture])
        }),
        Case::ends(
            "a picture of sixty thousand by sixty thousand",
            "needs-ocr",
            || {
                let picture = stream(
                    "/Type/XObject/Subtype/Image/Width 60000/Height 60000/ColorSpace/DeviceRGB/BitsPerComponent 8",
                    b"x",
                );
                one_page(stream("", b"q 595 0 0 842 0 0 cm /X Do Q"), &[picture])
            },
        ),
        Case::ends("a page without anything", "no-text", || pdf_of(&[""])),
        Case::reads(
            "a title of a megabyte",
            |extraction| {
                extraction.text == SENTENCE
                    && extraction
                        .title
                        .as_deref()
                        .is_none_or(|title| title.chars().count() <= 200)
            },
            || {
                let mut file = with_pages("<</Type/Pages/Kids[3 0 R]/Count 1>>");
                let title = format!(
                    "<</Title(The \\007title\\000{})>>",
                    " and more".repeat(120_000)
                );
                let trailer = file
                    .windows(7)
                    .rposition(|bytes| bytes == b"trailer")
                    .unwrap();
                let info = format!("/Info {title}");
                file.splice(trailer + 9..trailer + 9, info.bytes());
                file
            },
        ),
        Case::says("what is to be done when it is opened", SENTENCE, || {
            let elsewhere = outside::CANARY_NOWHERE;
            let mut objects: Vec<Vec<u8>> = [
                &format!("<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI({elsewhere})>>/AA<</WC<</S/JavaScript/JS(app.alert\\(1\\))>>>>>>"),
                "<</Type/Pages/Kids[3 0 R]/Count 1>>",
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>>>/AA<</O<</S/Launch/F(/bin/sh)>>>>>>",
                FONT,
            ]
            .iter()
            .map(|object| object.as_bytes().to_vec())
            .collect();
            objects.push(stream("", TEXT.as_bytes()));
            pdf_of_objects(&objects)
        }),
    ]
}

fn contents() -> Vec<Case> {
    vec![
        Case::stops("a gigabyte of text", || {
            let piece = "(A line of text that is long enough to fill it) Tj T*           ";
            one_page(packed("BT /F1 11 Tf 14 TL 60 780 Td ", piece, 1 << 30, " ET"), &[])
        }),
        Case::stops("four megabytes of text", || {
            let piece = "(A line of text that is long enough to fill it) Tj T*           ";
            one_page(packed("BT /F1 11 Tf 14 TL 60 780 Td ", piece, 4 << 20, " ET"), &[])
        }).small(),
        Case::stops("blanks, two hundred megabytes", || {
            one_page(packed("", &" ".repeat(64), 200 << 20, ""), &[])
        }),
        Case::ends("a form that draws itself", "no-text", || {
            let form = stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>", b"/X Do /X Do");
            one_page(stream("", b"/X Do"), &[form])
        }),
        Case::ends("forms that draw forms, ten to the twelfth", "time-limit", || {
            let forms: Vec<Vec<u8>> = (7..19)
                .map(|next| {
                    let resources = format!("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X {next} 0 R>>>>");
                    stream(&resources, "/X Do ".repeat(10).as_bytes())
                })
                .collect();
            one_page(stream("", b"/X Do"), &forms)
        })
        .within_seconds(1),
        Case::says("states saved and never restored", SENTENCE, || {
            one_page(stream("", format!("{}{TEXT}", "q ".repeat(1_000_000)).as_bytes()), &[])
        }),
        Case::reads("texts at absurd places", |extraction| extraction.text.starts_with(SENTENCE), || {
            let content = format!("{TEXT} BT /F1 1e30 Tf 1e38 1e38 Td (far) Tj -1e38 99999999999999999999 Td (further) Tj ET");
            one_page(stream("", content.as_bytes()), &[])
        }),
        Case::says("a picture in the content that never ends", SENTENCE, || {
            one_page(stream("", format!("{TEXT} BI /W 8 /H 8 ID {}", "x".repeat(1_000_000)).as_bytes()), &[])
        }),
    ]
}

fn fonts() -> Vec<Case> {
    let of_codes = |map: &'static str| {
        move || {
            let font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>";
            with_font(font, &[stream("", map.as_bytes())])
        }
    };
    vec![
        Case::says(
            "widths of two thousand million characters",
            SENTENCE,
            || {
                with_font(
                    "<</Type/Font/Subtype/TrueType/BaseFont/Helvetica/Encoding/WinAnsiEncoding/FirstChar 0/LastChar 2147483647/Widths[500]>>",
                    &[],
                )
            },
        ),
        Case::reads(
            "widths of a range of two thousand million",
            |_| true,
            || {
                let font = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[6 0 R]>>";
                with_font(font, &[b"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/W[0 2000000000 500]/DW 1000>>".to_vec()])
            },
        ),
        Case::reads(
            "a map of all codes there are",
            |_| true,
            of_codes(
                "1 begincodespacerange <00000000> <FFFFFFFF> endcodespacerange 1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange",
            ),
        ),
        Case::reads(
            "a map to nothing that is a character",
            |_| true,
            of_codes("1 beginbfrange <00> <FF> <D800> endbfrange"),
        ),
        Case::ends("a map that uses itself", "no-text", || {
            let font = "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding 6 0 R/ToUnicode 6 0 R/DescendantFonts[4 0 R]>>";
            with_font(
                font,
                &[stream(
                    "/Type/CMap/CMapName/X/UseCMap 6 0 R",
                    b"/X usecmap 1 begincidrange <0000> <ffff> 0 endcidrange",
                )],
            )
        }),
        Case::reads(
            "a map to controls and marks of direction",
            |_| true,
            of_codes(
                "2 begincodespacerange <00> <FF> endcodespacerange 3 beginbfchar <20> <0007> <65> <202E> <6D> <0000> endbfchar",
            ),
        ),
        Case::reads(
            "a font that is noise",
            |_| true,
            || {
                let noise: Vec<u8> = (0..100_000_u32)
                    .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                with_font(
                "<</Type/Font/Subtype/TrueType/BaseFont/X/FirstChar 32/LastChar 126/Widths[500]/FontDescriptor 6 0 R>>",
                &[b"<</Type/FontDescriptor/FontName/X/Flags 4/FontFile2 7 0 R/FontBBox[-1e30 -1e30 1e30 1e30]>>".to_vec(), stream("/Length1 100000", &noise)],
            )
            },
        ),
    ]
}
