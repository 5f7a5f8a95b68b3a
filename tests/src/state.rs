//! The end state: everything durable that the promise speaks of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use millrace_cloud::Bucket;
use millrace_local::template::{Holding, Table};
use serde_json::{Value, json};

use crate::{
    IndexedPoint, World,
    notifications::heard,
    tapped_index::Indexed,
    world::{Pending, TEMPLATE},
};

/// Attributes that count or time the writing itself.
const OF_WRITING: [&str; 4] = ["updatedAt", "revision", "projectedRevision", "turn"];

/// Rows, objects, entries of the indexes, notifications and dead letters, in a form that compares. Times and counts of writing are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Rows by table and key. Tables that the template calls caches hold nothing that must stay: they are left out.
    pub rows: BTreeMap<String, Value>,
    /// Objects by key: content, generation.
    pub objects: BTreeMap<String, (String, Option<String>)>,
    /// What is in the index of chunks.
    pub entries: Vec<Indexed>,
    /// What is in the index of profiles.
    pub points: Vec<IndexedPoint>,
    /// What was published, by its id: what a subscriber that drops repeated ids has seen. More than one form of it is wrong.
    pub notifications: BTreeMap<String, BTreeSet<String>>,
    /// How many distinct dead letters there are of each worker, reason code and subject. Ids of letters from a queue or a bucket are compared too; those
    /// of letters from a stream follow from its sequence numbers, which two worlds never share.
    pub letters: BTreeMap<String, usize>,
}

impl State {
    /// As it is now. Nothing of it passes the world's tap.
    pub async fn of(world: &World) -> Self {
        let mut rows = BTreeMap::new();
        for table in TEMPLATE
            .tables
            .iter()
            .filter(|table| table.holds == Holding::Record)
        {
            rows.extend(rows_of(world, table));
        }
        forget_generations(&mut rows);
        rank_versions(&mut rows);
        forget_changes(&mut rows);
        let mut objects = BTreeMap::new();
        for bucket in &TEMPLATE.buckets {
            let bucket = Bucket::new(world.clients.s3.clone(), &bucket.name);
            for listed in bucket.list("").await.unwrap() {
                let object = bucket.get(&listed.key).await.unwrap().unwrap();
                let content = String::from_utf8_lossy(&object.bytes).into_owned();
                let generation = object.metadata.get("generation").cloned();
                let other = objects.insert(listed.key, (content, generation));
                assert_eq!(other, None, "two buckets have the same key");
            }
        }
        let mut distinct = BTreeSet::new();
        for letter in dead_letters(world).await {
            distinct.insert((letter.said, letter.compared));
            world.put_back(&letter.pending).await;
        }
        let mut letters = BTreeMap::new();
        for (_, compared) in distinct {
            *letters.entry(compared).or_default() += 1;
        }
        Self {
            rows,
            objects,
            entries: world.index.entries().await,
            points: world.points.entries().await,
            notifications: without_versions(heard(world).await),
            letters,
        }
    }

    /// What is here and not there, there and not here, or not the same; empty if nothing.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare(&mut found, "row", &self.rows, &expected.rows);
        compare(&mut found, "object", &self.objects, &expected.objects);
        let points = |state: &Self| -> BTreeMap<String, IndexedPoint> {
            let points = state.points.iter();
            points
                .map(|point| (point.id.clone(), point.clone()))
                .collect()
        };
        compare(&mut found, "point", &points(self), &points(expected));
        let (here, there) = (&self.notifications, &expected.notifications);
        compare(&mut found, "notification", here, there);
        for (id, forms) in here.iter().filter(|(_, forms)| forms.len() > 1) {
            found.push(format!(
                "notification {id} was published in several forms: {forms:?}"
            ));
        }
        compare(&mut found, "dead letter", &self.letters, &expected.letters);
        let set = |state: &Self| -> BTreeMap<String, ()> {
            let entries = state.entries.iter();
            entries.map(|entry| (format!("{entry:?}"), ())).collect()
        };
        compare(&mut found, "index entry", &set(self), &set(expected));
        found
    }
}

fn compare<T: PartialEq + Debug>(
    found: &mut Vec<String>,
    kind: &str,
    here: &BTreeMap<String, T>,
    there: &BTreeMap<String, T>,
) {
    for (key, value) in here {
        match there.get(key) {
            None => found.push(format!("{kind} {key} should not be there: {value:?}")),
            Some(expected) if expected != value => {
                found.push(format!("{kind} {key} is {value:?}, should be {expected:?}"));
            }
            Some(_) => {}
        }
    }
    for key in there.keys().filter(|key| !here.contains_key(*key)) {
        found.push(format!("{kind} {key} is missing"));
    }
}

fn rows_of(world: &World, table: &Table) -> Vec<(String, Value)> {
    let keys: Vec<&str> = table.create["KeySchema"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["AttributeName"].as_str().unwrap())
        .collect();
    let request = json!({"TableName": table.name});
    let scan = world.services().dynamo.call_json("Scan", &request).unwrap();
    let rows = scan["Items"].as_array().unwrap().iter();
    if keys == ["scope", "total"] {
        return totals_of(&table.name, rows);
    }
    rows.map(|row| {
        let mut row = row.clone();
        for attribute in OF_WRITING {
            row.as_object_mut().unwrap().remove(attribute);
        }
        if keys == ["subject"] && row.get("counted").is_some() {
            // A contribution stands where its source stands, and sources count their own changes.
            row.as_object_mut().unwrap().remove("version");
        }
        let key: Vec<String> = keys.iter().map(|key| row[key].to_string()).collect();
        sort_sets(&mut row);
        (format!("{}/{}", table.name, key.join("/")), row)
    })
    .collect()
}

/// Sets of texts have no order.
fn sort_sets(row: &mut Value) {
    let values = row.as_object_mut().into_iter().flatten();
    for (_, value) in values {
        if let Some(texts) = value.get_mut("SS").and_then(Value::as_array_mut) {
            texts.sort_by_key(Value::to_string);
        }
    }
}

/// Campaigns count the changes of their matches, which are fewer when records come together or late.
fn forget_changes(rows: &mut BTreeMap<String, Value>) {
    fn forget(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !["changes", "projectedChanges"].contains(&name.as_str()));
                fields.values_mut().for_each(forget);
            }
            Value::Array(entries) => entries.iter_mut().for_each(forget),
            _ => {}
        }
    }
    let campaigns = rows
        .iter_mut()
        .filter(|(key, _)| key.starts_with("dot-marketing-campaign"));
    campaigns.for_each(|(_, row)| forget(row));
    rows.retain(|_, row| *row != json!({}));
}

/// Totals that were built anew have a number of their own, and how often that was done is no part of the end: what is read counts as the
/// first. What is of others, and should be gone, stays and differs.
fn forget_generations(rows: &mut BTreeMap<String, Value>) {
    let main = "-control/{\"S\":\"main\"}";
    let ledgers = rows.iter().filter_map(|(key, row)| {
        let reads = row["reads"]["N"].as_str()?;
        Some((key.strip_suffix(main)?.to_owned(), reads.to_owned()))
    });
    for (ledger, reads) in ledgers.collect::<Vec<_>>() {
        let is_read = |value: &Value| [&value["N"], &value["S"]].iter().any(|it| **it == *reads);
        let control = format!("{ledger}-control/");
        rows.retain(|key, row| {
            let at_rest = row.get("next").is_none() && row.get("old").is_none();
            let settled = is_read(&row["reads"]) && at_rest || is_read(&row["writes"]);
            !(key.starts_with(&control) && settled)
        });
        let contributions = format!("{ledger}-contributions/");
        let totals = format!("{ledger}-totals/{{\"S\":\"{reads}#");
        *rows = std::mem::take(rows)
            .into_iter()
            .map(|(key, mut row)| {
                // A contribution that stays as it is keeps the numbers of totals that are gone.
                let mut counted = row["counted"]["S"]
                    .as_str()
                    .into_iter()
                    .flat_map(|counted| counted.split(','));
                if key.starts_with(&contributions) && counted.any(|one| one == reads) {
                    row["counted"] = json!({"S": "1"});
                }
                match key.strip_prefix(&totals) {
                    Some(rest) => (format!("{ledger}-totals/{{\"S\":\"1#{rest}"), row),
                    None => (key, row),
                }
            })
            .collect();
    }
}

/// Totals of a ledger: a total is the sum of its slots, which are drawn by chance, and a zero is as good as nothing.
fn totals_of<'a>(table: &str, rows: impl Iterator<Item = &'a Value>) -> Vec<(String, Value)> {
    let mut sums: BTreeMap<String, BTreeMap<&str, i64>> = BTreeMap::new();
    for row in rows {
        let (name, _slot) = row["total"]["S"]
            .as_str()
            .unwrap()
            .rsplit_once('#')
            .unwrap();
        let sum = sums
            .entry(format!("{table}/{}/{name}", row["scope"]))
            .or_default();
        for (measure, amount) in row.as_object().unwrap() {
            if let Some(amount) = amount["N"].as_str() {
                *sum.entry(measure).or_default() += amount.parse::<i64>().unwrap();
            }
        }
    }
    let said = |(key, mut sum): (String, BTreeMap<&str, i64>)| {
        sum.retain(|_, amount| *amount != 0);
        (!sum.is_empty()).then(|| (key, json!(sum)))
    };
    sums.into_iter().filter_map(said).collect()
}

/// A place in the history of a subject: a stream's label and a sequence number of 40 digits.
fn is_version(text: &str) -> bool {
    let number = text.rsplit_once('/').map(|(_, number)| number);
    number.is_some_and(is_sequence_number)
}

fn is_sequence_number(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Streams number their records by the machine's clock, so two worlds never have the same numbers. What compares is their order
/// within one subject: each version becomes its rank among those that rows with the same partition key have.
fn rank_versions(rows: &mut BTreeMap<String, Value>) {
    let subject = |key: &str| key.split('/').nth(1).unwrap_or_default().to_owned();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, row) in rows.iter_mut() {
        let versions = known.entry(subject(key)).or_default();
        each_version(row, &mut |version| {
            versions.insert(version.clone());
        });
    }
    for (key, row) in rows.iter_mut() {
        let versions = &known[&subject(key)];
        each_version(row, &mut |version| {
            let rank = versions.iter().position(|known| known == version);
            *version = format!("version {}", rank.unwrap());
        });
    }
}

fn each_version(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) if is_version(text) => visit(text),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| each_version(field, visit)),
        Value::Array(entries) => entries
            .iter_mut()
            .for_each(|entry| each_version(entry, visit)),
        _ => {}
    }
}

/// The id of a match's step is made from a version, which differs from world to world: here it is match, state and time, and the
/// rank among those that have the same.
fn without_versions(
    heard: BTreeMap<String, BTreeSet<String>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut renamed = BTreeMap::new();
    for (id, forms) in heard {
        let Some(step) = forms.first().and_then(|form| step_of(form)) else {
            renamed.insert(id, forms);
            continue;
        };
        let mut rank = 0;
        while renamed.contains_key(&format!("{step} {rank}")) {
            rank += 1;
        }
        let name = format!("{step} {rank}");
        let forms = forms.iter().map(|form| form.replace(&id, &name));
        let forms = forms.collect();
        renamed.insert(name, forms);
    }
    renamed
}

/// Match, state and time of the step that a message tells of.
fn step_of(form: &str) -> Option<String> {
    let (_, body) = form.split_once("} {")?;
    let body: Value = serde_json::from_str(&format!("{{{body}")).ok()?;
    let word = |name: &str| body[name].as_str().map(str::to_owned);
    Some(format!(
        "step {} {} {}",
        word("matchId")?,
        word("status")?,
        word("at")?
    ))
}

/// A message in a dead-letter queue, received.
pub struct DeadLetter {
    /// To delete it or to put it back.
    pub pending: Pending,
    /// The worker that parked it; empty for a message that its queue moved there.
    pub worker: String,
    /// Why.
    pub reason: String,
    /// Id, worker, reason code and subject.
    pub said: String,
    /// The same as far as two worlds have it in common.
    pub compared: String,
}

/// Everything in the dead-letter queues, received.
pub async fn dead_letters(world: &World) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    let is_last = |name: &str| TEMPLATE.is_dead_letter_queue(name);
    for queue in TEMPLATE.queues.iter().filter(|queue| is_last(&queue.name)) {
        for pending in world.receive_from(&queue.name).await {
            letters.push(dead_letter(pending));
        }
    }
    letters
}

fn dead_letter(pending: Pending) -> DeadLetter {
    let text = pending.event["Records"][0]["body"].as_str().unwrap();
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (worker, reason) = (word(&body["worker"]), word(&body["reason"]["code"]));
    let what = format!("{worker} {reason} {}", body["subject"]);
    let said = match body["id"].as_str() {
        Some(id) => format!("{id} {what}"),
        None => format!("not parked, but moved to {}: {text}", pending.queue),
    };
    let of = body["recordId"].as_str().and_then(|id| id.rsplit_once('@'));
    let compared = if of.is_some_and(|(_, version)| is_sequence_number(version)) {
        what
    } else {
        said.clone()
    };
    DeadLetter {
        pending,
        worker,
        reason,
        said,
        compared,
    }
}
