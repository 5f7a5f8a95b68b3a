//! Where records go that cannot be handled now, by a function's settings.

use std::sync::Arc;

use millrace_cloud::{Clients, SettingError, Settings};

use crate::{Parking, SqsParking, SqsVisibility, Visibility};

/// Where failed records go.
#[derive(Clone)]
pub struct Ways {
    /// The dead-letter queue.
    pub parking: Arc<dyn Parking>,
    /// How a message is hidden until its retry.
    pub visibility: Arc<dyn Visibility>,
}

impl Ways {
    /// The queue that the function's settings name.
    ///
    /// # Errors
    /// When they name none.
    pub fn from_settings(settings: &Settings, clients: &Clients) -> Result<Self, SettingError> {
        let queue = settings.required("MILLRACE_DEAD_LETTER_QUEUE_URL")?;
        Ok(Self {
            parking: Arc::new(SqsParking::new(clients.sqs.clone(), queue)),
            visibility: Arc::new(SqsVisibility::beside(clients.sqs.clone(), queue)),
        })
    }
}
