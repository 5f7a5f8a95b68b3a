//! Serves the embedded services, in memory or below a directory, until Ctrl-C:
//! `cargo run -p millrace-local --example serve -- 127.0.0.1:4566 [DIRECTORY]`.

use std::net::SocketAddr;
use std::sync::Arc;

use millrace_local::clock::SystemClock;
use millrace_local::{Exposure, Services, Storage, serve};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().ok_or("which address?")?.parse()?;
    let storage = match arguments.next() {
        Some(directory) => Storage::Directory(directory.into()),
        None => Storage::Memory,
    };
    let services = Services::open(&storage, Arc::new(SystemClock))?;
    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("cannot wait for Ctrl-C: {error}");
        }
    };
    let server = serve(&services, address, Exposure::LoopbackOnly, stop).await?;
    println!("{}", server.endpoint());
    server.stopped().await;
    Ok(())
}
