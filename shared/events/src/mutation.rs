//! Mutations: faults put into the code on purpose, to see that a test finds them.
//!
//! A proof that cannot fail proves nothing. Each mutation takes away one thing that the promise rests on; the feature
//! `mutations` compiles them in, the variable `MILLRACE_MUTATION` switches one of them on for the whole process, and
//! `tests/replay` shows for each that it is caught. Without the feature [`on`] is `false` for the compiler too, so that
//! nothing of them is left in a program that is deployed.

/// One mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    /// By which it is switched on.
    pub name: &'static str,
    /// What is wrong while it is on.
    pub fault: &'static str,
}

macro_rules! mutations {
    ($($name:ident = $text:literal, $fault:literal;)+) => {
        $(#[doc = $fault] pub const $name: Mutation = Mutation { name: $text, fault: $fault };)+

        /// Every mutation.
        pub const ALL: &[Mutation] = &[$($name),+];
    };
}

mutations! {
    FENCE_OPEN = "fence-open", "A fence lets every version through.";
    CONTRIBUTION_TWICE = "contribution-twice", "A contribution is added again when it is delivered again.";
    CONTRIBUTION_NOT_REPLACED = "contribution-not-replaced", "A new contribution is added without taking the former one away.";
    CONTRIBUTION_UNGUARDED = "contribution-unguarded", "A contribution is replaced without asking whether it is still what was read.";
    LEDGER_UNCHECKED = "ledger-unchecked", "A writer of totals does not ask whether it still writes into the right generations.";
    LEDGER_DIFFERENCE_ALONE = "ledger-difference-alone", "Where a contribution is not counted yet, only its change is added.";
    LEDGER_NEWER_LEFT = "ledger-newer-left", "What a writer in another slot has counted in a newer generation already stays there when it is replaced.";
    LEDGER_EARLY_SWITCH = "ledger-early-switch", "Totals that are being built are read before they are whole.";
    LEDGER_SOURCE_FIRST = "ledger-source-first", "A rebuild reads what a contribution is made of before it reads the contribution.";
    CREATE_TWICE = "create-twice", "A row that is created once is written again.";
    ARTEFACT_UNGUARDED = "artefact-unguarded", "An artefact is written whatever lies there.";
    CLAIM_UNFENCED = "claim-unfenced", "An older upload takes the document from a newer one.";
    CLAIM_OVER_TOMBSTONE = "claim-over-tombstone", "An upload that was removed comes back when its event comes late.";
    ADVANCE_STALE = "advance-stale", "A superseded upload moves the progress of its successor.";
    ADVANCE_UNGUARDED = "advance-unguarded", "The progress row is replaced without asking whether it is still what was read.";
    ROW_LEFT_BEHIND = "row-left-behind", "The progress row moves and the platform's row does not.";
    PROGRESS_FIRST = "progress-first", "The progress moves before the work is done.";
    OLD_BEFORE_NEW = "old-before-new", "The former entries leave the index before the new ones are in it.";
    OLD_STAYS = "old-stays", "The former entries stay in the index.";
    SETTLE_SKIPPED = "settle-skipped", "A superseded worker leaves behind what it wrote.";
    REMOVAL_WITHOUT_TOMBSTONE = "removal-without-tombstone", "A removal leaves no tombstone.";
    REMOVAL_UNGUARDED = "removal-unguarded", "A late removal takes away what a newer upload made.";
    OVERWRITTEN_ROW_IGNORED = "overwritten-row-ignored", "A row that the platform wrote over stays as it is.";
    DERIVED_FROM_OLD = "derived-from-old", "What is derived is written although what it was derived from has changed.";
    FACTS_STALE = "facts-stale", "An older record of a match replaces the facts of a newer one.";
    STEP_TWICE = "step-twice", "A change of a match's status is heard again when it is delivered again.";
    STEP_MARKED_FIRST = "step-marked-first", "A step counts as published before it is.";
    PROJECTION_STALE = "projection-stale", "An older revision of a match is written over a newer one in the platform's row.";
    PROJECTION_RESURRECTS = "projection-resurrects", "What follows from a match is written although its row is gone.";
    MATCH_UNGUARDED = "match-unguarded", "A match's progress is replaced without asking whether it is still what was read.";
    PAIR_TWICE = "pair-twice", "A pair that was matched before is matched again.";
    MATCHED_AGAIN = "matched-again", "What was matched before is gone through again.";
    CAMPAIGN_UNFENCED = "campaign-unfenced", "An older projection of a campaign replaces a newer one.";
    CAMPAIGN_LEFT_BEHIND = "campaign-left-behind", "A match that goes to another campaign stays in the figures of the former one.";
    CAMPAIGN_OVERWRITTEN = "campaign-overwritten", "A campaign's row that the platform wrote over stays without its figures.";
    CREATOR_STAYS_LISTED = "creator-stays-listed", "A match that leaves a campaign stays among the campaign's creators.";
    EXPIRY_NOT_COUNTED = "expiry-not-counted", "A match that expires stays in its state.";
    DELETED_STAYS_COUNTED = "deleted-stays-counted", "The figures of a match that was deleted stay.";
    REMOVED_STAYS_COUNTED = "removed-stays-counted", "The figures of a campaign that was removed stay.";
    REPORT_UNGUARDED = "report-unguarded", "A report replaces whatever lies there.";
    REPORT_LOOKED_AT_ONCE = "report-looked-at-once", "Nobody looks whether the figures of a report are others by the time it lies there.";
    PARK_LOST = "park-lost", "A record counts as parked before it is in the dead-letter queue.";
    PARKED_EMPTY = "parked-empty", "A record is parked without its event.";
    RETRY_FORGOTTEN = "retry-forgotten", "A record that must come back is acknowledged.";
    STREAM_HIGHEST = "stream-highest", "A stream's response names the highest failed record instead of the lowest.";
    TOLD_UNGUARDED = "told-unguarded", "Somebody is told whatever their row says by then.";
    STALE_STAYS_CHOSEN = "stale-stays-chosen", "Who was chosen for an older version of a job stays chosen.";
    NOTIFICATION_ID_RANDOM = "notification-id-random", "A notification's id is made anew each time.";
    MARKED_BEFORE_PUBLISHED = "marked-before-published", "Somebody counts as told before the message is published.";
    CAP_IGNORED = "cap-ignored", "Everybody who qualifies is told.";
    SEEN_BY_WALL_CLOCK = "seen-by-wall-clock", "Who was seen lately depends on when a job is scored, not on when it was posted.";
    RESPONSE_TWICE = "response-twice", "A response is collected again when it is heard of again.";
    BUSY_UNCONDITIONAL = "busy-unconditional", "Somebody who works for another job is made busy with this one.";
    FREED_FROM_ANOTHER_JOB = "freed-from-another-job", "The end of a job frees somebody who has another one by now.";
    INDEX_WITHOUT_REVISION = "index-without-revision", "A point is put into the index without saying how new it is.";
    TRANSIENT_DROPPED = "transient-dropped", "A transient failure counts as done.";
}

/// Whether this mutation is switched on.
#[cfg(feature = "mutations")]
pub fn on(mutation: Mutation) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| std::env::var("MILLRACE_MUTATION").ok());
    chosen.as_deref() == Some(mutation.name)
}

/// Never: the feature `mutations` is off.
#[cfg(not(feature = "mutations"))]
#[inline(always)]
pub const fn on(_mutation: Mutation) -> bool {
    false
}
