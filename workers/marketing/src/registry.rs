//! The workers of this product by name, and how each is set up from its settings.

use std::sync::Arc;

use millrace_cloud::{Clients, Settings, SystemClock};
use millrace_delivery::{Delivery, DeliverySettings, EmfSink, Registry, Ways, Worker};

use crate::{
    aggregate_analytics::AggregateAnalytics,
    classify_creator::ClassifyCreator,
    context::{Marketing, Place},
    match_creators::MatchCreators,
    profile_store::ProfileStore,
    publish_report::PublishReport,
    track_match::TrackMatch,
    update_campaign::UpdateCampaign,
};

/// Every worker of this product.
pub const WORKERS: [&str; 7] = [
    ClassifyCreator::NAME,
    ProfileStore::NAME,
    MatchCreators::NAME,
    TrackMatch::NAME,
    AggregateAnalytics::NAME,
    UpdateCampaign::NAME,
    PublishReport::NAME,
];

/// Words in events that tell nothing of anybody: the recorder leaves them as they are.
pub const PUBLIC_WORDS: &[&str] = &[
    // Parts of keys.
    "STORE",
    "PROFILE",
    "CREATOR",
    "PLATFORM",
    "MATCH",
    "CAMPAIGN",
    "CATEGORY",
    "LOCATION",
    "PRICE",
    "INFLUENCE",
    "INFLUENCE_TIER",
    "ENGAGEMENT",
    "SCORE",
    "STATUS",
    "DATE",
    // States, as the platform has them.
    "active",
    "inactive",
    "PENDING",
    "CONTACTED",
    "RESPONDED",
    "NEGOTIATING",
    "ACCEPTED",
    "REJECTED",
    "COMPLETED",
    // Classes.
    "youtube",
    "instagram",
    "tiktok",
    "nano",
    "micro",
    "mid",
    "macro",
    "mega",
    "low",
    "medium",
    "high",
    "premium",
    "expired",
    "deleted",
    "unknown",
];

/// The loop around the worker of that name; `None` when there is none.
pub fn delivery(
    name: &str,
    marketing: Marketing,
    ways: Ways,
    settings: DeliverySettings,
) -> Option<Delivery> {
    let clock = marketing.clock.clone();
    let Ways {
        parking,
        visibility,
    } = ways;
    Some(match name {
        ClassifyCreator::NAME => Delivery::new(
            ClassifyCreator(marketing),
            settings,
            parking,
            visibility,
            clock,
        ),
        ProfileStore::NAME => Delivery::new(
            ProfileStore(marketing),
            settings,
            parking,
            visibility,
            clock,
        ),
        MatchCreators::NAME => Delivery::new(
            MatchCreators(marketing),
            settings,
            parking,
            visibility,
            clock,
        ),
        TrackMatch::NAME => {
            Delivery::new(TrackMatch(marketing), settings, parking, visibility, clock)
        }
        AggregateAnalytics::NAME => Delivery::new(
            AggregateAnalytics::new(marketing),
            settings,
            parking,
            visibility,
            clock,
        ),
        UpdateCampaign::NAME => Delivery::new(
            UpdateCampaign(marketing),
            settings,
            parking,
            visibility,
            clock,
        ),
        PublishReport::NAME => Delivery::new(
            PublishReport(marketing),
            settings,
            parking,
            visibility,
            clock,
        ),
        _ => return None,
    })
}

/// The workers as Lambda functions: `_HANDLER` picks, and only what is picked is set up.
pub fn lambda() -> Registry {
    WORKERS.iter().fold(Registry::new(), |registry, name| {
        registry.with(name, move || async move {
            let settings = Settings::from_environment();
            let clients = Clients::from_environment().await;
            let place = Place {
                clients: clients.clone(),
                clock: Arc::new(SystemClock),
            };
            let ways = Ways::from_settings(&settings, &clients)?;
            let marketing = Marketing::new(&settings, place)?;
            let delivery = delivery(name, marketing, ways, DeliverySettings::default());
            let delivery =
                delivery.ok_or_else(|| format!("the worker {name} is listed but not made"))?;
            let delivery = delivery.aside(&settings, &clients);
            let delivery = delivery.recorded(&settings, &clients, PUBLIC_WORDS)?;
            Ok(delivery.with_metrics(Arc::new(EmfSink::stdout())))
        })
    })
}
