//! The one operation of STS that tools ask for: who am I.

use crate::names::{ACCOUNT, CREDENTIAL};

/// Whether a form is `GetCallerIdentity`.
pub(crate) fn is_asked(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'&')
        .any(|pair| pair == b"Action=GetCallerIdentity")
}

/// Everybody is the one user that there is.
pub(crate) fn answer() -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/{CREDENTIAL}</Arn><UserId>{CREDENTIAL}</UserId><Account>{ACCOUNT}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></GetCallerIdentityResponse>",
        uuid::Uuid::new_v4()
    )
}
