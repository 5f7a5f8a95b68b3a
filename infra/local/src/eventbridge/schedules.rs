//! Rules that run at times.
//!
//! The event of a time and the note that it was made are one transaction: every time is told once. Times that
//! passed while nothing ran are not told one by one: the newest of them is.

use rusqlite::{Connection, params};
use serde_json::json;

use super::{EventBus, Target, check_target, deliver_to, service_event};
use crate::error::ServiceError;
use crate::names;
use crate::schedule::Schedule;

struct Scheduled {
    name: String,
    schedule: Schedule,
    targets: Vec<Target>,
    made: i64,
    through: i64,
}

impl EventBus {
    /// Makes sure that the rule is there with this schedule and these targets. It begins with the first time after
    /// now; one that is there already with the same schedule goes on where it was. Blocks for a moment.
    pub fn put_schedule(
        &self,
        name: &str,
        schedule: &Schedule,
        targets: &[Target],
    ) -> Result<(), ServiceError> {
        for target in targets {
            check_target(name, target)?;
        }
        let targets = serde_json::to_string(targets)?;
        self.store.write(|write| {
            write.transaction.execute(
                "INSERT INTO schedule VALUES (?1, ?2, ?3, ?4, ?4)
                 ON CONFLICT (name) DO UPDATE SET expression = ?2, targets = ?3,
                     made = iif(expression = ?2, made, ?4), through = iif(expression = ?2, through, ?4)",
                params![name, schedule.expression(), targets, write.now],
            )?;
            Ok(())
        })
    }

    /// Removes a rule with a schedule, if it is there. Blocks for a moment.
    pub fn remove_schedule(&self, name: &str) -> Result<(), ServiceError> {
        self.store.write(|write| {
            write
                .transaction
                .execute("DELETE FROM schedule WHERE name = ?", [name])?;
            Ok(())
        })
    }

    /// The names of all rules with a schedule, sorted. Blocks for a moment.
    pub fn schedule_names(&self) -> Result<Vec<String>, ServiceError> {
        let scheduled = self.store.read(stored)?;
        Ok(scheduled.into_iter().map(|one| one.name).collect())
    }

    /// Makes the events of the rules whose time has come, and says when the next one comes. Events that are made are
    /// durable when this returns.
    pub async fn run_schedules(&self) -> Result<Option<i64>, ServiceError> {
        self.store
            .write_blocking(move |write| {
                let now = write.now;
                let mut next: Option<i64> = None;
                for one in stored(&write.transaction)? {
                    if let Some(due) = one.schedule.latest(one.through, now, one.made) {
                        let rule_arn = names::rule_arn(&one.name);
                        let event = service_event(
                            "aws.events",
                            "Scheduled Event",
                            due,
                            &rule_arn,
                            json!({}),
                        );
                        for target in &one.targets {
                            deliver_to(write, &one.name, target, &event)?;
                        }
                        write.transaction.execute(
                            "UPDATE schedule SET through = ?2 WHERE name = ?1",
                            params![one.name, due],
                        )?;
                    }
                    let following = one.schedule.next_after(now, one.made);
                    next = next.into_iter().chain(following).min();
                }
                Ok(next)
            })
            .await
    }
}

fn stored(connection: &Connection) -> Result<Vec<Scheduled>, ServiceError> {
    let mut statement = connection
        .prepare("SELECT name, expression, targets, made, through FROM schedule ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
            row.get::<_, i64>(4)?,
        ))
    })?;
    let mut scheduled = Vec::new();
    for row in rows {
        let (name, expression, targets, made, through) = row?;
        let schedule = Schedule::parse(&expression)
            .map_err(|message| ServiceError::internal(format!("rule {name}: {message}")))?;
        scheduled.push(Scheduled {
            schedule,
            targets: serde_json::from_str(&targets)?,
            name,
            made,
            through,
        });
    }
    Ok(scheduled)
}
