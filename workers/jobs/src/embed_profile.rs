//! `embed-profile`: somebody's profile changed; its vector is written back, and the index of profiles follows.

use millrace_delivery::{Cx, Worker};
use millrace_effects::{Update, Updated, When, key};
use millrace_events::{Failure, Item, Outcome, RowChange, RowChangeKind, Version, reason};
use millrace_vectors::Embedding;

use crate::{
    attributes::{bytes, text},
    context::{Jobs, PROFILE_CACHED},
    fields::{Fields, malformed},
    profiles::{Change, own_embedding},
    rows::{Absent, Employee, Standing, embedding_of, employee_fields, key_id},
    stepping::{now, too_large_or, waits},
};

/// Listens to the users table. Guard: the fence `version` of the profiles row; its own write into the user's row ends as `Ignored`.
#[derive(Clone)]
pub struct EmbedProfile(pub Jobs);

impl Worker for EmbedProfile {
    const NAME: &'static str = "embed-profile";
    type Event = RowChange;

    fn steps_aside(failure: &Failure) -> bool {
        waits(failure)
    }

    async fn handle(&self, change: RowChange, cx: &Cx) -> Result<Outcome, Failure> {
        let user = key_id(&change.keys, "userId")?;
        let version = &cx.record.version;
        let failure = match self.follow(&user, &change, version).await {
            Err(failure) if !failure.is_transient() => failure,
            ended => return ended,
        };
        // What is wrong with an old change does not matter once a newer one was applied.
        match self.0.people.read(&user).await? {
            Some(profile) if profile.is_past(version) => {
                self.0.people.settle(&profile).await?;
                Ok(Outcome::Superseded)
            }
            _ => Err(failure),
        }
    }

    async fn give_up(&self, change: RowChange, failure: &Failure, cx: &Cx) -> Result<(), Failure> {
        let Ok(user) = key_id(&change.keys, "userId") else {
            return Ok(());
        };
        let failed = Change::Failed(failure.reason().code());
        let people = &self.0.people;
        let now = now(&self.0);
        let applied = people.apply(&user, &cx.record.version, failed, &now);
        applied.await.map(|_| ())
    }
}

impl EmbedProfile {
    async fn follow(
        &self,
        user: &str,
        change: &RowChange,
        version: &Version,
    ) -> Result<Outcome, Failure> {
        let Self(jobs) = self;
        let apply = |change| async move {
            let now = now(jobs);
            jobs.people.apply(user, version, change, &now).await
        };
        if change.kind == RowChangeKind::Removed {
            return apply(Change::Absent(Absent::Gone.word())).await;
        }
        let Some(new) = &change.new else {
            return Err(malformed("the record has no new image"));
        };
        let standing = Standing::of(new)?;
        let employee = match &standing {
            Standing::Absent(_) if stood(change) == Some(standing.clone()) => {
                return Ok(Outcome::Ignored("still nobody to be told of jobs"));
            }
            Standing::Absent(why) => return apply(Change::Absent(why.word())).await,
            Standing::Present(employee) => employee,
        };
        let model = jobs.embedder.model();
        let of = embedding_of(model, &employee.text);
        let own = own_embedding(new, &of, jobs.embedder.dimensions())?;
        let own = own.filter(|_| !is_replaced(change));
        let embedding = match own {
            Some(_) if stood(change) == Some(standing.clone()) => {
                return Ok(Outcome::Ignored("nothing that matching looks at changed"));
            }
            Some(own) => own,
            None => match self.embed(user, new, employee, &of, version).await? {
                Some(embedding) => embedding,
                None => return Ok(Outcome::Superseded),
            },
        };
        apply(Change::Present {
            employee,
            embedding: &embedding,
            embedding_of: &of,
            model,
        })
        .await
    }

    /// The vector of the profile's text, written back into the user's row. `None`: a newer change was applied.
    async fn embed(
        &self,
        user: &str,
        image: &Item,
        employee: &Employee,
        of: &str,
        version: &Version,
    ) -> Result<Option<Embedding>, Failure> {
        let Self(jobs) = self;
        let profile = jobs.people.read(user).await?;
        if let Some(profile) = &profile
            && profile.is_past(version)
        {
            jobs.people.settle(profile).await?;
            return Ok(None);
        }
        let known = profile.filter(|profile| profile.embedding_of.as_deref() == Some(of));
        let embedding = match known.and_then(|profile| profile.embedding) {
            Some(known) => known,
            None => self.ask(user, employee, version).await?,
        };
        self.write_back(user, image, of, &embedding).await?;
        Ok(Some(embedding))
    }

    /// Asks cache and embedder. While the embedder is down, what filters look at is applied all the same, so that nobody is told who
    /// is not available any more; the vector stays that of the former text.
    async fn ask(
        &self,
        user: &str,
        employee: &Employee,
        version: &Version,
    ) -> Result<Embedding, Failure> {
        let Self(jobs) = self;
        let texts = [employee.text.clone()];
        let asked = jobs
            .cache
            .embed(&*jobs.embedder, &texts, PROFILE_CACHED, jobs.clock.now());
        match asked.await {
            Ok(mut answered) => answered.pop().ok_or_else(|| {
                Failure::permanent(reason::MODEL_MISMATCH, "the embedder answered no vector")
            }),
            Err(failure) if waits(&failure) => {
                let facts = Change::Facts {
                    employee,
                    pending: failure.reason().code(),
                };
                jobs.people.apply(user, version, facts, &now(jobs)).await?;
                Err(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Writes the vector into the user's row if its text is still this one and the vector is not there. Whoever changed the text in
    /// between made a change of its own.
    async fn write_back(
        &self,
        user: &str,
        image: &Item,
        of: &str,
        embedding: &Embedding,
    ) -> Result<(), Failure> {
        let Self(jobs) = self;
        let profile = employee_fields(&Fields::of("users row", image))?;
        let said = profile.text("jobDescription")?.unwrap_or_default();
        let update = Update::of(&jobs.names.users, key([("userId", user)]))
            .set("profiles.employee.embedding", bytes(embedding))
            .set("profiles.employee.embeddingOf", text(of))
            .when(When::All(vec![
                When::Equal("profiles.employee.jobDescription", text(said)),
                When::Any(vec![
                    When::Absent("profiles.employee.embeddingOf"),
                    When::NotEqual("profiles.employee.embeddingOf", text(of)),
                    When::Absent("profiles.employee.embedding"),
                    When::NotEqual("profiles.employee.embedding", bytes(embedding)),
                ]),
            ]));
        let written = jobs.table.update("write the profile's embedding", update);
        match written.await {
            Ok(Updated::Done(_) | Updated::Refused(_)) => Ok(()),
            Err(failure) => Err(too_large_or(failure, "the users row")),
        }
    }
}

/// The standing before the change; `None` when it is not known, or was malformed.
fn stood(change: &RowChange) -> Option<Standing> {
    Standing::of(change.old.as_ref()?).ok()
}

/// Whether somebody else put another vector under our `embeddingOf`.
fn is_replaced(change: &RowChange) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else {
        return false;
    };
    let both = |name: &str| {
        let read = |image| {
            let profile = employee_fields(&Fields::of("users row", image)).ok()?;
            profile.get(name).cloned()
        };
        (read(old), read(new))
    };
    let (of_before, of_after) = both("embeddingOf");
    let (before, after) = both("embedding");
    of_before.is_some() && of_before == of_after && before != after
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn image(of: Value, embedding: Value) -> Item {
        let row = json!({"userId": {"S": "u"}, "profiles": {"M": {"employee": {"M": {
            "embeddingOf": of, "embedding": embedding,
        }}}}});
        serde_json::from_value(row).unwrap()
    }

    fn own(embedding: Value) -> Option<Vec<f32>> {
        let image = image(json!({"S": "this"}), embedding);
        let own = own_embedding(&image, "this", 2).unwrap();
        own.map(|own| own.values().to_vec())
    }

    #[test]
    fn a_stored_vector_is_used_when_it_is_one_of_this_text_and_length() {
        // 3, 4 as 32-bit floats, little-endian.
        let bytes = json!({"B": "AABAQAAAgEA="});
        let list = json!({"L": [{"N": "3"}, {"N": "4"}]});
        for vector in [bytes.clone(), list] {
            assert_eq!(own(vector.clone()), Some(vec![0.6, 0.8]), "{vector}");
        }
        let another = image(json!({"S": "that"}), bytes.clone());
        assert_eq!(own_embedding(&another, "this", 2).unwrap(), None);
        let nobodys = image(json!({"NULL": true}), bytes);
        assert_eq!(own_embedding(&nobodys, "this", 2).unwrap(), None);
    }

    #[test]
    fn a_stored_vector_that_is_none_is_made_again() {
        for (what, vector) in [
            ("one number of two", json!({"B": "AABAQA=="})),
            ("three of two", json!({"B": "AABAQAAAgEAAAIBA"})),
            ("3 and NaN", json!({"B": "AABAQAAAwH8="})),
            ("3 and infinity", json!({"B": "AABAQAAAgH8="})),
            ("seven bytes", json!({"B": "AABAQAAAgA=="})),
            ("no direction", json!({"B": "AAAAAAAAAAA="})),
            (
                "a list of three",
                json!({"L": [{"N": "3"}, {"N": "4"}, {"N": "5"}]}),
            ),
            ("words", json!({"L": [{"S": "3"}, {"S": "4"}]})),
            ("text", json!({"S": "[3, 4]"})),
        ] {
            assert_eq!(own(vector), None, "{what}");
        }
    }

    #[test]
    fn another_vector_under_our_name_is_replaced_and_our_own_write_is_not() {
        let change = |old: Item, new: Item| RowChange {
            kind: RowChangeKind::Modified,
            table: "jetbond-users".to_owned(),
            keys: serde_json::from_value(json!({"userId": {"S": "u"}})).unwrap(),
            new: Some(new),
            old: Some(old),
            by_ttl: false,
        };
        let ours = || image(json!({"S": "this"}), json!({"B": "AABAQAAAgEA="}));
        let tampered = || image(json!({"S": "this"}), json!({"B": "AAAAAAAAgEA="}));
        let former = || image(json!({"S": "former"}), json!({"B": "AAAAAAAAgEA="}));
        assert!(is_replaced(&change(ours(), tampered())));
        assert!(!is_replaced(&change(ours(), ours())));
        // Vector and name change together in the worker's own write.
        assert!(!is_replaced(&change(former(), ours())));
        let mut inserted = change(ours(), tampered());
        inserted.old = None;
        assert!(!is_replaced(&inserted));
    }
}
