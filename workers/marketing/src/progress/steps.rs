//! What the changes of a status come to: steps, and what is none.

use time::OffsetDateTime;

use super::{Heard, Progress};
use crate::workflow::Status;

/// A step: the match came into a state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step<'a> {
    /// What was heard.
    pub heard: &'a Heard,
    /// The state that counted before; `None` for the first.
    pub from: Option<Status>,
}

impl Step<'_> {
    /// The state it came into.
    pub fn status(&self) -> Status {
        self.heard.status
    }

    /// When.
    pub fn at(&self) -> OffsetDateTime {
        self.heard.at
    }
}

/// What a change of the status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A step, from the state that counted before.
    Step(Option<Status>),
    /// The row says again what counts: no step, and nothing wrong.
    Restored,
    /// Not a step of the workflow, from the state that counts.
    Invalid(Option<Status>),
}

impl Progress {
    /// What each change that was heard of is, by version.
    ///
    /// A change counts when the workflow has the step that the record tells of, or the step from the state that counts. A
    /// new row in `PENDING` begins.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Heard, Verdict)> {
        let mut counts: Option<Status> = None;
        self.heard.iter().map(move |heard| {
            let to = heard.status;
            let begins = heard.inserted && to == Status::Pending;
            let leads = |from: Option<Status>| from.is_some_and(|from| from.leads_to(to));
            let verdict = if counts == Some(to) {
                Verdict::Restored
            } else if begins || leads(heard.from) || leads(counts) {
                Verdict::Step(counts)
            } else {
                Verdict::Invalid(counts)
            };
            if matches!(verdict, Verdict::Step(_)) {
                counts = Some(to);
            }
            (heard, verdict)
        })
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_>> {
        self.verdicts()
            .filter_map(|(heard, verdict)| match verdict {
                Verdict::Step(from) => Some(Step { heard, from }),
                Verdict::Restored | Verdict::Invalid(_) => None,
            })
    }

    /// The last step.
    pub fn last_step(&self) -> Option<Step<'_>> {
        self.steps().last()
    }

    /// The state that counts.
    pub fn status(&self) -> Option<Status> {
        self.last_step().map(|step| step.status())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Status::{Accepted, Completed, Contacted, Negotiating, Pending, Rejected, Responded};

    fn heard(version: usize, from: Option<Status>, status: Status) -> Heard {
        Heard {
            version: format!("{version:05}"),
            from,
            status,
            at: OffsetDateTime::UNIX_EPOCH,
            inserted: from.is_none(),
            score: 80.0,
            campaign_id: None,
            tier: None,
            platform: None,
        }
    }

    fn match_of(changes: &[(Option<Status>, Status)]) -> Progress {
        let changes = changes.iter().enumerate();
        Progress {
            heard: changes
                .map(|(at, (from, to))| heard(at, *from, *to))
                .collect(),
            ..Progress::default()
        }
    }

    fn steps(progress: &Progress) -> Vec<Status> {
        progress.steps().map(|step| step.status()).collect()
    }

    #[test]
    fn the_next_valid_step_puts_everything_right() {
        let progress = match_of(&[
            (None, Pending),
            (Some(Pending), Negotiating),
            (Some(Negotiating), Contacted),
            (Some(Contacted), Responded),
        ]);
        let verdicts: Vec<Verdict> = progress.verdicts().map(|(_, verdict)| verdict).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Step(None),
                Verdict::Invalid(Some(Pending)),
                Verdict::Step(Some(Pending)),
                Verdict::Step(Some(Contacted)),
            ]
        );
    }

    #[test]
    fn a_row_put_back_to_what_counts_is_nothing_wrong() {
        let progress = match_of(&[
            (None, Pending),
            (Some(Pending), Contacted),
            (Some(Contacted), Pending),
            (Some(Pending), Contacted),
        ]);
        let verdicts: Vec<Verdict> = progress.verdicts().map(|(_, verdict)| verdict).collect();
        assert_eq!(verdicts[2], Verdict::Invalid(Some(Contacted)));
        assert_eq!(verdicts[3], Verdict::Restored);
        assert_eq!(progress.status(), Some(Contacted));
    }

    #[test]
    fn a_match_heard_of_in_the_middle_goes_on_from_there() {
        let progress = match_of(&[
            (Some(Responded), Negotiating),
            (Some(Negotiating), Rejected),
        ]);
        assert_eq!(steps(&progress), [Negotiating, Rejected]);
    }

    #[test]
    fn a_new_row_in_the_middle_is_no_step() {
        let progress = match_of(&[(None, Contacted)]);
        let verdicts: Vec<Verdict> = progress.verdicts().map(|(_, verdict)| verdict).collect();
        assert_eq!(verdicts, [Verdict::Invalid(None)]);
        assert_eq!(progress.status(), None);
    }

    #[test]
    fn a_match_that_is_made_anew_begins_again() {
        let progress = match_of(&[
            (None, Pending),
            (Some(Pending), Contacted),
            (None, Pending),
            (Some(Pending), Contacted),
        ]);
        assert_eq!(steps(&progress), [Pending, Contacted, Pending, Contacted]);
    }

    fn any_status() -> impl Strategy<Value = Status> {
        prop::sample::select(Status::ALL.to_vec())
    }

    proptest! {
        /// Steps from one state that counts to the next, and none stands still.
        #[test]
        fn steps_are_a_chain(changes in prop::collection::vec((prop::option::of(any_status()), any_status()), 0..12)) {
            let progress = match_of(&changes);
            let mut counts = None;
            for step in progress.steps() {
                prop_assert_eq!(step.from, counts);
                prop_assert_ne!(Some(step.status()), counts);
                counts = Some(step.status());
            }
            prop_assert_eq!(progress.status(), counts);
        }

        /// Who follows the workflow takes every step.
        #[test]
        fn the_workflow_itself_is_all_steps(accepted in any::<bool>(), taken in 1_usize..7) {
            let end = if accepted { vec![Accepted, Completed] } else { vec![Rejected] };
            let way: Vec<Status> = [Pending, Contacted, Responded, Negotiating].into_iter().chain(end).take(taken).collect();
            let before = std::iter::once(None).chain(way.iter().copied().map(Some));
            let changes: Vec<_> = before.zip(way.iter().copied()).collect();
            prop_assert_eq!(steps(&match_of(&changes)), way);
        }
    }
}
