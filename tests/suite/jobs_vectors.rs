//! The vector in an employee's row is the worker's own: whatever somebody else puts in its place is made again.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use millrace_effects::{Row, key};
use millrace_jobs::Jobs;
use millrace_tests::World;
use millrace_vectors::Embedding;
use serde_json::json;

const EMPLOYEE: &str = "grace";
const WORDS: &str = "Waitress with two years behind the bar of a coffee shop";

fn user() -> Row {
    let row = json!({
        "userId": {"S": EMPLOYEE},
        "isActive": {"BOOL": true},
        "employeeStatus": {"S": "available"},
        "lastLoginAt": {"S": "2026-11-20T10:00:00.000Z"},
        "profiles": {"M": {"employee": {"M": {
            "jobDescription": {"S": WORDS}, "isComplete": {"BOOL": true},
        }}}},
    });
    let item: millrace_events::Item = serde_json::from_value(row).unwrap();
    item.into()
}

fn employee(row: &mut Row) -> &mut Row {
    let Some(AttributeValue::M(profiles)) = row.get_mut("profiles") else {
        panic!("no profiles");
    };
    let Some(AttributeValue::M(employee)) = profiles.get_mut("employee") else {
        panic!("no employee");
    };
    employee
}

/// Writes the whole row as it is, but for the vector, and lets the workers come to rest; answers the row's vector then.
async fn put(world: &World, vector: AttributeValue) -> AttributeValue {
    let jobs = world.observer.jobs();
    let mut row = read(jobs).await.unwrap_or_else(user);
    employee(&mut row).insert("embedding".to_owned(), vector);
    write(world, row).await;
    let mut row = read(jobs).await.unwrap();
    employee(&mut row)["embedding"].clone()
}

async fn write(world: &World, row: Row) {
    let put = world.clients.dynamodb.put_item();
    let put = put.table_name(&world.names.jobs.users);
    put.set_item(Some(row)).send().await.unwrap();
    world.quiet().await;
}

async fn read(jobs: &Jobs) -> Option<Row> {
    let key = key([("userId", EMPLOYEE)]);
    jobs.table.read(&jobs.names.users, key).await.unwrap()
}

fn bytes(values: &[f32]) -> AttributeValue {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    AttributeValue::B(Blob::new(bytes))
}

fn list(values: &[f32]) -> AttributeValue {
    let numbers = values.iter().map(ToString::to_string);
    AttributeValue::L(numbers.map(AttributeValue::N).collect())
}

/// What the workers hold: in the profile's row, and in the index.
async fn held(jobs: &Jobs) -> (Embedding, Embedding) {
    let profile = jobs.people.read(EMPLOYEE).await.unwrap().unwrap();
    let point = jobs.profiles.get(EMPLOYEE).await.unwrap().unwrap();
    (profile.embedding.unwrap(), point.embedding)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_that_somebody_else_put_is_made_again() {
    let world = World::in_process().await;
    let jobs = world.observer.jobs();
    write(&world, user()).await;
    let right = held(jobs).await.0;
    let numbers = right.values();
    let mut not_a_number = numbers.to_vec();
    not_a_number[7] = f32::NAN;
    let mut another = vec![0.0; numbers.len()];
    another[0] = 1.0;
    for (what, vector) in [
        ("too short", bytes(&numbers[1..])),
        ("too long", bytes(&[numbers, &[0.5]].concat())),
        ("torn", AttributeValue::B(Blob::new(vec![1, 2, 3]))),
        ("not a number", bytes(&not_a_number)),
        ("nothing but zeros", bytes(&vec![0.0; numbers.len()])),
        ("another direction", bytes(&another)),
        ("a list of numbers", list(&another)),
        ("a list of too few", list(&numbers[..3])),
        ("text", AttributeValue::S("[0.1, 0.2]".to_owned())),
    ] {
        assert_eq!(put(&world, vector).await, bytes(numbers), "{what}");
        assert_eq!(held(jobs).await, (right.clone(), right.clone()), "{what}");
    }
    let letters = world.services().queues.counts("millrace-embed-profile-dlq");
    assert_eq!(letters.await.unwrap().total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_there_again_with_its_own_vector_as_a_list_is_taken_as_it_is() {
    let world = World::in_process().await;
    let jobs = world.observer.jobs();
    write(&world, user()).await;
    let right = held(jobs).await.0;
    let mut row = read(jobs).await.unwrap();
    let removed = world.clients.dynamodb.delete_item();
    let removed = removed.table_name(&world.names.jobs.users);
    let removed = removed.key("userId", AttributeValue::S(EMPLOYEE.to_owned()));
    removed.send().await.unwrap();
    world.quiet().await;
    assert!(jobs.profiles.get(EMPLOYEE).await.unwrap().is_none());
    let as_list = list(right.values());
    employee(&mut row).insert("embedding".to_owned(), as_list.clone());
    write(&world, row).await;
    assert_eq!(held(jobs).await, (right.clone(), right));
    let mut row = read(jobs).await.unwrap();
    assert_eq!(employee(&mut row)["embedding"], as_list);
}
