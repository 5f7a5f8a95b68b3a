//! The report of a campaign.

use serde_json::{Map, Value, json};

use super::Files;
use super::chart::{self, Bar, Part};
use super::csv::{Cell, Csv};
use super::figures::{Counts, STATES, STEPS, conversion, success_rate};
use super::page::{self, Key, Page, Table};
use super::words::{STATE_WORDS, number, percent};

/// How many creators the page shows; JSON and CSV have all.
const SHOWN: usize = 200;

/// A campaign: what it has to spend, whom it works with, and how far they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: String,
    /// Its kind, as the platform says it.
    pub kind: Option<String>,
    /// Its state, as the platform says it.
    pub status: Option<String>,
    /// The store that it is for.
    pub store: String,
    /// What people call the store, where that is known.
    pub store_name: Option<String>,
    /// Its first and last day, where the platform says so.
    pub timeline: [Option<String>; 2],
    /// Its money.
    pub budget: Budget,
    /// How many matches are in each state.
    pub in_it: Counts,
    /// How many ever entered each state.
    pub entered: Counts,
    /// Whom it works with.
    pub creators: Vec<Creator>,
}

/// What a campaign has to spend, in the smallest units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Budget {
    /// In all, where the platform says so.
    pub total: Option<i64>,
    /// For matches that are completed.
    pub spent: i64,
    /// For matches that are accepted and not completed.
    pub committed: i64,
    /// Such as `KRW`.
    pub currency: Option<String>,
}

impl Budget {
    /// What is neither spent nor committed; below zero when too much was promised.
    pub fn remaining(&self) -> Option<i64> {
        Some(
            self.total?
                .saturating_sub(self.spent)
                .saturating_sub(self.committed),
        )
    }

    fn money(&self, amount: i64) -> String {
        match self.currency.as_deref() {
            Some("KRW") => format!("₩{}", number(amount)),
            Some(currency) => format!("{} {currency}", number(amount)),
            None => number(amount),
        }
    }
}

/// A creator's match with the campaign's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// The match.
    pub match_id: String,
    /// The creator.
    pub creator_id: String,
    /// What people call the creator, where that is known.
    pub name: Option<String>,
    /// The state of the match, as a position in [`STATES`].
    pub state: usize,
    /// Since when, `2026-11-21T09:30:00Z`.
    pub since: String,
    /// How well they suit each other, from 0 to 100: digits.
    pub score: String,
    /// What was agreed on, in the smallest units of the currency.
    pub agreed_cost: Option<i64>,
    /// Whether the match's time was up.
    pub expired: bool,
}

impl Creator {
    fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.creator_id)
    }

    fn state_name(&self) -> &'static str {
        STATES.get(self.state).copied().unwrap_or_default()
    }
}

impl Campaign {
    /// The report's files: the same figures are the same bytes, in whatever order the creators come.
    pub fn files(&self) -> Files {
        let mut sorted = self.clone();
        sorted.creators.sort_by(|one, other| {
            // The furthest first, whoever is out last; among equals the newest.
            let rank = |creator: &Creator| [4, 3, 2, 1, 0, 6, 5].get(creator.state).copied();
            let by_state = rank(one).cmp(&rank(other));
            by_state
                .then_with(|| other.since.cmp(&one.since))
                .then_with(|| one.match_id.cmp(&other.match_id))
        });
        Files {
            json: super::pretty(&sorted.to_json()),
            csv: sorted.to_csv(),
            html: sorted.to_html(),
        }
    }

    fn to_json(&self) -> Value {
        let steps: Map<String, Value> = STEPS
            .iter()
            .map(|(from, to)| {
                let name = format!("{}→{}", STATES[*from], STATES[*to]);
                (
                    name,
                    super::ratio_json(conversion(&self.entered, (*from, *to))),
                )
            })
            .collect();
        let creators: Vec<Value> = self
            .creators
            .iter()
            .map(|creator| {
                json!({
                    "matchId": creator.match_id,
                    "creatorId": creator.creator_id,
                    "name": creator.name,
                    "status": creator.state_name(),
                    "since": creator.since,
                    "score": creator.score,
                    "agreedCost": creator.agreed_cost,
                    "expired": creator.expired,
                })
            })
            .collect();
        json!({
            "report": "campaign/1",
            "campaignId": self.id,
            "campaignType": self.kind,
            "status": self.status,
            "storeId": self.store,
            "storeName": self.store_name,
            "startDate": self.timeline[0],
            "endDate": self.timeline[1],
            "budget": {
                "total": self.budget.total,
                "spent": self.budget.spent,
                "committed": self.budget.committed,
                "remaining": self.budget.remaining(),
                "currency": self.budget.currency,
            },
            "inIt": super::counts_json(&self.in_it),
            "entered": super::counts_json(&self.entered),
            "conversion": steps,
            "successRate": super::ratio_json(success_rate(&self.entered)),
            "creators": creators,
        })
    }

    fn to_csv(&self) -> String {
        let mut csv = Csv::new();
        let heads = [
            "campaignId",
            "storeId",
            "matchId",
            "creatorId",
            "name",
            "status",
            "since",
            "score",
            "agreedCost",
            "currency",
            "expired",
        ];
        csv.row(heads.map(Cell::Text));
        let amount = |number: Option<i64>| number.map_or(Cell::Empty, Cell::Number);
        for creator in &self.creators {
            csv.row([
                Cell::Text(&self.id),
                Cell::Text(&self.store),
                Cell::Text(&creator.match_id),
                Cell::Text(&creator.creator_id),
                Cell::Text(creator.name.as_deref().unwrap_or_default()),
                Cell::Text(creator.state_name()),
                Cell::Text(&creator.since),
                Cell::Text(&creator.score),
                amount(creator.agreed_cost),
                Cell::Text(self.budget.currency.as_deref().unwrap_or_default()),
                Cell::Text(if creator.expired { "yes" } else { "no" }),
            ]);
        }
        csv.finish()
    }

    fn to_html(&self) -> String {
        let store = self.store_name.as_deref().unwrap_or(&self.store);
        let heading = format!("{store} 캠페인");
        let mut about: Vec<&str> = vec![&self.id];
        about.extend(self.kind.as_deref());
        about.extend(self.status.as_deref());
        let timeline = match &self.timeline {
            [None, None] => String::new(),
            [start, end] => format!(
                "{} – {}",
                start.as_deref().unwrap_or_default(),
                end.as_deref().unwrap_or_default()
            ),
        };
        about.extend(Some(timeline.as_str()).filter(|text| !text.is_empty()));
        let mut page = Page::new(&heading, (&heading, "Campaign report"), &about.join(" · "));
        self.keys(&mut page);
        self.money(&mut page);
        self.standing(&mut page);
        self.people(&mut page);
        page.finish("Millrace · 같은 수치는 항상 같은 파일이 됩니다 · the same figures are always the same file")
    }

    fn keys(&self, page: &mut Page) {
        let rate = success_rate(&self.entered);
        let remaining = self.budget.remaining();
        page.keys(&[
            Key {
                words: ("크리에이터", "creators"),
                value: number(self.in_it.iter().sum()),
                note: format!("진행 중 {} under way", number(self.in_it[..4].iter().sum())),
            },
            Key {
                words: ("수락", "accepted"),
                value: number(self.entered[4]),
                note: format!("완료 {} completed", number(self.entered[6])),
            },
            Key {
                words: ("성공률", "success rate"),
                value: percent(rate),
                note: format!("결정 {} decided", number(rate.whole)),
            },
            Key {
                words: ("남은 예산", "remaining"),
                value: remaining.map_or_else(|| "–".to_owned(), |left| self.budget.money(left)),
                note: match self.budget.total {
                    Some(total) => format!("전체 {} in all", self.budget.money(total)),
                    None => "예산이 없음 · no budget is given".to_owned(),
                },
            },
        ]);
    }

    fn money(&self, page: &mut Page) {
        let remaining = self.budget.remaining();
        let parts = [
            ("s6", "집행", "spent", Some(self.budget.spent)),
            ("s4", "약정", "committed", Some(self.budget.committed)),
            ("s0", "잔여", "remaining", remaining),
        ];
        let bar: Vec<Part> = parts
            .iter()
            .map(|(class, korean, _, amount)| Part {
                class: (*class).to_owned(),
                name: (*korean).to_owned(),
                value: amount.unwrap_or_default(),
            })
            .collect();
        let legend: Vec<(&str, &str)> = parts
            .iter()
            .map(|(class, korean, ..)| (*class, *korean))
            .collect();
        let rows = parts.iter().map(|(_, korean, english, amount)| {
            let amount = amount.map_or_else(|| "–".to_owned(), |amount| self.budget.money(amount));
            (
                format!("{korean}{}", page::in_english(english)),
                vec![amount],
            )
        });
        let table = Table {
            caption: "예산, 통화의 최소 단위",
            heads: &["구분|part", "금액|amount"],
            rows: rows.collect(),
            texts: 0,
        };
        let chart = format!(
            "{}{}",
            chart::legend(&legend),
            chart::whole("budget", "예산 중 집행, 약정, 잔여", &bar)
        );
        let note = match remaining {
            Some(left) if left < 0 => {
                "약속한 금액이 예산보다 많습니다 · more was promised than there is"
            }
            _ => "",
        };
        page.section(("예산", "Budget"), &chart, &table, note);
    }

    fn standing(&self, page: &mut Page) {
        let bars: Vec<Bar> = (0..STATES.len())
            .map(|state| Bar {
                label: STATE_WORDS[state].to_owned(),
                parts: vec![Part {
                    class: format!("s{state}"),
                    name: STATE_WORDS[state].to_owned(),
                    value: self.in_it[state],
                }],
                text: number(self.in_it[state]),
            })
            .collect();
        let rows = (0..STATES.len()).map(|state| {
            let step = STEPS.iter().find(|(_, to)| *to == state);
            let from_before = step.map_or_else(
                || "–".to_owned(),
                |step| percent(conversion(&self.entered, *step)),
            );
            let cells = vec![
                number(self.in_it[state]),
                number(self.entered[state]),
                from_before,
            ];
            (page::state(state), cells)
        });
        let table = Table {
            caption: "단계별 매칭 수",
            heads: &[
                "단계|step",
                "현재|in it",
                "누적|entered",
                "전환율|conversion",
            ],
            rows: rows.collect(),
            texts: 0,
        };
        let chart = chart::bars("standing", "단계별 매칭 수", &bars);
        page.section(("단계별 현황", "Where matches stand"), &chart, &table, "");
    }

    fn people(&self, page: &mut Page) {
        let shown = &self.creators[..self.creators.len().min(SHOWN)];
        let rows = shown.iter().map(|creator| {
            let expired = if creator.expired {
                " · 만료 expired"
            } else {
                ""
            };
            let state = format!(
                "{} {}{expired}",
                STATE_WORDS.get(creator.state).unwrap_or(&"–"),
                creator.state_name()
            );
            let cells = vec![
                state,
                creator.since.replace('T', " ").replace('Z', " UTC"),
                creator.score.clone(),
                creator
                    .agreed_cost
                    .map_or_else(|| "–".to_owned(), |cost| self.budget.money(cost)),
            ];
            (page::name(creator.called()), cells)
        });
        let table = Table {
            caption: "함께하는 크리에이터",
            heads: &[
                "크리에이터|creator",
                "단계|step",
                "언제부터|since",
                "점수|score",
                "합의 금액|agreed cost",
            ],
            rows: rows.collect(),
            texts: 2,
        };
        let note = match self.creators.len() - shown.len() {
            0 => String::new(),
            rest => format!(
                "그 밖에 {rest}명은 JSON과 CSV에 있습니다 · {rest} more are in the JSON and the CSV"
            ),
        };
        page.section(("크리에이터", "Creators"), "", &table, &note);
    }
}
