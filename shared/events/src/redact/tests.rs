#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{Payload, open};

const USER: &str = "7d3b8c52-4e0f-4a86-9b1e-2f60c5a1d934";

fn redactor() -> Redactor {
    Redactor::new([7; 32]).keep_words(&[
        "documents",
        "processed",
        "original",
        "chunk-#.json",
        "pdf",
    ])
}

fn text(text: &str) -> String {
    redactor().text(text)
}

#[test]
fn what_is_made_up_has_the_shape_of_the_original() {
    let id = text(USER);
    assert!(
        id != USER && uuid::Uuid::try_parse(&id).unwrap().get_version_num() == 4,
        "{id}"
    );
    assert_eq!(text(&USER.to_ascii_uppercase()), id.to_ascii_uppercase());
    assert!(
        text("10.1.2.3")
            .parse::<std::net::Ipv4Addr>()
            .unwrap()
            .is_documentation()
    );
    assert!(text("2a00:1450:4001:81b::200e").starts_with("2001:db8::"));
    let address = text("ada.lovelace@mill.co.uk");
    assert!(
        address.ends_with(".example") && address.contains('@'),
        "{address}"
    );
    let account = text("123456789012");
    assert!(
        account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && account != "123456789012"
    );
    let name = text("Ada Łovelace 홍길동.pdf");
    assert!(
        name.ends_with(".pdf") && name.chars().count() == "Ada Łovelace 홍길동.pdf".chars().count(),
        "{name}"
    );
    let day = text("1985-12-10");
    assert!(
        time::Date::parse(
            &day,
            time::macros::format_description!("[year]-[month]-[day]")
        )
        .is_ok()
    );
}

#[test]
fn what_says_nothing_of_anybody_stays() {
    for stays in [
        "2026-11-09T09:12:04.118Z",
        "2026-11-01T08:00:00.000",
        "us-east-1",
        "dynamodb.amazonaws.com",
        "006720A1B24C4FC0C600000000000000",
        "0000000000004421584500000000017450439041",
        "documents/original.pdf",
        "chunk-001.json",
    ] {
        assert_eq!(text(stays), stays);
    }
}

#[test]
fn a_products_words_do_not_stay_in_sentences() {
    let sentence = text("the original documents are locked, see documents/x");
    assert!(!sentence.contains("original"), "{sentence}");
    assert!(sentence.contains(" documents/"), "{sentence}");
}

#[test]
fn a_word_is_the_same_word_wherever_it_stands() {
    let user = "us-east-1:5f0f8a1c-7a0e-4b5e-9d63-0c2be1a4f7d8";
    let made = text(user);
    assert_eq!(
        text(&format!("documents/{user}/original.pdf")),
        format!("documents/{made}/original.pdf")
    );
    let encoded = text(&format!(
        "documents/{}/original.pdf",
        user.replace(':', "%3A")
    ));
    assert_eq!(
        encoded,
        format!("documents/{}/original.pdf", made.replace(':', "%3A"))
    );
    let address = text("ada@mill.example");
    assert_eq!(
        text("userId=ada%40mill.example,x"),
        format!(
            "{}={},{}",
            text("userId"),
            address.replace('@', "%40"),
            text("x")
        )
    );
}

#[test]
fn what_cannot_be_decoded_still_cannot() {
    let made = text("documents/%EA%B0/ada%");
    assert_eq!(made, format!("documents/%FF%FF/{}%", text("ada")));
}

#[test]
fn json_within_text_is_redacted_as_json() {
    let inner = json!({"name": "Ada", "text": json!({"name": "Ada"}).to_string()}).to_string();
    let made: Value = serde_json::from_str(&text(&inner)).unwrap();
    assert_eq!(made["name"], text("Ada"));
    let innermost: Value = serde_json::from_str(made["text"].as_str().unwrap()).unwrap();
    assert_eq!(innermost["name"], text("Ada"));
}

#[test]
fn numbers_that_may_be_somebodys_go_and_others_stay() {
    let mut redactor = redactor();
    redactor.learn(&json!({"dynamodb": {"SequenceNumber": "4421584500000000017450439041"}}));
    let made = redactor.event(&json!({
        "size": 45124, "at": 1_794_473_885, "atMillis": 1_794_215_524_901_u64, "telephone": 4_915_112_345_678_u64,
        "row": {"N": "2048"}, "phone": {"N": "4915112345678"}, "sequence": {"N": "4421584500000000017450439041"},
        "other": {"N": "104215845000000000174"}
    }));
    assert_eq!(made["size"], 45124);
    assert_eq!(made["at"], 1_794_473_885);
    assert_eq!(made["atMillis"], 1_794_215_524_901_u64);
    assert_ne!(made["telephone"], 4_915_112_345_678_u64);
    assert_eq!(made["row"]["N"], "2048");
    assert_ne!(made["phone"]["N"], "4915112345678");
    assert_eq!(made["sequence"]["N"], "4421584500000000017450439041");
    assert_ne!(made["other"]["N"], "104215845000000000174");
}

#[test]
fn a_map_of_people_is_redacted_by_its_names_too() {
    let made = redactor().event(&json!({"seen": {"ada@mill.example": true, "count": true}}));
    assert!(made["seen"].get("count").is_some());
    assert!(made["seen"].get("ada@mill.example").is_none());
}

#[test]
fn names_of_resources_stay_without_their_account() {
    let arn = "arn:aws:sqs:us-east-1:123456789012:millrace-extract-text";
    let mut redactor = redactor();
    let event = json!({"Records": [{"eventSource": "aws:sqs", "eventSourceARN": arn, "body": "{}"},
        {"eventSource": "aws:s3", "s3": {"bucket": {"name": "uploads-123456789012", "arn": "arn:aws:s3:::uploads-123456789012"}}}]});
    redactor.learn(&event);
    let made = redactor.event(&event);
    let account = redactor.text("123456789012");
    assert_eq!(
        made["Records"][0]["eventSourceARN"],
        format!("arn:aws:sqs:us-east-1:{account}:millrace-extract-text")
    );
    assert_eq!(
        made["Records"][1]["s3"]["bucket"]["name"],
        format!("uploads-{account}")
    );
    assert_eq!(
        made["Records"][1]["s3"]["bucket"]["arn"],
        format!("arn:aws:s3:::uploads-{account}")
    );
}

/// What can be compared of an opened event before and after.
fn outline(event: &Value) -> (String, Vec<Vec<String>>) {
    let batch = open(event).unwrap();
    let messages = batch.messages.iter().map(|message| {
        let mut kinds: Vec<String> = match &message.records {
            Ok(records) => records.iter().map(|record| kind(&record.payload)).collect(),
            Err(failure) => vec![failure.reason().to_string()],
        };
        kinds.extend(
            message
                .rejected
                .iter()
                .map(|failure| failure.reason().to_string()),
        );
        kinds
    });
    (format!("{:?}", batch.source), messages.collect())
}

fn kind(payload: &Payload) -> String {
    match payload {
        Payload::Object(change) => {
            format!(
                "{:?} {} {:?} {:?}",
                change.kind, change.bucket, change.size, change.e_tag
            )
        }
        Payload::Row(change) => {
            let names = |item: Option<&crate::Item>| {
                let mut names: Vec<String> = item
                    .map(|item| item.keys().cloned().collect())
                    .unwrap_or_default();
                names.sort();
                names
            };
            let images = (names(change.new.as_ref()), names(change.old.as_ref()));
            format!(
                "{:?} {} {} {images:?}",
                change.kind, change.table, change.by_ttl
            )
        }
        Payload::Schedule(time) => format!("schedule {} {}", time.rule, time.at),
        Payload::Message(_) => "message".to_owned(),
        Payload::Test => "test".to_owned(),
    }
}

fn redacted(event: &Value) -> Value {
    let mut redactor =
        Redactor::new(salt_of(event)).keep_words(&["documents", "processed", "original"]);
    redactor.learn(event);
    redactor.event(event)
}

/// An entity tag in place of each placeholder.
fn without_placeholders(text: &str) -> String {
    let mut parts = text.split("${etag:");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        filled.push_str("9e107d9d372bb6826bd81d3542a419d6");
        filled.push_str(part.split_once('}').unwrap().1);
    }
    filled
}

#[test]
fn every_recorded_event_opens_as_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events-fixtures/documents");
    let mut seen = 0;
    for worker in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let is_worker =
            worker.is_dir() && !worker.ends_with("samples") && !worker.ends_with("sources");
        for file in is_worker
            .then(|| std::fs::read_dir(&worker).unwrap())
            .into_iter()
            .flatten()
        {
            let file = file.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            let text = without_placeholders(&text);
            let fixture: Value = serde_json::from_str(&text).unwrap();
            let event = &fixture["event"];
            let made = redacted(event);
            assert_eq!(outline(&made), outline(event), "{}", file.display());
            assert_eq!(made, redacted(event), "not stable: {}", file.display());
            for secret in [
                "7d3b8c52-4e0f-4a86-9b1e-2f60c5a1d934",
                "AIDAEXAMPLEEXAMPLE",
                "A3EXAMPLEOWNER",
                "handbook",
            ] {
                assert!(
                    !made.to_string().contains(secret),
                    "{secret} is left in {}",
                    file.display()
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

/// A user id as pools, products and people make them.
fn user_ids() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "us-east-1:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[a-z]{7,12}\\.[a-z]{7,12}@[a-z]{7,12}\\.org",
        "google_[0-9]{21}",
        "[A-Za-z]{8,20}",
    ]
}

#[derive(Debug, Clone)]
struct Secrets {
    user: String,
    document: String,
    account: String,
    address: String,
    principal: String,
    request: String,
    receipt: String,
    message: String,
    file: String,
    sentence: String,
}

fn secrets() -> impl Strategy<Value = Secrets> {
    let ids = (
        user_ids(),
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[1-9][0-9]{11}",
        "(10|172|81)\\.[1-9][0-9]\\.[1-9][0-9]\\.1[0-9]{2}",
        "A[A-Z0-9]{19}",
    );
    let others = (
        "[A-F0-9]{16}",
        "AQEB[A-Za-z0-9+/]{40}==",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "[A-Za-z가-힣一-龥]{8,16}",
        "[A-Z][a-z]{7,12} [a-z]{8,12} [가-힣]{5,9}",
    );
    (ids, others).prop_map(
        |(
            (user, document, account, address, principal),
            (request, receipt, message, file, sentence),
        )| {
            Secrets {
                user,
                document,
                account,
                address,
                principal,
                request,
                receipt,
                message,
                file,
                sentence,
            }
        },
    )
}

impl Secrets {
    fn s3(&self) -> Value {
        let key = format!(
            "documents/{}/{}/original.{}",
            self.user, self.document, self.file
        );
        const IN_KEYS: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
            .remove(b'/')
            .remove(b'.')
            .remove(b'-');
        let key = percent_encoding::utf8_percent_encode(&key, IN_KEYS).to_string();
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": "2026-11-09T09:12:04.118Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": format!("AWS:{}:{}", self.principal, self.user)},
            "requestParameters": {"sourceIPAddress": self.address},
            "responseElements": {"x-amz-request-id": self.request, "x-amz-id-2": self.receipt},
            "s3": {"s3SchemaVersion": "1.0", "configurationId": "uploads",
                "bucket": {"name": "the-bucket", "ownerIdentity": {"principalId": self.principal}, "arn": "arn:aws:s3:::the-bucket"},
                "object": {"key": key, "size": 12, "eTag": "9e107d9d372bb6826bd81d3542a419d6", "sequencer": "006720A1B24C4FC0C6"}}
        }]})
    }

    fn event_bridge(&self) -> Value {
        json!({"version": "0", "id": self.message, "detail-type": "Object Created", "source": "aws.s3",
            "account": self.account, "time": "2026-11-09T09:12:04Z", "region": "us-east-1",
            "resources": ["arn:aws:s3:::the-bucket"],
            "detail": {"version": "0", "bucket": {"name": "the-bucket"},
                "object": {"key": format!("documents/{}/{}/original.{}", self.user, self.document, self.file), "size": 12,
                    "etag": "9e107d9d372bb6826bd81d3542a419d6", "sequencer": "006720A1B24C4FC0C6"},
                "request-id": self.request, "requester": self.account, "source-ip-address": self.address, "reason": "PutObject"}})
    }

    fn scheduled(&self) -> Value {
        json!({"version": "0", "id": self.message, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": self.account, "time": "2026-11-09T00:10:00Z", "region": "us-east-1",
            "resources": [format!("arn:aws:events:us-east-1:{}:rule/the-rule", self.account)], "detail": {}})
    }

    fn row(&self) -> Value {
        let image = json!({"userId": {"S": self.user}, "documentId": {"S": self.document}, "fileName": {"S": self.file},
            "title": {"S": self.sentence}, "fileSize": {"N": "12"}, "generation": {"S": "006720A1B24C4FC0C600000000000000"},
            "metadata": {"M": {"tags": {"L": [{"S": self.sentence}]}, "names": {"SS": [self.file]}}}});
        json!({"Records": [{"eventID": self.message.replace('-', ""), "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
            "dynamodb": {"ApproximateCreationDateTime": 1_794_473_885, "Keys": {"userId": {"S": self.user}, "documentId": {"S": self.document}},
                "NewImage": image, "OldImage": image, "SequenceNumber": "4421584500000000017450439041", "SizeBytes": 512, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:{}:table/the-table/stream/2026-11-01T08:00:00.000", self.account)}]})
    }

    fn free(&self) -> Value {
        json!({"id": self.message, "kind": "greeting", "to": self.user, "text": self.sentence, "from": {"ip": self.address, "account": self.account.parse::<u64>().unwrap()}})
    }

    fn in_queue(&self, body: &Value) -> Value {
        json!({"Records": [{"messageId": self.message, "receiptHandle": self.receipt, "body": body.to_string(),
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1794215524901", "SenderId": self.principal},
            "messageAttributes": {"who": {"stringValue": self.user, "dataType": "String"}},
            "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:us-east-1:{}:the-queue", self.account), "awsRegion": "us-east-1"}]})
    }

    fn told(&self, message: &Value) -> Value {
        json!({"Type": "Notification", "MessageId": self.message, "TopicArn": format!("arn:aws:sns:us-east-1:{}:the-topic", self.account),
            "Message": message.to_string(), "Timestamp": "2026-11-09T09:12:04.118Z", "SignatureVersion": "1", "Signature": self.receipt,
            "UnsubscribeURL": format!("https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:{}:the-topic:{}", self.account, self.message)})
    }

    fn on_failure(&self, payload: &Value) -> Value {
        json!({"version": "1.0", "timestamp": "2026-11-09T09:12:04.118Z",
            "requestContext": {"requestId": self.message, "functionArn": format!("arn:aws:lambda:us-east-1:{}:function:the-function:$LATEST", self.account),
                "condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": payload, "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "responsePayload": {"errorMessage": self.sentence, "errorType": "Error"}})
    }

    fn parked(&self, event: &Value) -> Value {
        let record = open(event)
            .unwrap()
            .messages
            .remove(0)
            .records
            .unwrap()
            .remove(0);
        json!({"millrace": "parked/1", "id": self.message, "worker": "the-worker", "reason": {"code": "encrypted", "message": self.sentence},
            "attempts": 3, "parkedAt": "2026-11-09T09:13:40Z", "recordId": record.id, "subject": record.subject, "event": event})
    }

    fn events(&self) -> Vec<Value> {
        let inner = [
            self.s3(),
            self.event_bridge(),
            self.scheduled(),
            self.row(),
            self.free(),
        ];
        let mut events = Vec::new();
        for event in inner {
            events.push(self.in_queue(&event));
            events.push(self.in_queue(&self.told(&event)));
            events.push(self.in_queue(&self.on_failure(&event)));
            events.push(self.in_queue(&self.parked(&event)));
            events.push(self.parked(&self.in_queue(&event)));
            events.push(event);
        }
        events
    }

    /// Each, and each part of it that says something by itself.
    fn words(&self) -> Vec<String> {
        let whole = [
            &self.user,
            &self.document,
            &self.account,
            &self.address,
            &self.principal,
            &self.request,
            &self.receipt,
            &self.message,
            &self.file,
            &self.sentence,
        ];
        let long = |word: &&str| {
            word.chars().count() >= 5 || (!word.is_ascii() && word.chars().count() >= 2)
        };
        let ours = ["google"];
        let parts = whole
            .iter()
            .flat_map(|secret| secret.split(|c: char| !c.is_alphanumeric()));
        let parts = parts
            .filter(long)
            .filter(|part| !ours.contains(part))
            .map(str::to_owned);
        let mut words: Vec<String> = parts.collect();
        words.push(self.message.replace('-', ""));
        words
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn nothing_of_anybody_is_left_and_the_event_opens_as_before(secrets in secrets()) {
        for event in secrets.events() {
            let made = redacted(&event);
            prop_assert_eq!(outline(&made), outline(&event));
            let text = made.to_string();
            let decoded = percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned();
            for word in secrets.words() {
                prop_assert!(!text.contains(&word) && !decoded.contains(&word), "{} is left in {}", word, text);
            }
            prop_assert_eq!(&made, &redacted(&event));
        }
    }

    #[test]
    fn keys_and_rows_still_match(secrets in secrets()) {
        let event = json!({"rows": secrets.row(), "objects": [secrets.s3(), secrets.event_bridge()]});
        let made = redacted(&event);
        let user = made["rows"]["Records"][0]["dynamodb"]["Keys"]["userId"]["S"].as_str().unwrap();
        let document = made["rows"]["Records"][0]["dynamodb"]["Keys"]["documentId"]["S"].as_str().unwrap();
        prop_assert!(uuid::Uuid::try_parse(document).is_ok());
        for objects in made["objects"].as_array().unwrap() {
            let batch = open(objects).unwrap();
            let record = &batch.messages[0].records.as_ref().unwrap()[0];
            let begins = format!("s3://the-bucket/documents/{user}/{document}/original.");
            prop_assert!(record.subject.starts_with(&begins), "{} {}", record.subject, begins);
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@=+-".contains(&byte);
        prop_assert!(user.len() <= 128 && user.bytes().all(allowed), "{}", user);
    }
}

#[test]
fn what_is_replaced_is_replaced_in_envelopes_too() {
    let mut redactor = redactor();
    redactor.replace("9e107d9d372bb6826bd81d3542a419d6", "${etag:samples/a.pdf}");
    let event = json!({"eventSource": "aws:s3", "s3": {"object": {"eTag": "\"9e107d9d372bb6826bd81d3542a419d6\""}}});
    redactor.learn(&event);
    let made = redactor.event(&event);
    assert_eq!(made["s3"]["object"]["eTag"], "\"${etag:samples/a.pdf}\"");
}

#[test]
fn texts_made_to_take_long_or_to_go_deep_do_neither() {
    for piece in ["a-", "a.", "1.", "a+", "f:", "a@", "a%", "arn:", "-", "${"] {
        let text = piece.repeat(100_000 / piece.len());
        let started = std::time::Instant::now();
        let mut redactor = redactor();
        redactor.learn(&json!({"body": text}));
        redactor.event(&json!({"body": text}));
        // Quadratic would be minutes.
        assert!(
            started.elapsed().as_secs() < 20,
            "{piece} took {:?}",
            started.elapsed()
        );
    }
    let mut deep = "1".to_owned();
    for _ in 0..14 {
        deep = format!(
            "{}{}{}",
            "[".repeat(120),
            Value::from(deep),
            "]".repeat(120)
        );
    }
    let event = json!({"body": deep});
    let mut redactor = redactor();
    redactor.learn(&event);
    assert!(
        redactor.event(&event)["body"]
            .as_str()
            .is_some_and(|body| body.starts_with("[["))
    );
}

/// A row of the jobs product has names, texts, and vectors made of the texts.
#[test]
fn nothing_of_a_person_or_a_company_survives_in_a_row() {
    let numbers: Vec<f64> = (0..1536).map(|i| f64::from(i) * 0.000_123_4).collect();
    let list: Vec<_> = numbers
        .iter()
        .map(|n| json!({"N": n.to_string()}))
        .collect();
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|n| (*n as f32).to_le_bytes())
        .collect();
    let binary = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
    let event = json!({"Records": [{
        "eventID": "e", "eventName": "MODIFY", "eventSource": "aws:dynamodb", "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/jetbond-users/stream/2026-11-20T00:00:00.000",
        "dynamodb": {"SequenceNumber": "111", "Keys": {"userId": {"S": USER}}, "NewImage": {
            "userId": {"S": USER}, "isActive": {"BOOL": true}, "employeeStatus": {"S": "available"},
            "profiles": {"M": {
                "employee": {"M": {
                    "name": {"S": "John Doe"}, "jobDescription": {"S": "餐廳服務員，有咖啡經驗"},
                    "preferredDistricts": {"L": [{"S": "Central"}, {"S": "TST"}]},
                    "hourlyRateRange": {"M": {"min": {"N": "80"}, "max": {"N": "150"}}},
                    "embedding": {"L": list}, "vector": {"B": binary},
                }},
                "employer": {"M": {"companyName": {"S": "ABC Restaurant"}, "contactPerson": {"S": "Jane Roe"}}},
            }},
        }},
    }]});
    let mut redactor = Redactor::new([7; 32]).keep_words(&["available"]);
    redactor.learn(&event);
    let redacted = redactor.event(&event);
    let said = redacted.to_string();
    for secret in [
        USER,
        "John",
        "Doe",
        "餐廳",
        "咖啡",
        "Central",
        "TST",
        "ABC",
        "Restaurant",
        "Jane",
        "Roe",
        "0.0001234",
        &binary,
    ] {
        assert!(!said.contains(secret), "{secret} is left");
    }
    let image = &redacted["Records"][0]["dynamodb"]["NewImage"];
    let employee = &image["profiles"]["M"]["employee"]["M"];
    assert_eq!(image["employeeStatus"]["S"], "available");
    assert_eq!(employee["hourlyRateRange"]["M"]["min"]["N"], "80");
    let numbers = employee["embedding"]["L"].as_array().unwrap();
    assert_eq!(numbers.len(), 1536);
    let ones = numbers.iter().filter(|number| number["N"] == "1").count();
    assert_eq!(ones, 1);
    let made = employee["vector"]["B"].as_str().unwrap();
    assert_eq!(made.len(), binary.len());
    // The same message is redacted the same way.
    assert_eq!(redactor.event(&event), redacted);
}
