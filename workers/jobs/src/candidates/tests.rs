use proptest::prelude::*;

use super::*;

fn score(points: f64) -> Score {
    Score {
        similarity: 0.6,
        semantic: 30.0,
        district: 0.0,
        rate: points,
    }
}

fn people(ids: &[&str]) -> Vec<(String, Score)> {
    let scored = ids.iter().enumerate();
    scored
        .map(|(place, id)| ((*id).to_owned(), score(20.0 - place as f64)))
        .collect()
}

fn round<'a>(version: &'a str, ranked: &'a [(String, Score)], cap: usize) -> Round<'a> {
    Round {
        job_id: "j",
        version,
        as_of: "then",
        ranked,
        cap,
        now: "now",
    }
}

fn after(
    existing: &BTreeMap<String, Candidate>,
    steps: Vec<Candidate>,
) -> BTreeMap<String, Candidate> {
    let mut rows = existing.clone();
    rows.extend(steps.into_iter().map(|row| (row.employee_id.clone(), row)));
    rows
}

fn states(rows: &BTreeMap<String, Candidate>) -> Vec<(&str, State)> {
    rows.iter()
        .map(|(id, row)| (id.as_str(), row.state))
        .collect()
}

fn tell(rows: &mut BTreeMap<String, Candidate>, id: &str, state: State) {
    let row = rows.get_mut(id).unwrap();
    row.state = state;
    row.notification_id = Some(format!("n-{id}"));
}

#[test]
fn the_best_are_chosen_up_to_the_cap() {
    let ranked = people(&["a", "b", "c"]);
    let rows = after(
        &BTreeMap::new(),
        plan(&round("1", &ranked, 2), &BTreeMap::new()),
    );
    let expected = [
        ("a", State::Chosen),
        ("b", State::Chosen),
        ("c", State::Reserve),
    ];
    assert_eq!(states(&rows), expected);
    assert_eq!(rows["c"].rank, Some(3));
    assert_eq!(rows["a"].score, 50.0);
}

#[test]
fn who_was_told_counts_and_stays_told() {
    let first = people(&["a", "b", "c"]);
    let mut rows = after(
        &BTreeMap::new(),
        plan(&round("1", &first, 2), &BTreeMap::new()),
    );
    tell(&mut rows, "a", State::Told);
    tell(&mut rows, "b", State::Telling);
    let second = people(&["d", "b", "c"]);
    let rows = after(&rows, plan(&round("2", &second, 3), &rows));
    let expected = [
        ("a", State::Told),
        ("b", State::Telling),
        ("c", State::Reserve),
        ("d", State::Chosen),
    ];
    assert_eq!(states(&rows), expected);
    assert_eq!(
        (rows["a"].still_matches, rows["a"].rank),
        (Some(false), None)
    );
    assert_eq!(
        (rows["b"].still_matches, rows["b"].rank),
        (Some(true), Some(2))
    );
}

#[test]
fn who_does_not_qualify_any_more_is_withdrawn_first_and_may_come_back() {
    let first = people(&["a", "b"]);
    let rows = after(
        &BTreeMap::new(),
        plan(&round("1", &first, 1), &BTreeMap::new()),
    );
    let second = people(&["b"]);
    let steps = plan(&round("2", &second, 1), &rows);
    let order: Vec<&str> = steps.iter().map(|row| row.employee_id.as_str()).collect();
    assert_eq!(order, ["a", "b"]);
    let rows = after(&rows, steps);
    assert_eq!(
        states(&rows),
        [("a", State::Withdrawn), ("b", State::Chosen)]
    );
    let rows = after(&rows, plan(&round("3", &first, 1), &rows));
    assert_eq!(states(&rows), [("a", State::Chosen), ("b", State::Reserve)]);
}

#[test]
fn what_stands_there_already_is_not_written_again() {
    let ranked = people(&["a", "b", "c"]);
    let rows = after(
        &BTreeMap::new(),
        plan(&round("1", &ranked, 2), &BTreeMap::new()),
    );
    let later = Round {
        now: "later",
        ..round("1", &ranked, 2)
    };
    assert!(plan(&later, &rows).is_empty());
}

#[test]
fn a_row_reads_back_as_it_was_written() {
    let ranked = people(&["a"]);
    let row = plan(&round("1", &ranked, 1), &BTreeMap::new()).remove(0);
    let AttributeValue::M(written) = attributes::map(&row).unwrap() else {
        panic!("no map");
    };
    assert!(!written.contains_key("notificationId"));
    assert_eq!(written["score"], number(50.0));
    assert_eq!(Candidate::of(written).unwrap(), row);
}

proptest! {
    /// Rounds with other people each, cut off anywhere, while chosen people are told at any moment.
    #[test]
    fn never_more_are_told_than_the_cap(
        cap in 0_usize..5,
        rounds in prop::collection::vec((prop::collection::vec(0_u8..8, 0..8), 0_usize..12, any::<u8>()), 1..6),
    ) {
        let mut rows = BTreeMap::new();
        for (version, (ids, steps_done, told)) in rounds.iter().enumerate() {
            let mut ids: Vec<String> = ids.iter().map(|id| format!("p{id}")).collect();
            ids.sort();
            ids.dedup();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let (version, ranked) = (version.to_string(), people(&ids));
            let steps = plan(&round(&version, &ranked, cap), &rows);
            for row in steps.into_iter().take(*steps_done) {
                rows.insert(row.employee_id.clone(), row);
                let chosen: Vec<String> = rows.values()
                    .filter(|row| row.state == State::Chosen && (told >> (row.employee_id.as_bytes()[1] - b'0')) & 1 == 1)
                    .map(|row| row.employee_id.clone())
                    .collect();
                for id in chosen {
                    // Who is told in the middle of a round makes it look again.
                    tell(&mut rows, &id, State::Told);
                }
                let counted = rows.values().filter(|row| row.state.counts_as_told()).count();
                prop_assert!(counted <= cap);
            }
            let again = plan(&round(&version, &ranked, cap), &rows);
            let rows_after = after(&rows, again);
            let counted = rows_after.values()
                .filter(|row| row.state.counts_as_told() || row.state == State::Chosen).count();
            prop_assert!(counted <= cap.max(rows.values().filter(|row| row.state.counts_as_told()).count()));
            for row in rows_after.values().filter(|row| row.state == State::Chosen) {
                prop_assert_eq!(&row.job_version, &version);
            }
        }
    }
}
