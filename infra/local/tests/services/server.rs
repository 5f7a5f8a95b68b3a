//! The services on a port.

use std::net::SocketAddr;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::primitives::ByteStream;
use millrace_local::{Exposure, ServeError, Server, Services, serve};
use tokio::sync::oneshot;

use crate::cloud;

/// A server on a free port, and what stops it.
async fn server(services: &Services) -> (Server, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = serve(services, address, Exposure::LoopbackOnly, async {
        stopped.await.ok();
    });
    (server.await.unwrap(), stop)
}

/// A configuration with the SDK's own HTTP client.
fn over_the_wire(server: &Server, key: &str, secret: &str) -> SdkConfig {
    let credentials = Credentials::from_keys(key, secret, None);
    SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(server.endpoint())
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .build()
}

#[tokio::test]
async fn every_service_is_there_over_the_wire() {
    let (services, _config) = cloud();
    let (server, stop) = server(&services).await;
    let config = over_the_wire(&server, "embedded", "embedded");
    let s3 = aws_sdk_s3::Client::new(&config);
    s3.create_bucket().bucket("documents").send().await.unwrap();
    let put = s3.put_object().bucket("documents").key("a/ü b+c");
    put.body(ByteStream::from_static(b"hello"))
        .send()
        .await
        .unwrap();
    let got = s3
        .get_object()
        .bucket("documents")
        .key("a/ü b+c")
        .send()
        .await
        .unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");

    let sqs = aws_sdk_sqs::Client::new(&config);
    let url = sqs
        .create_queue()
        .queue_name("q")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    sqs.send_message()
        .queue_url(&url)
        .message_body("x")
        .send()
        .await
        .unwrap();
    let received = sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), Some("x"));

    let sns = aws_sdk_sns::Client::new(&config);
    sns.create_topic().name("news").send().await.unwrap();
    let dynamo = aws_sdk_dynamodb::Client::new(&config);
    assert!(
        dynamo
            .list_tables()
            .send()
            .await
            .unwrap()
            .table_names()
            .is_empty()
    );
    let streams = aws_sdk_dynamodbstreams::Client::new(&config);
    assert!(
        streams
            .list_streams()
            .send()
            .await
            .unwrap()
            .streams()
            .is_empty()
    );

    stop.send(()).unwrap();
    let address = server.address();
    server.stopped().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn other_keys_are_refused_everywhere() {
    let (services, _config) = cloud();
    let (server, _stop) = server(&services).await;
    for (key, secret) in [("someone", "embedded"), ("someone", "else")] {
        let config = over_the_wire(&server, key, secret);
        assert!(
            aws_sdk_s3::Client::new(&config)
                .list_buckets()
                .send()
                .await
                .is_err()
        );
        assert!(
            aws_sdk_sqs::Client::new(&config)
                .list_queues()
                .send()
                .await
                .is_err()
        );
        assert!(
            aws_sdk_sns::Client::new(&config)
                .list_topics()
                .send()
                .await
                .is_err()
        );
        assert!(
            aws_sdk_dynamodb::Client::new(&config)
                .list_tables()
                .send()
                .await
                .is_err()
        );
    }
    let config = over_the_wire(&server, "embedded", "wrong");
    assert!(
        aws_sdk_s3::Client::new(&config)
            .list_buckets()
            .send()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_address_for_everybody_must_be_asked_for() {
    let (services, _config) = cloud();
    let address = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = serve(
        &services,
        address,
        Exposure::LoopbackOnly,
        std::future::pending(),
    )
    .await;
    assert!(matches!(refused, Err(ServeError::NotLoopback { .. })));
    let allowed = serve(&services, address, Exposure::AnyAddress, async {})
        .await
        .unwrap();
    allowed.stopped().await;
}
