//! A key that is kept in Secrets Manager, and fetched when it is needed.

use std::sync::Arc;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{Client, config::Builder};
use millrace_cloud::classify;
use millrace_events::{Failure, reason};
use tokio::sync::Mutex;

/// A secret: its whole text is the key.
///
/// It is asked for once, and once more after it was refused: keys are changed while functions run.
pub(crate) struct Secret {
    client: Client,
    id: String,
    known: Mutex<Option<Arc<str>>>,
}

impl Secret {
    /// The secret of this name or ARN.
    pub(crate) fn new(config: &SdkConfig, id: &str) -> Self {
        Self {
            client: Client::from_conf(Builder::from(config).build()),
            id: id.to_owned(),
            known: Mutex::new(None),
        }
    }

    /// The key. Whoever asks at the same time waits for one answer.
    pub(crate) async fn text(&self) -> Result<Arc<str>, Failure> {
        let mut known = self.known.lock().await;
        if let Some(text) = &*known {
            return Ok(text.clone());
        }
        let request = self.client.get_secret_value().secret_id(&self.id);
        let answer = request
            .send()
            .await
            .map_err(|error| classify("read the embedder's key from Secrets Manager", error))?;
        let text = answer.secret_string().unwrap_or_default().trim();
        if text.is_empty() {
            let message = format!("the secret {} holds no text", self.id);
            return Err(Failure::transient(reason::ACCESS_DENIED, message));
        }
        let text: Arc<str> = text.into();
        *known = Some(text.clone());
        Ok(text)
    }

    /// This key was refused: the next call asks for it again, unless somebody did so meanwhile.
    pub(crate) async fn refused(&self, text: &Arc<str>) {
        let mut known = self.known.lock().await;
        if known.as_ref().is_some_and(|known| Arc::ptr_eq(known, text)) {
            *known = None;
        }
    }
}
