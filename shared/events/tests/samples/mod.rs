//! Events in the shapes in which AWS sends them.

#![allow(dead_code, unreachable_pub)]

use serde_json::{Value, json};

pub const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:millrace-extract-text";
pub const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/ai-assistant-documents/stream/2026-11-20T08:15:00.000";

pub fn s3_record() -> Value {
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T10:15:30.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "originals",
            "bucket": {
                "name": "ai-assistant-documents-dev",
                "ownerIdentity": {"principalId": "EXAMPLE"},
                "arn": "arn:aws:s3:::ai-assistant-documents-dev"
            },
            "object": {
                "key": "documents/u-1/d-1/my+file+%E6%96%87.pdf",
                "size": 1024,
                "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                "versionId": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                "sequencer": "0055AED6DCD90281E5"
            }
        }
    })
}

pub const S3_ID: &str = "s3:ai-assistant-documents-dev/documents/u-1/d-1/my file 文.pdf@0055AED6DCD90281E500000000000000:created";

pub fn s3_event() -> Value {
    json!({"Records": [s3_record()]})
}

pub fn event_bridge_object(detail_type: &str) -> Value {
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "000000000000",
        "time": "2026-11-20T10:15:30Z",
        "region": "us-east-1",
        "resources": ["arn:aws:s3:::ai-assistant-documents-dev"],
        "detail": {
            "version": "0",
            "bucket": {"name": "ai-assistant-documents-dev"},
            "object": {
                "key": "documents/u-1/d-1/my file 文.pdf",
                "size": 1024,
                "etag": "d41d8cd98f00b204e9800998ecf8427e",
                "version-id": "096fKKXTRTtl3on89fVO.nfljtsv6qko",
                "sequencer": "0055AED6DCD90281E5"
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "000000000000",
            "source-ip-address": "127.0.0.1",
            "reason": "PutObject"
        }
    })
}

pub fn stream_record(event_name: &str, number: &str) -> Value {
    json!({
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_169_730,
            "Keys": {"userId": {"S": "u-1"}, "documentId": {"S": "d-1"}},
            "NewImage": {"userId": {"S": "u-1"}, "documentId": {"S": "d-1"}, "fileSize": {"N": "7"}},
            "OldImage": {"userId": {"S": "u-1"}, "documentId": {"S": "d-1"}},
            "SequenceNumber": number,
            "SizeBytes": 26,
            "StreamViewType": "NEW_AND_OLD_IMAGES"
        },
        "eventSourceARN": STREAM
    })
}

pub fn sqs_message(body: impl ToString) -> Value {
    json!({
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": body.to_string(),
        "attributes": {
            "ApproximateReceiveCount": "3",
            "SentTimestamp": "1545082649183",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1545082649185",
            "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
        "awsRegion": "us-east-1"
    })
}

pub fn in_sqs(body: impl ToString) -> Value {
    json!({"Records": [sqs_message(body)]})
}

pub fn sns_notification(message: impl ToString) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:documents",
        "Message": message.to_string(),
        "Timestamp": "2026-11-20T10:15:31.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "EXAMPLE",
        "UnsubscribeURL": "EXAMPLE",
        "MessageAttributes": {}
    })
}

pub fn in_sns(message: impl ToString) -> Value {
    json!({"Records": [{
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-1:000000000000:documents:21be56ed",
        "EventSource": "aws:sns",
        "Sns": sns_notification(message)
    }]})
}

pub fn on_failure(payload: Value) -> Value {
    json!({
        "version": "1.0",
        "timestamp": "2026-11-20T10:16:05.568Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:extract-text:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "RequestId: e4b46cbf Process exited before completing request"}
    })
}

pub fn stream_on_failure() -> Value {
    json!({
        "requestContext": {
            "requestId": "316aa6d0-8154-xmpl-9af7-85d5f4a6bc81",
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:keep-progress",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 1
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-20T00:13:49.717Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-00000001573689847184-864758bb",
            "startSequenceNumber": "800000000003126276362",
            "endSequenceNumber": "800000000003126276362",
            "approximateArrivalOfFirstRecord": "2026-11-20T00:13:19Z",
            "approximateArrivalOfLastRecord": "2026-11-20T00:13:19Z",
            "batchSize": 1,
            "streamArn": STREAM
        }
    })
}
