#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use super::{
    Files,
    campaign::{Budget, Campaign, Creator},
    daily::{ALL, Counted, Daily},
    figures::{STATES, Totals},
};
use crate::workflow::Status;

/// What somebody might call a store to make trouble.
const HOSTILE: &str = "=HYPERLINK(\"http://x\") <script>alert('버들내')</script>";

fn counted(names: &[(&str, i64)]) -> Counted {
    let measures = |kinds: &[(&str, i64)], times: i64| -> BTreeMap<String, i64> {
        kinds
            .iter()
            .map(|(measure, value)| ((*measure).to_owned(), value * times))
            .collect()
    };
    let totals = |kinds: &[(&str, i64)]| -> Totals {
        names
            .iter()
            .map(|(name, times)| ((*name).to_owned(), measures(kinds, *times)))
            .collect()
    };
    Counted {
        on_day: totals(&[
            ("entered.PENDING", 3),
            ("left.PENDING", 1),
            ("entered.CONTACTED", 1),
            ("seconds.PENDING", 90),
        ]),
        ever: totals(&[
            ("entered.PENDING", 9),
            ("left.PENDING", 4),
            ("entered.CONTACTED", 4),
            ("seconds.PENDING", 400),
            ("entered.ACCEPTED", 2),
            ("entered.REJECTED", 1),
        ]),
        after: vec![totals(&[
            ("entered.PENDING", 2),
            ("left.PENDING", 1),
            ("entered.CONTACTED", 1),
        ])],
    }
}

fn daily() -> Daily {
    let by = [
        counted(&[("s-1", 2), ("s-2", 1)]),
        counted(&[("카페", 3)]),
        counted(&[("서울#강남구", 3)]),
        counted(&[("micro", 3)]),
        counted(&[("instagram", 3)]),
    ];
    let names = BTreeMap::from([("s-1".to_owned(), HOSTILE.to_owned())]);
    Daily::of("2026-11-21", &counted(&[(ALL, 3)]), &by, &names)
}

fn campaign() -> Campaign {
    let creator = |number: usize| Creator {
        match_id: format!("m-{number}"),
        creator_id: format!("c-{number}"),
        name: (number == 1).then(|| HOSTILE.to_owned()),
        state: number % STATES.len(),
        since: format!("2026-11-2{}T04:00:00Z", number % 2),
        score: "82.5".to_owned(),
        agreed_cost: (number > 3).then_some(300_000),
        expired: number == 2,
    };
    Campaign {
        id: "cmp-1".to_owned(),
        kind: Some("opening".to_owned()),
        status: Some("active".to_owned()),
        store: "s-1".to_owned(),
        store_name: Some("서촌 한옥 카페".to_owned()),
        timeline: [Some("2026-11-01".to_owned()), None],
        budget: Budget {
            total: Some(1_000_000),
            spent: 300_000,
            committed: 900_000,
            currency: Some("KRW".to_owned()),
        },
        in_it: [1, 1, 1, 1, 2, 1, 1],
        entered: [8, 7, 6, 5, 3, 1, 1],
        creators: (0..8).map(creator).collect(),
    }
}

/// A page that needs nothing and runs nothing.
#[track_caller]
fn stands_alone(files: &Files) {
    let page = &files.html;
    assert!(page.contains("default-src 'none'"));
    for forbidden in [
        "<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import", " on",
    ] {
        let found = page
            .match_indices(forbidden)
            .find(|(place, _)| forbidden != " on" || page[*place..].starts_with(" onclick="));
        assert_eq!(found, None, "{forbidden}");
    }
    assert!(page.contains("&lt;script&gt;alert(&#39;버들내&#39;)&lt;/script&gt;"));
    // Each chart has its table.
    let count = |text: &str| page.matches(text).count();
    assert!(count("role=\"img\"") > 0);
    assert!(count("<caption>") >= count("role=\"img\""));
    assert_eq!(count("<svg"), count("</svg>"));
    assert_eq!(count("<table"), count("</table>"));
}

#[test]
fn states_are_those_of_the_workflow() {
    assert_eq!(STATES, Status::ALL.map(Status::word));
    let steps = Status::ALL.iter().enumerate().flat_map(|(from, status)| {
        let next = status.next().iter();
        next.map(move |next| {
            (
                from,
                Status::ALL.iter().position(|one| one == next).unwrap(),
            )
        })
    });
    assert!(steps.eq(super::figures::STEPS));
}

#[test]
fn a_daily_report_says_its_figures_in_three_forms() {
    let files = daily().files();
    let json: serde_json::Value = serde_json::from_str(&files.json).unwrap();
    assert_eq!(json["day"], "2026-11-21");
    let all = &json["all"];
    assert_eq!(all["onTheDay"]["entered"]["PENDING"], 9);
    assert_eq!(all["onTheDay"]["meanSeconds"]["PENDING"], 90);
    assert_eq!(all["inItAtTheEnd"]["PENDING"], 12);
    assert_eq!(all["inItAtTheEnd"]["CONTACTED"], 9);
    assert_eq!(all["soFar"]["successRate"]["percent"], "66.67");
    assert_eq!(all["soFar"]["conversion"]["PENDING→CONTACTED"]["of"], 21);
    assert_eq!(json["by"]["store"][0]["key"], "s-1");
    assert_eq!(json["by"]["store"][0]["name"], HOSTILE);

    let lines: Vec<&str> = files.csv.split("\r\n").collect();
    assert!(lines[0].starts_with("\u{feff}day,dimension,key,name,entered.PENDING"));
    assert!(lines[1].starts_with("2026-11-21,all,,,9,3,"));
    assert!(lines[1].ends_with(",,66.67"));
    assert!(lines[2].starts_with("2026-11-21,store,s-1,\"'=HYPERLINK(\"\"http://x\"\")"));
    assert_eq!(lines.len(), 1 + 1 + 6 + 1);

    stands_alone(&files);
    assert!(files.html.contains("서울 강남구"));
    assert!(files.html.contains("66.7 %"));
}

#[test]
fn a_campaign_report_says_its_figures_in_three_forms() {
    let files = campaign().files();
    let json: serde_json::Value = serde_json::from_str(&files.json).unwrap();
    // More was promised than there is.
    assert_eq!(json["budget"]["remaining"], -200_000);
    assert_eq!(json["successRate"]["percent"], "75.00");
    assert_eq!(json["creators"][0]["status"], "ACCEPTED");
    assert_eq!(json["creators"].as_array().unwrap().len(), 8);
    assert_eq!(files.csv.matches("\r\n").count(), 1 + 8);
    stands_alone(&files);
    assert!(files.html.contains("₩−200,000"));
    assert!(files.html.contains("만료 expired"));
}

#[test]
fn the_same_figures_are_the_same_bytes_in_whatever_order_they_come() {
    assert_eq!(daily().files(), daily().files());
    let mut turned = campaign();
    turned.creators.reverse();
    assert_eq!(turned.files(), campaign().files());
}

#[test]
fn a_day_without_a_match_and_a_campaign_without_a_creator_have_a_report() {
    let nothing = std::array::from_fn(|_| Counted::default());
    let files = Daily::of(
        "2026-11-21",
        &Counted::default(),
        &nothing,
        &BTreeMap::new(),
    )
    .files();
    assert!(files.html.contains("성공률"));
    assert_eq!(files.csv.matches("\r\n").count(), 2);
    let empty = Campaign {
        budget: Budget::default(),
        in_it: [0; 7],
        entered: [0; 7],
        creators: Vec::new(),
        ..campaign()
    };
    let files = empty.files();
    assert!(files.html.contains("no budget is given"));
}
