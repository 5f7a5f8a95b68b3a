//! `millrace dlq dedupe`: of several copies of a letter, one stays.

use super::{HOLD, Opened, Pages, check_ids, copies, letters, open, put_back_after, read};
use crate::{
    audit::What,
    cli::{DlqPlace, Which},
    letters::{Desk, Hold, Letter, Place, Selection, State},
    output::{self, Ended, Error, line},
};

/// For how long the copy that stays is surely there, in seconds.
const SURELY: i32 = 300;

pub(super) async fn run(
    which: &Which,
    why: Option<&str>,
    place: &DlqPlace,
) -> Result<Ended, Error> {
    let Opened { desk, audit, .. } = open(place).await?;
    // Unlike the other acts this one loses nothing: without a condition it means all of them.
    let selection = Selection {
        several_copies: true,
        ..which.selection(desk.clock().now())
    };
    let hold = Hold::For {
        selection: selection.clone(),
        time: HOLD,
    };
    let report = read(&desk, &hold).await?;
    if let Err(error) = check_ids(desk.catalogue(), &which.ids, State::Here) {
        return Err(put_back_after(&desk, &report, error).await);
    }
    let total = desk.catalogue().total(&selection)?;
    if total == 0 {
        desk.release_held(report.reading).await?;
        eprintln!("no letter lies there in several copies");
        return Ok(Ended::Done);
    }
    let mut act = match audit.begin(What::Dedupe, &which.words(), why).await {
        Ok(act) => act,
        Err(failure) => return Err(put_back_after(&desk, &report, failure.into()).await),
    };
    let done = async {
        let mut deleted = 0;
        let mut left = Vec::new();
        let mut pages = Pages::new(desk.catalogue(), &selection, State::Here);
        loop {
            let page = pages.next()?;
            if page.is_empty() || desk.is_stopping() {
                return Ok::<_, Error>((deleted, left));
            }
            audit
                .name(&mut act, page.iter().map(|letter| letter.id))
                .await?;
            for letter in &page {
                deleted += dedupe(&desk, letter, &mut left).await?;
            }
        }
    }
    .await;
    desk.release_held(report.reading).await?;
    let (deleted, left) = done?;
    let result = format!("{} deleted of {}", copies(deleted), letters(total));
    audit.complete(act, &result).await?;
    for (place, why) in &left {
        eprintln!("a copy in {place} was left: {why}");
    }
    if place.place.json {
        output::json(
            &serde_json::json!({"letters": total, "deleted": deleted, "left": left.len()}),
        );
    } else {
        line(&result);
    }
    if desk.is_stopping() || !left.is_empty() {
        return Ok(Ended::SomeFailed);
    }
    Ok(Ended::Done)
}

/// Deletes all but the best copy, once that is surely there. Says how many.
async fn dedupe(
    desk: &Desk,
    letter: &Letter,
    left: &mut Vec<(String, String)>,
) -> Result<usize, Error> {
    let all = desk.catalogue().copies(letter.id)?;
    let Some((best, others)) = all.split_first() else {
        return Ok(0);
    };
    // Changing its visibility succeeds only for a message that is there and is ours.
    let refused = desk
        .keep_holding(std::slice::from_ref(best), SURELY)
        .await?;
    if let Some((copy, why)) = refused.into_iter().next() {
        left.push((
            copy.place.to_string(),
            format!("the copy to keep may not be there ({why})"),
        ));
        return Ok(0);
    }
    // An object is not held: whether it is there is asked.
    if let Place::Object { bucket, key } = &best.place {
        let bucket = millrace_cloud::Bucket::new(desk.clients().s3.clone(), bucket);
        let found = bucket.head(key).await?;
        if found.is_none_or(|object| object.e_tag != best.message_id) {
            let why = "the copy to keep is not there any more".to_owned();
            left.push((best.place.to_string(), why));
            return Ok(0);
        }
    }
    let refused = desk.delete(others, State::Gone).await?;
    let deleted = others.len() - refused.len();
    left.extend(
        refused
            .into_iter()
            .map(|(copy, why)| (copy.place.to_string(), why)),
    );
    Ok(deleted)
}
