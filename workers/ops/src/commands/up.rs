//! `millrace up`: the whole platform until Ctrl-C.

use crate::{
    cli::Up,
    output::{Ended, Error, json, line},
    platform::Platform,
};

pub(crate) async fn run(asked: Up) -> Result<Ended, Error> {
    if !asked.listen.ip().is_loopback() && !asked.listen_beyond_loopback {
        return Err(Error::usage(format!(
            "{} can be reached by other machines; add --listen-beyond-loopback if that is meant",
            asked.listen
        )));
    }
    let mut platform = Platform::open_owned(&asked.place.data).await?;
    let as_json = asked.place.json;
    platform.on_outcome(move |said| {
        if as_json {
            json(said);
        } else {
            line(&said.to_string());
        }
    });
    let address = platform
        .serve(asked.listen, asked.listen_beyond_loopback)
        .await?;
    platform.start();
    eprintln!("data      {}", asked.place.data.display());
    eprintln!(
        "endpoint  http://{address}  (region us-east-1, access key embedded, secret key embedded)"
    );
    for queue in platform.queues() {
        eprintln!("queue     {queue}");
    }
    eprintln!("bucket    {}", platform.names().documents.bucket);
    eprintln!("running; Ctrl-C stops");
    stop_signal().await;
    eprintln!("stopping: no new deliveries, waiting for those under way");
    platform.stop().await;
    eprintln!("stopped");
    Ok(Ended::Done)
}

/// Ctrl-C, or SIGTERM where there is such a thing.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    else {
        let _ = interrupt.await;
        return;
    };
    tokio::select! {
        _ = interrupt => {}
        _ = terminate.recv() => {}
    }
}
