//! `millrace dlq replay`: letters to their workers again.

use super::{Opened, open};
use crate::{
    cli::{DlqPlace, Which},
    output::{Ended, Error},
    platform::Platform,
    replay::{Counter, ReplayArgs},
};

pub(super) async fn run(which: &Which, how: &ReplayArgs, place: &DlqPlace) -> Result<Ended, Error> {
    let go_on = how.run_to_go_on().map_err(Error::usage)?.is_some();
    if go_on && (!which.words().is_empty() || how.max.is_some()) {
        return Err(Error::usage(
            "--continue goes on with the letters of the replay that was interrupted: leave out which letters, and --max",
        ));
    }
    let Opened {
        desk,
        audit,
        platform,
    } = open(place).await?;
    let mut platform = match platform {
        Some(platform) => platform,
        None => Platform::on_aws(&place.place.data).await?,
    };
    let counter = Counter {
        platform: &mut platform,
        desk: &desk,
        audit: &audit,
        as_json: place.place.json,
    };
    let selection = which.selection(desk.clock().now());
    crate::replay::run(counter, selection, which.words(), how).await
}
