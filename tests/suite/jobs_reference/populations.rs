//! Random populations and jobs: few distinct values each, so that every boundary is met often.

use millrace_tests::{
    NOW,
    jobs::people::{DIMENSIONS, Job, Person, Range, SeenAs, text_of},
};
use proptest::{prelude::*, sample::select};

/// At most so many people.
pub(super) const PEOPLE: usize = 60;
/// Whoever posts a job without being among them.
pub(super) const STRANGER: &str = "ffffffff-0000-4000-8000-000000000000";
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// People, and the jobs that are posted to them one after the other.
#[derive(Debug, Clone)]
pub(super) struct Population {
    pub(super) people: Vec<Person>,
    pub(super) jobs: Vec<Job>,
}

/// The id of the nth.
pub(super) fn person_id(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

/// A direction whose cosine with the first axis is this, leaning to another axis.
fn leaning(cosine: f32, axis: usize) -> [f32; DIMENSIONS] {
    let mut vector = [0.0; DIMENSIONS];
    vector[0] = cosine;
    let rest = 1.0 - f64::from(cosine) * f64::from(cosine);
    vector[axis] = rest.sqrt() as f32;
    vector
}

/// 0.6 rounded to 32 bits lies a little above 0.6; the next number below it does not.
const NEAREST_THAT_IS_TOO_FAR: f32 = 0.599_999_96;

fn profile_vector() -> impl Strategy<Value = [f32; DIMENSIONS]> {
    let cosine = prop_oneof![
        3 => Just(0.6_f32),
        1 => Just(NEAREST_THAT_IS_TOO_FAR),
        2 => Just(1.0),
        2 => Just(0.9),
        1 => Just(0.61),
        1 => Just(0.7),
        1 => Just(0.5),
        1 => select(vec![0.0, -0.6, -1.0]),
        3 => (-1.0_f32..1.0).prop_filter("too close to say", |cosine| (cosine - 0.6).abs() > 1e-5),
    ];
    (cosine, 1..4_usize).prop_map(|(cosine, axis)| leaning(cosine, axis))
}

fn range() -> impl Strategy<Value = Range> {
    prop_oneof![
        1 => Just(Range::None),
        1 => select(vec![80.0, 100.0, 120.5]).prop_map(Range::From),
        1 => select(vec![80.0, 100.0, 150.0]).prop_map(Range::To),
        // Equal ones are here.
        6 => (select(vec![0.0, 80.0, 100.0, 120.5]), select(vec![0.0, 20.5, 50.0, 70.0]))
            .prop_map(|(minimum, more)| Range::Both(minimum, minimum + more)),
    ]
}

fn ratings() -> impl Strategy<Value = (bool, u32, u32, u32)> {
    prop_oneof![
        2 => Just((false, 0, 0, 0)),
        1 => Just((true, 0, 0, 0)),
        // Exactly 30 %, one less, one more.
        3 => select(vec![(true, 7, 0, 3), (true, 5, 2, 3), (true, 14, 0, 6), (true, 0, 7, 3)]),
        1 => select(vec![(true, 8, 0, 3), (true, 15, 0, 6), (true, 70, 1, 30)]),
        1 => select(vec![(true, 6, 0, 3), (true, 13, 0, 6), (true, 69, 0, 30), (true, 0, 0, 1)]),
        2 => (0..20_u32, 0..5_u32, 0..8_u32).prop_map(|(good, neutral, bad)| (true, good, neutral, bad)),
    ]
}

/// When somebody was last seen, before now.
fn seen() -> impl Strategy<Value = (Option<i64>, SeenAs)> {
    let ago = prop_oneof![
        1 => Just(None),
        4 => Just(Some(0)),
        3 => Just(Some(7 * DAY_MILLIS)),
        1 => select(vec![7 * DAY_MILLIS + 1, 7 * DAY_MILLIS + 1000, 8 * DAY_MILLIS]).prop_map(Some),
        1 => select(vec![7 * DAY_MILLIS - 1, 6 * DAY_MILLIS, -5000]).prop_map(Some),
    ];
    (ago, select(vec![SeenAs::Text, SeenAs::Millis]))
}

const DISTRICTS: [&str; 5] = ["Central", "TST", "觀塘", "Mong Kok", "Nowhere at all"];

fn person() -> impl Strategy<Value = Person> {
    let flags = (
        prop::bool::weighted(0.97),
        prop::bool::weighted(0.95),
        prop::bool::weighted(0.03),
        prop::bool::weighted(0.95),
    );
    let status = prop_oneof![
        9 => Just("available"),
        1 => select(vec!["busy", "inactive"]),
    ];
    let districts = prop::sample::subsequence(DISTRICTS.to_vec(), 0..=2);
    (
        flags,
        status,
        seen(),
        ratings(),
        range(),
        districts,
        profile_vector(),
    )
        .prop_map(|(flags, status, seen, ratings, range, districts, vector)| {
            let (has_profile, complete, is_blank, active) = flags;
            let (has_ratings, good, neutral, bad) = ratings;
            let (ago, seen_as) = seen;
            Person {
                id: String::new(),
                has_profile,
                complete,
                description: if is_blank {
                    " \n".to_owned()
                } else {
                    format!("餐廳服務員 {}", text_of(&vector))
                },
                active,
                status,
                seen_millis: ago.map(|ago| NOW - ago),
                seen_as,
                has_ratings,
                good,
                neutral,
                bad,
                range,
                districts,
                vector,
            }
        })
}

fn job() -> impl Strategy<Value = Job> {
    let vector = prop_oneof![
        4 => Just(leaning(1.0, 1)),
        1 => Just(leaning(0.8, 1)),
    ];
    let rate = select(vec![
        0.0, 79.99, 80.0, 90.0, 100.0, 120.5, 125.75, 150.0, 400.0,
    ]);
    let district = prop_oneof![
        1 => Just(None),
        8 => select(DISTRICTS.to_vec()).prop_map(Some),
        1 => Just(Some("not a district")),
    ];
    let employer = prop_oneof![
        1 => Just(STRANGER.to_owned()),
        2 => (0..PEOPLE / 3).prop_map(person_id),
    ];
    (vector, rate, district, employer).prop_map(|(vector, rate, district, employer)| Job {
        id: String::new(),
        employer,
        title: "急需侍應".to_owned(),
        description: text_of(&vector),
        changed_millis: NOW,
        district,
        rate,
        vector,
    })
}

/// Populations of nobody to [`PEOPLE`] people, with one to three jobs.
pub(super) fn population() -> impl Strategy<Value = Population> {
    let people = prop::collection::vec(person(), 0..=PEOPLE);
    let jobs = prop::collection::vec(job(), 1..=3);
    (people, jobs).prop_map(|(mut people, jobs)| {
        for (number, person) in people.iter_mut().enumerate() {
            person.id = person_id(number);
        }
        Population { people, jobs }
    })
}
