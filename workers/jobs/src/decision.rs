//! The decision: one response to a job is selected, and the person who gave it works until the job is over.
//!
//! A selection and the end of its job come over two streams, in any order. So neither undoes the other: the row keeps
//! both facts, and whether the person is busy follows from both.

use time::OffsetDateTime;

/// A response that was selected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The response.
    pub response_id: String,
    /// Who gave it.
    pub employee_id: String,
    /// When it was selected, as its event says.
    pub at: OffsetDateTime,
}

/// What the job's own row says when somebody is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobSeen {
    /// The work is still to be done.
    Ahead,
    /// It is done.
    Completed,
    /// There is no such row any more.
    Gone,
}

/// What becomes of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It decides the job.
    Decides {
        /// Whether the person is kept busy by it. Not when the job was over before the selection was heard of.
        busy: bool,
    },
    /// It has decided the job before.
    Decided,
    /// Another response was selected before.
    TooLate,
}

/// What becomes of a selection: `before` is the one that is known, `over` when the job was last completed or removed.
pub fn decide(
    selection: &Selection,
    before: Option<&Selection>,
    over: Option<OffsetDateTime>,
    job: JobSeen,
) -> Verdict {
    match before {
        Some(before) if before.response_id == selection.response_id => Verdict::Decided,
        Some(_) => Verdict::TooLate,
        None => Verdict::Decides {
            busy: job == JobSeen::Ahead && !is_over(selection, over),
        },
    }
}

/// Whether the job was over after this selection. One that was completed, taken up again and only then decided is not.
/// Streams tell times in whole seconds: what happened in the same second counts as after.
pub fn is_over(selection: &Selection, over: Option<OffsetDateTime>) -> bool {
    over.is_some_and(|over| over >= selection.at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);

    fn selection(response: &str, seconds: i64) -> Selection {
        Selection {
            response_id: response.to_owned(),
            employee_id: format!("of {response}"),
            at: NOON + time::Duration::seconds(seconds),
        }
    }

    #[test]
    fn the_first_selection_decides() {
        let one = selection("one", 0);
        let busy = Verdict::Decides { busy: true };
        assert_eq!(decide(&one, None, None, JobSeen::Ahead), busy);
        assert_eq!(
            decide(&one, Some(&one), None, JobSeen::Ahead),
            Verdict::Decided
        );
        let other = selection("other", 5);
        assert_eq!(
            decide(&other, Some(&one), None, JobSeen::Ahead),
            Verdict::TooLate
        );
    }

    #[test]
    fn the_same_response_selected_again_later_is_the_same_decision() {
        let (one, again) = (selection("one", 0), selection("one", 500));
        assert_eq!(
            decide(&again, Some(&one), None, JobSeen::Ahead),
            Verdict::Decided
        );
    }

    #[test]
    fn nobody_is_made_busy_by_a_job_that_is_over() {
        let one = selection("one", 0);
        let idle = Verdict::Decides { busy: false };
        assert_eq!(decide(&one, None, Some(NOON), JobSeen::Ahead), idle);
        assert_eq!(decide(&one, None, None, JobSeen::Completed), idle);
        assert_eq!(decide(&one, None, None, JobSeen::Gone), idle);
    }

    #[test]
    fn a_job_that_was_completed_and_taken_up_again_keeps_its_choice_busy() {
        let earlier = Some(NOON - time::Duration::seconds(1));
        let one = selection("one", 0);
        assert!(!is_over(&one, earlier));
        assert_eq!(
            decide(&one, None, earlier, JobSeen::Ahead),
            Verdict::Decides { busy: true }
        );
    }

    proptest! {
        /// The person's state as the workers would write it, events in any order and any number of times.
        #[test]
        fn whatever_the_order_the_person_ends_the_same(
            selected in -3_i64..3,
            ends in prop::collection::vec(-3_i64..3, 0..4),
            heard in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let selection = selection("one", selected);
            let ends: Vec<OffsetDateTime> = ends.iter().map(|end| NOON + time::Duration::seconds(*end)).collect();
            let run = |order: &mut dyn Iterator<Item = usize>| {
                let (mut known, mut over, mut busy) = (None, None, false);
                for event in order {
                    match event.checked_sub(1) {
                        None => {
                            if let Verdict::Decides { busy: now } = decide(&selection, known.as_ref(), over, JobSeen::Ahead) {
                                known = Some(selection.clone());
                                busy = now;
                            }
                        }
                        Some(end) => {
                            over = over.max(Some(ends[end]));
                            if known.as_ref().is_some_and(|known| is_over(known, over)) {
                                busy = false;
                            }
                        }
                    }
                }
                (known, over, busy)
            };
            let count = ends.len() + 1;
            let calm = run(&mut (0..count));
            let wild = heard.iter().map(|index| index.index(count));
            prop_assert_eq!(run(&mut wild.chain((0..count).rev())), calm);
        }
    }
}
