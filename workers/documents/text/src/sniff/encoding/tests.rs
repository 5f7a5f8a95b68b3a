#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use encoding_rs::{
    GB18030, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
    WINDOWS_1255, WINDOWS_1256,
};
use proptest::prelude::*;

const CHINESE: &str =
    "應徵者須具備五年以上分散式系統經驗，並能以英文清楚撰寫文件。\n福利包括健康保險。";
const KOREAN: &str =
    "이력서는 PDF 파일로 보내 주십시오. 스캔한 이미지도 받지만 검토가 더 오래 걸립니다.\n";
const SIMPLIFIED: &str =
    "每个工作程序会读取消息，从对象存储获取文档，然后将分段写入索引。\n合同自三月一日起生效。";

const JAPANESE: &str = "応募者は分散システムの経験が五年以上あり、明確な英語で文書を書けること。\n履歴書はPDFで送ってください。";

const ARABIC: &str =
    "يقرأ كل عامل رسالة من الطابور ثم يكتب النص في الفهرس.\nيبدأ العقد في الأول من مارس.";
const RUSSIAN: &str = "Каждый работник читает сообщение и записывает текст в указатель.\nДоговор начинается первого марта.";

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
    let units = mark
        .then_some(0xfeff)
        .into_iter()
        .chain(text.encode_utf16());
    units.flat_map(to_bytes).collect()
}

#[test]
fn utf16_with_and_without_mark_in_both_orders() {
    for text in [
        CHINESE,
        KOREAN,
        JAPANESE,
        ARABIC,
        RUSSIAN,
        "Plain English, line one.\nLine two.",
    ] {
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            for mark in [true, false] {
                let bytes = utf16(text, to_bytes, mark);
                assert_eq!(decode_text(&bytes).as_deref(), Some(text), "mark: {mark}");
            }
        }
    }
}

#[test]
fn east_asian_encodings() {
    for (text, encoding) in [
        (CHINESE, BIG5),
        (KOREAN, EUC_KR),
        (SIMPLIFIED, GB18030),
        (JAPANESE, SHIFT_JIS),
        (JAPANESE, ISO_2022_JP),
    ] {
        let (bytes, _, _) = encoding.encode(text);
        assert_eq!(
            decode_text(&bytes).as_deref(),
            Some(text),
            "{}",
            encoding.name()
        );
    }
}

#[test]
fn a_few_words_are_enough() {
    let samples = [
        ("문서 작성 방법", EUC_KR),
        ("회의록", EUC_KR),
        ("안녕하세요 여러분", EUC_KR),
        ("你好，世界。這是測試", BIG5),
        ("會議紀錄與待辦事項", BIG5),
        ("履歷表", BIG5),
        ("这是一个测试文件", GBK),
        ("日本語の文書です", SHIFT_JIS),
        ("職務経歴書と東京都", SHIFT_JIS),
    ];
    for (text, encoding) in samples {
        let (bytes, _, _) = encoding.encode(text);
        assert_eq!(
            decode_text(&bytes).as_deref(),
            Some(text),
            "{}",
            encoding.name()
        );
    }
}

#[test]
fn western_text_stays_western() {
    let text = "Der Käufer möchte natürlich größere Mengen für später bestellen – très cher.";
    let (bytes, _, _) = WINDOWS_1252.encode(text);
    assert_eq!(decode_text(&bytes).as_deref(), Some(text));
}

#[test]
fn code_pages_of_one_byte() {
    let samples = [
        (RUSSIAN, WINDOWS_1251),
        (ARABIC, WINDOWS_1256),
        (
            "Każdy pracownik czyta wiadomość i zapisuje tekst w indeksie. Umowa zaczyna się w październiku, a źródło jest żółte.",
            WINDOWS_1250,
        ),
        (
            "Κάθε εργάτης διαβάζει ένα μήνυμα και γράφει το κείμενο στο ευρετήριο. Η σύμβαση αρχίζει την πρώτη Μαρτίου.",
            WINDOWS_1253,
        ),
        (
            "Her işçi bir ileti okur ve metni dizine yazar. Sözleşme mart ayının ilk günü başlıyor, ışık ve şğı yeşil.",
            WINDOWS_1254,
        ),
        (
            "כל עובד קורא הודעה וכותב את הטקסט אל המפתח. החוזה מתחיל באחד במרץ ונמשך שנה שלמה.",
            WINDOWS_1255,
        ),
        (
            "พนักงานทุกคนอ่านข้อความและเขียนลงในดัชนี สัญญาเริ่มต้นวันที่หนึ่งมีนาคม",
            WINDOWS_874,
        ),
    ];
    for (text, encoding) in samples {
        let (bytes, _, _) = encoding.encode(text);
        assert_eq!(
            decode_text(&bytes).as_deref(),
            Some(text),
            "{}",
            encoding.name()
        );
    }
}

#[test]
fn utf8_that_was_cut_or_scratched() {
    let mut bytes = CHINESE.as_bytes().to_vec();
    bytes.pop();
    assert!(decode_text(&bytes).unwrap().starts_with("應徵者須具備"));
    let mut long = CHINESE.repeat(10).into_bytes();
    long[3] = b'x';
    assert!(decode_text(&long).unwrap().contains("福利包括健康保險"));
}

#[test]
fn binary_is_no_text() {
    assert_eq!(decode_text(b"abc\0\xff\xfe\x80abc\0\xff\xfe\x80"), None);
    let noise: Vec<u8> = (0..4000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_eq!(decode_text(&noise), None);
}

#[test]
fn files_that_name_their_encoding() {
    let page = format!("<html><head><meta charset='big5'></head><p>{CHINESE}");
    let (bytes, _, _) = BIG5.encode(&page);
    assert_eq!(decode_declared(&bytes), Some(page));
    let lying = format!("<meta http-equiv=x content='text/html; charset=utf-8'><p>{KOREAN}");
    let (bytes, _, _) = EUC_KR.encode(&lying);
    assert_eq!(decode_declared(&bytes), Some(lying));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode_text(&bytes);
        let _ = decode_declared(&bytes);
    }
}
