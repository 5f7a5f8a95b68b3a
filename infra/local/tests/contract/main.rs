//! One suite for the embedded cloud and for the real parts, which must agree. On the embedded cloud it runs every day; on a
//! real part where a variable says where one is: `tests/real/up` starts them, `tests/real/run` sets the variables.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod dynamo;
mod mappings;
mod random;
mod services;
mod wire;
