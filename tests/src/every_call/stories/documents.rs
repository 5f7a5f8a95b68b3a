//! What can have happened to a document before a worker wakes up.

use futures::future::FutureExt as _;
use millrace_documents::Document;
use serde_json::json;

use super::{Story, Told};

/// Enough for several chunks, so that a shorter text has some to remove.
const LONG: &str = "The mill stands by the river. Its wheel is five metres wide.\n\nThe miller opens the sluice at dawn.\n\n";
const REPEATED: usize = 20;
const SHORT: &str =
    "The mill was sold. The new owner grows mushrooms in the cellar and sells them on Saturdays.";

/// All of them.
pub(super) const STORIES: [Story; 7] = [
    Story {
        name: "a first upload",
        tell: |told| told.first_upload().boxed(),
    },
    Story {
        name: "a second upload over a finished one",
        tell: |told| {
            async move {
                told.finished().await;
                told.upload("second.txt", SHORT).await;
            }
            .boxed()
        },
    },
    Story {
        name: "two uploads before the worker wakes",
        tell: |told| {
            async move {
                told.upload("first.txt", &LONG.repeat(REPEATED)).await;
                told.others_go_on().await;
                told.world.later();
                told.upload("second.txt", SHORT).await;
            }
            .boxed()
        },
    },
    Story {
        name: "the original of a finished document removed",
        tell: |told| {
            async move {
                told.finished().await;
                told.remove_original().await;
            }
            .boxed()
        },
    },
    Story {
        name: "the original removed while the worker slept",
        tell: |told| {
            async move {
                told.upload("first.txt", &LONG.repeat(REPEATED)).await;
                told.others_go_on().await;
                told.remove_original().await;
            }
            .boxed()
        },
    },
    Story {
        name: "the row of a finished document removed",
        tell: |told| {
            async move {
                told.finished().await;
                told.row("DeleteItem", "Key", false);
            }
            .boxed()
        },
    },
    Story {
        name: "the row of a finished document overwritten by the upload's own late write",
        tell: |told| {
            async move {
                told.finished().await;
                told.row("PutItem", "Item", true);
            }
            .boxed()
        },
    },
];

fn document() -> Document {
    Document::parse("ada", "0b0b3a4e-6c1f-4d6e-9a52-0f6f4a1d7a09").unwrap()
}

impl Told<'_> {
    async fn upload(&self, name: &str, text: &str) {
        self.world.upload(&document(), name, text.as_bytes()).await;
    }

    async fn first_upload(&self) {
        self.upload("first.txt", &LONG.repeat(REPEATED)).await;
    }

    /// An upload that everybody has dealt with, the later sleeper too.
    async fn finished(&self) {
        self.first_upload().await;
        self.all_go_on().await;
    }

    async fn remove_original(&self) {
        let removal = self
            .world
            .clients
            .s3
            .delete_object()
            .bucket(&self.world.names.documents.bucket)
            .key(document().original(Some("txt")));
        removal.send().await.unwrap();
    }

    fn row(&self, operation: &str, field: &str, whole: bool) {
        let mut row = json!({
            "userId": {"S": document().user.as_str()},
            "documentId": {"S": document().id.as_str()},
        });
        if whole {
            row["fileName"] = json!({"S": "first.txt"});
            row["fileType"] = json!({"S": "text/plain"});
            row["uploadDate"] = json!({"S": "2026-11-21T03:59:59.000Z"});
            row["status"] = json!({"S": "processing"});
            row["metadata"] = json!({"M": {"tags": {"L": []}, "description": {"S": "mine"}}});
        }
        let table = &self.world.names.documents.documents_table;
        let request = json!({"TableName": table, field: row});
        let dynamo = &self.world.services().dynamo;
        dynamo.call_json(operation, &request).unwrap();
    }
}
