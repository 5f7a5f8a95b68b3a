//! One record's turn: handle it; if that cannot be, give it up and park it.

use std::{sync::Arc, time::Duration};

use millrace_events::{
    Failure, Message, Outcome, ParkedReason, ParkedRecord, Payload, Record, Source, mutation,
    reason,
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    Cx, Delivery, DeliverySettings, Parking,
    handler::{Isolated, isolate},
    report::{Identity, Verdict},
    together::{Early, Handled},
};

/// The moments of one invocation that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// No record is started or goes on after this.
    pub(crate) stop_at: Instant,
    /// Giving up ends here at the latest,
    pub(crate) give_up_by: Instant,
    /// parking and visibility here,
    pub(crate) settle_by: Instant,
}

impl Times {
    pub(crate) fn new(settings: &DeliverySettings, now: Instant, deadline: Instant) -> Self {
        let total = deadline.saturating_duration_since(now);
        let margin = settings.margin(total);
        let before_deadline = |part: Duration| now + total.saturating_sub(part);
        Self {
            stop_at: before_deadline(margin),
            give_up_by: before_deadline(margin / 2),
            // What is left then is for the response.
            settle_by: before_deadline(margin / 5),
        }
    }
}

/// One message's turn within an invocation.
pub(crate) struct Attempt<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) source: Source,
    pub(crate) message: &'a Message,
    /// Its place in the batch.
    pub(crate) position: usize,
    pub(crate) times: Times,
    pub(crate) invocation_trace: Option<&'a str>,
    /// What was found out of records among others.
    pub(crate) early: &'a Early,
}

impl Attempt<'_> {
    /// The trace that a record belongs to: what its envelope says, else the invocation's, else one of its
    /// own that is the same at every delivery.
    pub(crate) fn trace_id(&self, record_id: &str) -> String {
        let said = self.message.trace_id.as_deref().or(self.invocation_trace);
        said.map_or_else(
            || uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, record_id.as_bytes()).to_string(),
            str::to_owned,
        )
    }

    /// What the handler may know of a record that it handles until `limit`.
    pub(crate) fn cx(&self, record: Arc<Record>, limit: Instant) -> Cx {
        Cx {
            attempt: self.message.attempt,
            deadline: limit,
            trace_id: self.trace_id(&record.id),
            now: self.delivery.clock.now(),
            record,
        }
    }

    /// Handles the record at this place of the message, whatever its handler does; also says when that began.
    pub(crate) async fn record(&self, place: usize, record: Arc<Record>) -> (Instant, Verdict) {
        let early = self.early.take(self.position, place);
        let now = early
            .as_ref()
            .map_or_else(Instant::now, |early| early.started);
        (now, self.verdict(record, early).await)
    }

    async fn verdict(&self, record: Arc<Record>, early: Option<Handled>) -> Verdict {
        if matches!(record.payload, Payload::Test) {
            return Verdict::Done(Outcome::Ignored("a test event"));
        }
        let now = Instant::now();
        if now >= self.times.stop_at && early.is_none() {
            return Verdict::Retry(Failure::transient(
                reason::NO_TIME_LEFT,
                "too little of the invocation's time was left to start the record",
            ));
        }
        let own_limit = now.checked_add(self.delivery.settings.record_time_limit);
        let limit = own_limit.map_or(self.times.stop_at, |own| own.min(self.times.stop_at));
        let cx = self.cx(record, limit);
        let result = match early {
            Some(early) => early.result,
            None => self.handle(&cx).await,
        };
        let failure = match result {
            Ok(outcome) => return Verdict::Done(outcome),
            Err(failure) => failure,
        };
        match self.finality(failure) {
            Ok(permanent) => self.give_up_and_park(cx, permanent).await,
            Err(_) if mutation::on(mutation::TRANSIENT_DROPPED) => {
                Verdict::Done(Outcome::Ignored("a mutation"))
            }
            Err(transient) => self.set_aside(&cx, transient).await,
        }
    }

    /// A record of a stream that may wait elsewhere does, so that the stream goes on. It is moved first and counts as handled then:
    /// a process that ends in between leaves it in both places, and it is handled twice.
    async fn set_aside(&self, cx: &Cx, transient: Failure) -> Verdict {
        let is_asked = self.delivery.handler.steps_aside(&transient);
        let Some(queue) = self.delivery.aside.as_ref().filter(|_| is_asked) else {
            return Verdict::Retry(transient);
        };
        if !matches!(self.source, Source::Stream) {
            return Verdict::Retry(transient);
        }
        let identity = Identity::from(&*cx.record);
        match self.send(&**queue, &identity, &transient).await {
            Ok(()) => Verdict::SetAside(transient),
            Err(refused) => {
                tracing::warn!(
                    worker = self.delivery.handler.name(),
                    record = identity.id,
                    problem = refused.message(),
                    "the record could not be set aside: it holds its stream back"
                );
                Verdict::Retry(transient)
            }
        }
    }

    /// Parks what could not even be decoded; `position` tells apart several of one message.
    pub(crate) async fn undecodable(&self, identity: &Identity, failure: Failure) -> Verdict {
        let failure = Arc::new(failure);
        match self.park(identity, &failure).await {
            Ok(()) => Verdict::Parked(failure),
            Err(refused) => Verdict::Retry(refused),
        }
    }

    /// By what something that could not be decoded is known: its content, not its transport.
    pub(crate) fn undecodable_identity(&self, position: usize) -> Identity {
        let id = self.message.undecodable_id(position);
        Identity {
            subject: id.clone(),
            id,
            occurred_at: None,
        }
    }

    /// What the worker itself logs carries the record's identity and trace.
    fn span(&self, step: &'static str, cx: &Cx) -> tracing::Span {
        tracing::info_span!(
            "worker",
            step,
            worker = self.delivery.handler.name(),
            record = cx.record.id,
            attempt = cx.attempt,
            trace = cx.trace_id,
        )
    }

    async fn handle(&self, cx: &Cx) -> Result<Outcome, Failure> {
        let handler = Arc::clone(&self.delivery.handler);
        let own_cx = cx.clone();
        let work = async move { handler.handle(&own_cx).await };
        match isolate(cx.deadline, work.instrument(self.span("handle", cx))).await {
            Isolated::Finished(result) => result,
            Isolated::Panicked(place) => Err(Failure::permanent(
                reason::HANDLER_PANICKED,
                match place {
                    Some(place) => format!("the handler panicked at {place}"),
                    None => "the handler panicked".to_owned(),
                },
            )),
            Isolated::TimedOut => Err(Failure::transient(
                reason::HANDLER_TIMED_OUT,
                "the handler did not finish in time",
            )),
        }
    }

    /// Whether a failure is final: it is permanent, or the attempts are used up (`Ok`); else it comes back
    /// as it was.
    fn finality(&self, failure: Failure) -> Result<Failure, Failure> {
        if !failure.is_transient() {
            return Ok(failure);
        }
        let attempts = self.message.attempt;
        let counts = matches!(self.source, Source::Sqs { .. });
        let settings = &self.delivery.settings;
        let most = match self.delivery.handler.steps_aside(&failure) {
            true => settings.max_waits.max(settings.max_attempts),
            false => settings.max_attempts,
        };
        if !counts || attempts < most.get() {
            return Err(failure);
        }
        // The cause's own text ends in its code, so that both survive to the dead letter.
        Ok(Failure::permanent(
            reason::RETRIES_EXHAUSTED,
            format!("the last of {attempts} attempts failed too"),
        )
        .caused_by(failure))
    }

    async fn give_up_and_park(&self, cx: Cx, failure: Failure) -> Verdict {
        let failure = Arc::new(failure);
        let identity = Identity::from(&*cx.record);
        if let Err(transient) = self.give_up(cx, Arc::clone(&failure)).await {
            return Verdict::Retry(transient);
        }
        match self.park(&identity, &failure).await {
            Ok(()) => Verdict::Parked(failure),
            Err(refused) => Verdict::Retry(refused),
        }
    }

    /// Lets the subject say that it failed. Only a transient failure of that keeps the record from being
    /// parked: anything else would go wrong again, and the dead letter must not be lost over it.
    async fn give_up(&self, mut cx: Cx, failure: Arc<Failure>) -> Result<(), Failure> {
        let handler = Arc::clone(&self.delivery.handler);
        cx.deadline = self.times.give_up_by;
        let record_id = cx.record.id.clone();
        let span = self.span("give_up", &cx);
        let work = async move { handler.give_up(&failure, &cx).await };
        let went_wrong = match isolate(self.times.give_up_by, work.instrument(span)).await {
            Isolated::Finished(Ok(())) => return Ok(()),
            Isolated::Finished(Err(own)) if own.is_transient() => return Err(own),
            Isolated::Finished(Err(own)) => own.to_string(),
            Isolated::Panicked(place) => format!("panicked at {}", place.unwrap_or_default()),
            Isolated::TimedOut => "did not finish in time".to_owned(),
        };
        tracing::error!(
            worker = self.delivery.handler.name(),
            record = record_id,
            went_wrong,
            "giving the record up went wrong; it is parked all the same"
        );
        Ok(())
    }

    async fn park(&self, identity: &Identity, failure: &Failure) -> Result<(), Failure> {
        self.send(&*self.delivery.parking, identity, failure).await
    }

    /// Moves the record, whole, to where it is kept until somebody or something delivers it again.
    async fn send(
        &self,
        to: &dyn Parking,
        identity: &Identity,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let mut parked = ParkedRecord::new(
            self.delivery.handler.name(),
            self.message,
            &identity.id,
            &identity.subject,
            ParkedReason::from(failure),
            self.delivery.clock.now(),
        );
        parked.trace_id = Some(self.trace_id(&identity.id));
        if mutation::on(mutation::PARKED_EMPTY) {
            parked.event = serde_json::json!({});
        }
        let parking = to.park(parked);
        match tokio::time::timeout_at(self.times.settle_by, parking).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refused)) if refused.is_transient() => Err(refused),
            // Whatever parking says, a record that is not parked must come back.
            Ok(Err(refused)) => Err(Failure::transient(
                refused.reason(),
                "the record could not be parked",
            )
            .caused_by(refused)),
            Err(_) => Err(Failure::transient(
                reason::SERVICE_UNAVAILABLE,
                "the record could not be parked in time",
            )),
        }
    }
}
