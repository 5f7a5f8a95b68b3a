//! `millrace explain-match`: why somebody was told of a job, or was not.

use millrace_jobs::explain::{Explanation, Verdict, explain};

use crate::{
    cli::ExplainMatch,
    output::{self, Ended, Error, line},
    platform::Platform,
};

pub(crate) async fn run(asked: ExplainMatch) -> Result<Ended, Error> {
    let platform = Platform::open_existing(&asked.place.data).await?;
    let explained = explain(platform.products().jobs(), &asked.job, &asked.user).await?;
    if asked.place.json {
        output::json(&explained);
    } else {
        line(explained.to_string().trim_end());
    }
    Ok(match explained.verdict {
        Verdict::UnknownJob | Verdict::UnknownPerson => Ended::SomeFailed,
        _ => Ended::Done,
    })
}

/// The components of a score in one line.
pub(crate) fn sum(explained: &Explanation) -> String {
    let Some(score) = &explained.components else {
        return "no score".to_owned();
    };
    format!(
        "{:6.2} = text {:.2} + district {:.0} + rate {:.2}   (similarity {:.3})",
        score.score,
        score.semantic_points,
        score.district_points,
        score.rate_points,
        score.similarity
    )
}

/// Why not, in one line: each filter that excludes them with what it compared, else the sentence.
pub(crate) fn why_not(explained: &Explanation) -> String {
    let failed = explained.filters.iter().filter(|check| !check.passed);
    let failed: Vec<String> = failed
        .map(|check| format!("{} ({})", check.filter, check.says))
        .collect();
    if failed.is_empty() {
        explained.because.clone()
    } else {
        failed.join(", ")
    }
}
