//! What people are told about responses, kept in a row of its own before it is published.
//!
//! The words are of the moment in which they are first written down; from then on the row says them. A worker that ends between the publish
//! and the mark publishes the same bytes under the same id once more.

use millrace_cloud::clock::iso;
use millrace_delivery::Cx;
use millrace_effects::{Row, Update, Updated, When, key};
use millrace_events::Failure;

use crate::{attributes::text, context::Jobs, fields::malformed, notice::Notice};

/// Tells somebody, once; answers whether they are told now.
///
/// # Errors
/// The table's and the topic's.
pub(crate) async fn tell(
    jobs: &Jobs,
    job: &str,
    notice: &Notice,
    cx: &Cx,
) -> Result<bool, Failure> {
    let change = || Update::of(&jobs.names.notices, notice_key(notice));
    let written = change()
        .set("notice", notice.to_attribute()?)
        .set("jobId", text(job))
        .when(When::Absent("notificationId"));
    let row = match jobs
        .table
        .update("write the notification down", written)
        .await?
    {
        Updated::Done(row) => row,
        Updated::Refused(row) => row.unwrap_or_default(),
    };
    if row.contains_key("notifiedAt") {
        return Ok(false);
    }
    let kept = row.get("notice").cloned();
    let kept = kept.ok_or_else(|| malformed("a notification's row does not say what is told"))?;
    let topic = &jobs.names.topic;
    Notice::from_attribute(kept)?
        .publish(&jobs.clients.sns, topic)
        .await?;
    let mark = change()
        .set_if_absent("notifiedAt", text(iso(cx.now)))
        .when(When::Present("notificationId"));
    jobs.table
        .update("mark the notification as published", mark)
        .await?;
    Ok(true)
}

fn notice_key(notice: &Notice) -> Row {
    key([("notificationId", notice.notification_id.as_str())])
}
