//! The report of a day.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Files;
use super::chart::{self, Bar};
use super::csv::{Cell, Csv};
use super::figures::{Counts, Group, STATES, STEPS, Totals};
use super::page::{self, Key, Page, Table};
use super::words::{STATE_WORDS, dimension_words, duration, number, percent};

/// What matches are told apart by, in the order of the report.
pub const DIMENSIONS: [&str; 5] = ["store", "category", "location", "tier", "platform"];

/// The dimension of the whole.
pub const ALL: &str = "all";

/// How many rows of a dimension the page shows; JSON and CSV have all.
const SHOWN: usize = 20;

/// The states of a match that is under way.
const UNDER_WAY: std::ops::Range<usize> = 0..4;
const PENDING: usize = 0;
const ACCEPTED: usize = 4;
const REJECTED: usize = 5;

/// The totals of one dimension that a report of a day is made from.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Of the day.
    pub on_day: Totals,
    /// Of all days.
    pub ever: Totals,
    /// Of each day after it.
    pub after: Vec<Totals>,
}

/// How many matches are in each state, how many came and went, and how long it took: for one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daily {
    /// The day, `2026-11-21`, from midnight to midnight in UTC.
    pub day: String,
    /// All matches.
    pub all: Group,
    /// The same by each of [`DIMENSIONS`].
    pub by: [Vec<Share>; DIMENSIONS.len()],
}

/// The matches that have one value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The value: an id, a word.
    pub key: String,
    /// What people call it, where that is known.
    pub name: Option<String>,
    /// Its figures.
    pub group: Group,
}

impl Share {
    /// Keys of locations are `city#district`.
    fn called(&self) -> String {
        let called = self.name.as_deref().unwrap_or(&self.key);
        called.replace('#', " ")
    }
}

impl Counted {
    /// The figures by name, of those of which anything was counted through the day; most new matches first.
    fn shares(&self, names: &BTreeMap<String, String>) -> Vec<Share> {
        let known: BTreeSet<&String> = self.on_day.keys().chain(self.ever.keys()).collect();
        let mut shares: Vec<Share> = known
            .into_iter()
            .map(|key| Share {
                key: key.clone(),
                name: names.get(key).cloned(),
                group: self.group(key),
            })
            .filter(|share| !share.group.is_empty())
            .collect();
        let weight = |share: &Share| {
            let under_way: i64 = share.group.in_it()[UNDER_WAY].iter().sum();
            (share.group.entered[PENDING], under_way)
        };
        shares.sort_by(|one, other| {
            let by_weight = weight(other).cmp(&weight(one));
            by_weight.then_with(|| one.key.cmp(&other.key))
        });
        shares
    }

    fn group(&self, key: &str) -> Group {
        let after: Vec<_> = self.after.iter().filter_map(|day| day.get(key)).collect();
        Group::of(self.on_day.get(key), self.ever.get(key), &after)
    }
}

impl Daily {
    /// From what was counted: of the whole (whose name is [`ALL`]) and of each of [`DIMENSIONS`], and what stores are
    /// called.
    pub fn of(
        day: &str,
        all: &Counted,
        by: &[Counted; DIMENSIONS.len()],
        stores: &BTreeMap<String, String>,
    ) -> Self {
        let nobody = BTreeMap::new();
        Self {
            day: day.to_owned(),
            all: all.group(ALL),
            by: std::array::from_fn(|position| {
                let names = if DIMENSIONS[position] == "store" {
                    stores
                } else {
                    &nobody
                };
                by[position].shares(names)
            }),
        }
    }

    /// The report's files: the same figures are the same bytes.
    pub fn files(&self) -> Files {
        Files {
            json: super::pretty(&self.to_json()),
            csv: self.to_csv(),
            html: self.to_html(),
        }
    }

    fn to_json(&self) -> Value {
        let by: Map<String, Value> = DIMENSIONS
            .iter()
            .zip(&self.by)
            .map(|(dimension, shares)| {
                let shares = shares.iter().map(|share| {
                    let mut figures = Map::new();
                    figures.insert("key".to_owned(), share.key.clone().into());
                    if let Some(name) = &share.name {
                        figures.insert("name".to_owned(), name.clone().into());
                    }
                    figures.insert("figures".to_owned(), group_json(&share.group));
                    Value::Object(figures)
                });
                ((*dimension).to_owned(), shares.collect())
            })
            .collect();
        json!({
            "report": "daily/1",
            "day": self.day,
            "all": group_json(&self.all),
            "by": by,
        })
    }

    fn to_csv(&self) -> String {
        let mut csv = Csv::new();
        let kinds = [
            "entered",
            "left",
            "seconds",
            "in_it_at_end",
            "entered_so_far",
            "left_so_far",
            "seconds_so_far",
        ];
        let measures: Vec<String> = kinds
            .iter()
            .flat_map(|kind| STATES.map(|state| format!("{kind}.{state}")))
            .collect();
        let heads = ["day", "dimension", "key", "name"].into_iter();
        let rates = ["success_rate", "success_rate_so_far"];
        csv.row(
            heads
                .chain(measures.iter().map(String::as_str))
                .chain(rates)
                .map(Cell::Text),
        );
        self.csv_row(&mut csv, ALL, "", "", &self.all);
        for (dimension, shares) in DIMENSIONS.iter().zip(&self.by) {
            for share in shares {
                let name = share.name.as_deref().unwrap_or_default();
                self.csv_row(&mut csv, dimension, &share.key, name, &share.group);
            }
        }
        csv.finish()
    }

    fn csv_row(&self, csv: &mut Csv, dimension: &str, key: &str, name: &str, group: &Group) {
        let about = [self.day.as_str(), dimension, key, name].map(Cell::Text);
        let counts = [
            group.entered,
            group.left,
            group.seconds,
            group.in_it(),
            group.entered_so_far,
            group.left_so_far,
            group.seconds_so_far,
        ];
        let rates = [group.success_rate(), group.success_rate_so_far()];
        csv.row(
            about
                .into_iter()
                .chain(counts.into_iter().flatten().map(Cell::Number))
                .chain(rates.map(|rate| Cell::Percent(rate.hundredths_of_percent()))),
        );
    }

    fn to_html(&self) -> String {
        let title = format!("매칭 일일 리포트 {}", self.day);
        let about = format!(
            "{} 00:00–24:00 UTC · 이 날이 끝난 시점의 현황과 이 날의 움직임 · where matches stood when this day was over, and what moved on it",
            self.day
        );
        let mut page = Page::new(&title, (&title, "Daily match report"), &about);
        self.keys(&mut page);
        self.standing(&mut page);
        self.steps(&mut page);
        self.time(&mut page);
        for (dimension, shares) in DIMENSIONS.iter().zip(&self.by) {
            if !shares.is_empty() {
                by_dimension(&mut page, dimension, shares);
            }
        }
        page.finish("Millrace · 같은 수치는 항상 같은 파일이 됩니다 · the same figures are always the same file")
    }

    fn keys(&self, page: &mut Page) {
        let in_it = self.all.in_it();
        let decided = self.all.success_rate();
        let so_far = self.all.success_rate_so_far();
        page.keys(&[
            Key {
                words: ("새 매칭", "new"),
                value: number(self.all.entered[PENDING]),
                note: format!("누적 {} so far", number(self.all.entered_so_far[PENDING])),
            },
            Key {
                words: ("진행 중", "under way"),
                value: number(in_it[UNDER_WAY].iter().sum()),
                note: "대기부터 협의까지 · pending to negotiating".to_owned(),
            },
            Key {
                words: ("결정", "decided"),
                value: number(decided.whole),
                note: format!(
                    "수락 {} accepted · 거절 {} rejected",
                    number(decided.part),
                    number(decided.whole - decided.part)
                ),
            },
            Key {
                words: ("성공률", "success rate"),
                value: percent(so_far),
                note: format!("누적 so far · 이 날 {} on this day", percent(decided)),
            },
        ]);
    }

    fn standing(&self, page: &mut Page) {
        let in_it = self.all.in_it();
        let bars: Vec<Bar> = state_bars(&in_it, |position| number(in_it[position]));
        let rows = (0..STATES.len()).map(|position| {
            let cells = [self.all.entered, self.all.left, in_it];
            let cells = cells.map(|counts| number(counts[position]));
            (page::state(position), cells.to_vec())
        });
        let table = Table {
            caption: "단계별 매칭 수",
            heads: &[
                "단계|step",
                "이 날 진입|entered",
                "이 날 이탈|left",
                "현재|in it",
            ],
            rows: rows.collect(),
            texts: 0,
        };
        let chart = chart::bars("standing", "하루가 끝난 시점의 단계별 매칭 수", &bars);
        page.section(("단계별 현황", "Where matches stand"), &chart, &table, "");
    }

    fn steps(&self, page: &mut Page) {
        let entered = self.all.entered_so_far;
        let bars = state_bars(&entered, |position| {
            let step = STEPS.iter().find(|(_, to)| *to == position);
            let count = number(entered[position]);
            match step {
                Some(step) => format!("{count} · {}", percent(self.all.conversion(*step))),
                None => count,
            }
        });
        let rows = STEPS.iter().map(|(from, to)| {
            let head = format!(
                "{} → {}{}",
                STATE_WORDS[*from],
                STATE_WORDS[*to],
                page::in_english(&format!("{} → {}", STATES[*from], STATES[*to]))
            );
            let cells = vec![
                number(entered[*from]),
                number(entered[*to]),
                percent(self.all.conversion((*from, *to))),
            ];
            (head, cells)
        });
        let table = Table {
            caption: "누적 전환율",
            heads: &["전환|step", "이전|from", "이후|to", "전환율|conversion"],
            rows: rows.collect(),
            texts: 0,
        };
        let chart = chart::bars(
            "steps",
            "지금까지 각 단계에 들어온 매칭 수와 이전 단계에서의 전환율",
            &bars,
        );
        page.section(
            ("단계 전환", "From step to step, so far"),
            &chart,
            &table,
            "",
        );
    }

    fn time(&self, page: &mut Page) {
        let (today, so_far) = (self.all.mean_seconds(), self.all.mean_seconds_so_far());
        let bars: Vec<Bar> = (0..STATES.len())
            .filter(|position| so_far[*position].is_some())
            .map(|position| {
                let seconds = so_far[position];
                state_bar(position, seconds.unwrap_or_default(), duration(seconds))
            })
            .collect();
        if bars.is_empty() {
            return;
        }
        let rows = (0..STATES.len())
            .filter(|position| so_far[*position].is_some())
            .map(|position| {
                let cells = vec![
                    duration(today[position]),
                    number(self.all.left[position]),
                    duration(so_far[position]),
                    number(self.all.left_so_far[position]),
                ];
                (page::state(position), cells)
            });
        let table = Table {
            caption: "단계를 떠난 매칭이 그 단계에 머문 평균 시간",
            heads: &[
                "단계|step",
                "이 날|mean",
                "건수|count",
                "누적|so far",
                "건수|count",
            ],
            rows: rows.collect(),
            texts: 0,
        };
        let chart = chart::bars("time", "단계별 평균 소요 시간, 누적", &bars);
        page.section(("단계별 소요 시간", "Time in a step"), &chart, &table, "");
    }
}

fn by_dimension(page: &mut Page, dimension: &str, shares: &[Share]) {
    let (korean, english) = dimension_words(dimension);
    let shown = &shares[..shares.len().min(SHOWN)];
    let present: Vec<usize> = (0..STATES.len())
        .filter(|state| shown.iter().any(|share| share.group.in_it()[*state] > 0))
        .collect();
    let bars: Vec<Bar> = shown
        .iter()
        .map(|share| {
            let in_it = share.group.in_it();
            Bar {
                label: share.called(),
                parts: present
                    .iter()
                    .map(|state| chart::Part {
                        class: format!("s{state}"),
                        name: STATE_WORDS[*state].to_owned(),
                        value: in_it[*state],
                    })
                    .collect(),
                text: number(in_it.iter().sum()),
            }
        })
        .collect();
    let rows = shown.iter().map(|share| {
        let group = &share.group;
        let under_way = group.in_it()[UNDER_WAY].iter().sum();
        let cells = vec![
            number(group.entered[PENDING]),
            number(under_way),
            number(group.entered_so_far[ACCEPTED]),
            number(group.entered_so_far[REJECTED]),
            percent(group.success_rate_so_far()),
        ];
        (page::name(&share.called()), cells)
    });
    let caption = format!("{korean}별 매칭");
    let table = Table {
        caption: &caption,
        heads: &[
            korean,
            "새 매칭|new",
            "진행 중|under way",
            "수락|accepted",
            "거절|rejected",
            "성공률|rate",
        ],
        rows: rows.collect(),
        texts: 0,
    };
    let entries: Vec<(String, &str)> = present
        .iter()
        .map(|state| (format!("s{state}"), STATE_WORDS[*state]))
        .collect();
    let entries: Vec<(&str, &str)> = entries
        .iter()
        .map(|(class, word)| (class.as_str(), *word))
        .collect();
    let chart = format!(
        "{}{}",
        chart::legend(&entries),
        chart::bars(
            dimension,
            &format!("{korean}별 현재 매칭 수, 단계별"),
            &bars
        )
    );
    let note = match shares.len() - shown.len() {
        0 => String::new(),
        rest => format!(
            "그 밖에 {rest}개는 JSON과 CSV에 있습니다 · {rest} more are in the JSON and the CSV"
        ),
    };
    page.section((korean, english), &chart, &table, &note);
}

fn state_bars(values: &Counts, text: impl Fn(usize) -> String) -> Vec<Bar> {
    (0..STATES.len())
        .map(|position| state_bar(position, values[position], text(position)))
        .collect()
}

fn state_bar(position: usize, value: i64, text: String) -> Bar {
    Bar {
        label: STATE_WORDS[position].to_owned(),
        parts: vec![chart::Part {
            class: format!("s{position}"),
            name: STATE_WORDS[position].to_owned(),
            value,
        }],
        text,
    }
}

fn group_json(group: &Group) -> Value {
    let conversion: Map<String, Value> = STEPS
        .iter()
        .map(|(from, to)| {
            let name = format!("{}→{}", STATES[*from], STATES[*to]);
            (name, super::ratio_json(group.conversion((*from, *to))))
        })
        .collect();
    json!({
        "onTheDay": {
            "entered": super::counts_json(&group.entered),
            "left": super::counts_json(&group.left),
            "seconds": super::counts_json(&group.seconds),
            "meanSeconds": means_json(&group.mean_seconds()),
            "successRate": super::ratio_json(group.success_rate()),
        },
        "inItAtTheEnd": super::counts_json(&group.in_it()),
        "soFar": {
            "entered": super::counts_json(&group.entered_so_far),
            "left": super::counts_json(&group.left_so_far),
            "seconds": super::counts_json(&group.seconds_so_far),
            "meanSeconds": means_json(&group.mean_seconds_so_far()),
            "conversion": conversion,
            "successRate": super::ratio_json(group.success_rate_so_far()),
        },
    })
}

fn means_json(means: &[Option<i64>; STATES.len()]) -> Value {
    let known = STATES.iter().zip(means);
    let known =
        known.filter_map(|(state, mean)| Some(((*state).to_owned(), Value::from((*mean)?))));
    Value::Object(known.collect())
}
