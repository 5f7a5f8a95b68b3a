//! What can have happened to a document before a worker wakes up.

use std::time::Duration;

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
pub(super) const STORIES: [Story; 10] = [
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
    Story {
        name: "the index lost what a finished document had in it",
        tell: |told| {
            async move {
                told.finished().await;
                told.lose_entries().await;
                told.writes_have_come_to_light();
            }
            .boxed()
        },
    },
    Story {
        name: "a second upload and what the index lost, looked at for the first one",
        tell: |told| {
            async move {
                told.finished().await;
                told.upload("second.txt", SHORT).await;
                told.others_go_on().await;
                told.lose_entries().await;
                told.writes_have_come_to_light();
            }
            .boxed()
        },
    },
    Story {
        name: "a document removed before it was looked at once more",
        tell: |told| {
            async move {
                told.finished().await;
                told.remove_original().await;
                told.others_go_on().await;
                told.writes_have_come_to_light();
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

    /// What an index that shows writes late may come to, when an attempt was told that it wrote something.
    async fn lose_entries(&self) {
        let index = self.world.observer.documents().index();
        let (user, id) = (document().user, document().id);
        let lost = index.remove_document(user.as_str(), id.as_str(), None);
        lost.await.unwrap();
    }

    /// Indexed documents are looked at once more.
    fn writes_have_come_to_light(&self) {
        self.world.wait(Duration::from_secs(180));
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
