#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

/// Short texts by language; `-` where nothing can be said.
const SAMPLES: &[(&str, &str)] = &[
    (
        "zh-TW",
        "資料處理|檔案管理|請假單|會議紀錄|應徵者須知|臺北市政府|繁體中文|電腦軟體|網路連線|圖書館開放時間|請寄送履歷表|颱風警報|使用手冊|\
      國語辭典|醫療保險|財務報表|專案經理|訊息佇列|客戶服務|產品說明書|退貨須知|榆溪鎮水磨坊|農曆新年|發票號碼|與會人員|歡迎光臨|\
      這是一份合約|車站在哪裡|請以 PDF 檔案寄送|我們會儘快回覆您|開會通知單",
    ),
    (
        "zh-CN",
        "资料处理|请假条|会议记录|应聘须知|北京市政府办公厅|简体中文|电脑软件|网络连接|图书馆开放时间|请发送简历|台风预警|\
      汉语词典|医疗保险|财务报表|项目经理|消息队列|客户服务|产品说明书|退货须知|数据库设计|农历新年|发票号码|与会人员名单|欢迎光临|\
      这是一份合同|车站在哪里|请用 PDF 格式发送|我们会尽快回复您|开会通知单位负责人",
    ),
    (
        "zh",
        "中文|文件管理|人口|公司地址|文字|山水|日本|上海|平均值|有限公司",
    ),
    (
        "ja",
        "データ処理|お知らせ|会議の議事録|東京駅|図書館のご案内|請求書在中です|日本語の辞書|株式会社の概要|こんにちは|カタカナ|経済産業省の発表|\
      価格表と在庫一覧を見る|取扱説明書をお読みください|ひらがな|東京都渋谷区の天気予報|売上高|広報誌|駅前広場|気象庁発表|旅行の予約|\
      ファイル名|ありがとうございます|新製品のご紹介|検索システムの設計|労働基準法に基づく届出|営業時間は午前九時から|水車小屋の歴史|参加者募集|\
      東京大学大学院経済学研究科|図面",
    ),
    (
        "ko",
        "데이터|문서 작성|회의록|이력서|안녕하세요|서울특별시|제품 설명서|검색 시스템|환불 안내|물레방아|축제 일정|도서관|계약서|\
      채용 공고|고객 센터|감사합니다|색인|보고서 초안|한국어|PDF 파일로 보내 주세요|大韓民國의 主權|의료 보험|재무제표|질문과 답변|빵집|오시는 길|\
      버들내 마을|영업 시간|태풍 경보|설날",
    ),
    (
        "ar",
        "معالجة البيانات|المكتبة العامة|الشركة|محضر الاجتماع|السيرة الذاتية|مرحبا بكم في المدينة|اللغة العربية|دليل المستخدم|التأمين الصحي|\
      العقد|القاهرة|يولد جميع الناس أحرارا|ساعات العمل|الطقس اليوم|كتابة الوثائق|إدارة الملفات|خدمة العملاء|الأسئلة الشائعة|تقرير مالي|البحث والفهرسة",
    ),
    (
        "fa",
        "پردازش داده‌ها|کتابخانه|قرارداد کار|چگونه|گزارش مالی|پژوهش|زبان فارسی|خدمات مشتری",
    ),
    (
        "ur",
        "ڈیٹا کی پروسیسنگ|کتاب گھر|ہماری کمپنی|رپورٹ|یہ ایک معاہدہ ہے|اردو زبان میں",
    ),
    (
        "he",
        "עיבוד נתונים|ספרייה|שלום|חוזה עבודה|מדריך למשתמש|קורות חיים|ישיבת צוות|שעות פתיחה|בית חולים|עברית|דוח כספי|ברוכים הבאים",
    ),
    (
        "el",
        "επεξεργασία δεδομένων|βιβλιοθήκη|Ελλάδα|καλημέρα|σύμβαση εργασίας",
    ),
    ("th", "การประมวลผลข้อมูล|ห้องสมุด|สวัสดี|สัญญาจ้าง|ภาษาไทย"),
    (
        "hi",
        "हम आपका स्वागत करते हैं|सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता प्राप्त है",
    ),
    (
        "ru",
        "Все люди рождаются свободными|Мы обработаем ваши данные|Это договор аренды квартиры|Часы работы библиотеки|Отчёт о продажах за год|\
      Добрый день, уважаемые коллеги|Пожалуйста, отправьте резюме|Мельница была построена на реке|Вопросы и ответы|Новый рыбный рынок открыт",
    ),
    (
        "uk",
        "Усі люди народжуються вільними і рівними|Обробка даних її бібліотеки|Їжа та напої|Україна є незалежною державою|Договір про її оренду",
    ),
    (
        "en",
        "Please send your documents before Friday.|The meeting has been moved to next week.|All the workers write their results to the index.|\
      This is a short note about the new library.|We are looking for someone who likes music.|It was raining when they left the house.|\
      How do I change the language of this page?|You can return the goods within thirty days.|The mill stands at the end of the village.|\
      There are no questions that we cannot answer.|What is the weather like where you live?|He said that he would never come back.",
    ),
    (
        "de",
        "Bitte schicken Sie Ihre Unterlagen bis Freitag.|Die Besprechung wurde auf nächste Woche verschoben.|Alle Menschen sind frei und gleich an Würde geboren.|\
      Das ist eine kurze Nachricht über die neue Bibliothek.|Wir suchen jemanden, der gerne Musik hört.|Es hat geregnet, als sie das Haus verließen.|\
      Wie kann ich die Sprache dieser Seite ändern?|Die Mühle steht am Ende des Dorfes.",
    ),
    (
        "fr",
        "Veuillez envoyer vos documents avant vendredi.|La réunion a été reportée à la semaine prochaine.|Tous les êtres humains naissent libres et égaux.|\
      Ceci est une courte note sur la nouvelle bibliothèque.|Nous cherchons quelqu'un qui aime la musique.|Il pleuvait quand ils ont quitté la maison.|\
      Comment puis-je changer la langue de cette page ?|Le moulin se trouve au bout du village.",
    ),
    (
        "es",
        "Por favor, envíe sus documentos antes del viernes.|La reunión se ha aplazado hasta la próxima semana.|Todos los seres humanos nacen libres e iguales.|\
      Buscamos a alguien a quien le guste la música.|Estaba lloviendo cuando salieron de la casa.|¿Cómo puedo cambiar el idioma de esta página?|El molino está al final del pueblo.",
    ),
    (
        "pt",
        "Por favor, envie os seus documentos até sexta-feira.|A reunião foi adiada para a próxima semana.|Não sei o que aconteceu com as informações.|O moinho fica no fim da aldeia.",
    ),
    (
        "it",
        "Si prega di inviare i documenti entro venerdì.|La riunione è stata rinviata alla prossima settimana.|Tutti gli esseri umani nascono liberi ed eguali.|Il mulino si trova alla fine del villaggio.",
    ),
    (
        "nl",
        "Stuur uw documenten alstublieft vóór vrijdag op.|De vergadering is verplaatst naar volgende week.|Alle mensen worden vrij en gelijk in waardigheid geboren.",
    ),
    (
        "pl",
        "Wszyscy ludzie rodzą się wolni i równi pod względem godności.|Proszę przesłać dokumenty do piątku.|Spotkanie zostało przełożone na przyszły tydzień.",
    ),
    (
        "tr",
        "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.|Lütfen belgelerinizi cuma gününe kadar gönderin.|Toplantı gelecek haftaya ertelendi.",
    ),
    (
        "vi",
        "Tất cả mọi người sinh ra đều được tự do và bình đẳng.|Vui lòng gửi tài liệu trước thứ sáu.|Cuộc họp đã được dời sang tuần sau.",
    ),
    (
        "-",
        "12 345 – 67|3.14|2026-11-22|+886 2 1234 5678|xqz|OK|Hello|PDF|README|Berlin|Café|invoice_2024_final|--- *** ---|$ 1,200.00|100 %|a|A1:B7|\
      fn main() { let x = 1; println!(\"{x}\"); }|SELECT id, name FROM users WHERE id = 7;|for (int i = 0; i < n; i++) sum += a[i];|\
      {\"id\": 7, \"name\": \"x\", \"tags\": []}|<div class=\"a\"><p>x</p></div>|https://example.com/a/b?c=d|ann@example.com|ls -la /tmp | grep x > y|\
      Anna Berg, Tom Lindqvist, Maria Rossi, Jean Dupont|Smith, John; Doe, Jane; Miller, Kim; Brown, Lee|Paris London Madrid Rome Vienna Oslo Berlin|\
      John Smith|Total|N/A|TBD|x = y + z|192.168.0.1|v1.2.3|#ff00ff|😀 👍|①②③|α|§ 5|kg m s|IMG_0042.JPG|ISBN 978-3-16-148410-0|lorem|Да|E = mc²|def f(x): return x * 2|Nr|QWERTY|0x1F 0xFF",
    ),
];

#[test]
fn short_texts() {
    let (mut all, mut none, mut wrong) = (0, Vec::new(), Vec::new());
    for (tag, texts) in SAMPLES {
        for text in texts.split('|').filter(|text| !text.is_empty()) {
            all += 1;
            let found = detect(text);
            match (found.as_deref(), *tag) {
                (None, "-") => {}
                (None, _) => none.push((*tag, text)),
                (Some(found), tag) if found == tag => {}
                (Some(found), _) => wrong.push((*tag, found.to_owned(), text)),
            }
        }
    }
    let right = all - none.len() - wrong.len();
    println!("{right} of {all} right; none for {none:?}; wrong: {wrong:?}");
    assert!(all >= 300, "{all}");
    assert!(
        right * 100 >= all * 95,
        "{right} of {all}: {none:?} {wrong:?}"
    );
    assert!(
        wrong.len() <= none.len() && wrong.len() * 100 <= all,
        "{wrong:?}"
    );
}

#[test]
fn alphabets() {
    let english = "Each worker reads a message, fetches the document from object storage, and writes its chunks to the index.";
    assert_eq!(detect(english).as_deref(), Some("en"));
    let german = "Jeder Arbeiter liest eine Nachricht, holt das Dokument aus dem Speicher und schreibt seine Abschnitte in den Index.";
    assert_eq!(detect(german).as_deref(), Some("de"));
    assert_eq!(detect(&format!("{english} (中文)")).as_deref(), Some("en"));
}

#[test]
fn sets_of_characters() {
    assert_eq!(FORMS.of('國'), (true, false, true));
    assert_eq!(FORMS.of('国'), (false, true, true));
    assert_eq!(FORMS.of('们'), (false, true, false));
    assert_eq!(FORMS.of('駅'), (false, false, true));
    assert_eq!(FORMS.of('人'), (true, true, true));
    assert_eq!(FORMS.of('a'), (false, false, false));
}

/// The first article of the Declaration of Human Rights in languages that are told apart, if the
/// corpus is there.
#[test]
fn articles_of_the_corpus() {
    let Some(corpus) = std::env::var_os("MILLRACE_CORPUS") else {
        return;
    };
    let path = std::path::Path::new(&corpus).join("text/UDHR_first_article_all.txt");
    let all = std::fs::read_to_string(path).unwrap();
    let names = [
        ("English", "en"),
        ("Chinese, Mandarin (Simplified)", "zh-CN"),
        ("Chinese, Mandarin (Traditional)", "zh-TW"),
        ("Japanese", "ja"),
        ("Korean", "ko"),
        ("Arabic, Standard", "ar"),
        ("Farsi, Western", "fa"),
        ("Urdu", "ur"),
        ("Hebrew", "he"),
        ("Greek (monotonic)", "el"),
        ("Russian", "ru"),
        ("Ukrainian", "uk"),
        ("Bulgarian", "bg"),
        ("German, Standard (1996)", "de"),
        ("French", "fr"),
        ("Spanish", "es"),
        ("Polish", "pl"),
        ("Czech", "cs"),
        ("Turkish", "tr"),
        ("Vietnamese", "vi"),
        ("Thai", "th"),
        ("Hindi", "hi"),
        ("Tamil", "ta"),
        ("Georgian", "ka"),
    ];
    let mut found = 0;
    for (name, tag) in names {
        let begin = format!("\n{name}\n");
        let Some((_, article)) = all.split_once(&begin) else {
            continue;
        };
        let article = article.split("\n\n").next().unwrap();
        let detected = detect(article);
        assert!(
            detected.is_none() || detected.as_deref() == Some(tag),
            "{name}: {detected:?}"
        );
        found += usize::from(detected.is_some());
    }
    assert!(found * 10 >= names.len() * 9, "{found} of {}", names.len());
}
