//! One set of SDK clients.

use aws_config::SdkConfig;

/// How a bucket is named in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `bucket.s3.region.amazonaws.com/key`: AWS.
    VirtualHost,
    /// `host/bucket/key`: the embedded cloud, emulators.
    Path,
}

/// The SDK clients that workers use.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Tables' streams, read by hand: workers are handed their records by Lambda.
    pub streams: aws_sdk_dynamodbstreams::Client,
    /// Objects.
    pub s3: aws_sdk_s3::Client,
    /// Queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Topics.
    pub sns: aws_sdk_sns::Client,
    /// What they were made from: for clients of services that only one crate uses.
    pub config: SdkConfig,
}

impl Clients {
    /// Clients on this configuration.
    pub fn new(config: &SdkConfig, addressing: Addressing) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(addressing == Addressing::Path)
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            streams: aws_sdk_dynamodbstreams::Client::new(config),
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            config: config.clone(),
        }
    }

    /// Clients with the usual AWS settings (environment, profile, role). With `AWS_ENDPOINT_URL` set, buckets
    /// are addressed by path, as emulators want it.
    pub async fn from_environment() -> Self {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        let elsewhere =
            config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        Self::new(
            &config,
            if elsewhere {
                Addressing::Path
            } else {
                Addressing::VirtualHost
            },
        )
    }

    /// Clients of an embedded cloud that another process serves at this address.
    pub async fn at_endpoint(url: &str, region: &'static str, credential: &str) -> Self {
        let credentials =
            aws_sdk_sqs::config::Credentials::new(credential, credential, None, None, "embedded");
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(region))
            .credentials_provider(credentials)
            .endpoint_url(url)
            .load()
            .await;
        Self::new(&config, Addressing::Path)
    }
}
