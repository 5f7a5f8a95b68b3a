use serde_json::{Value, json};

use super::*;

fn user(change: impl FnOnce(&mut Value)) -> Item {
    let mut row = json!({
        "userId": {"S": "u-1"},
        "isActive": {"BOOL": true},
        "employeeStatus": {"S": "available"},
        "lastLoginAt": {"S": "2026-11-20T04:00:00Z"},
        "profiles": {"M": {"employee": {"M": {
            "jobDescription": {"S": " 咖啡店店員 "},
            "preferredDistricts": {"L": [{"S": "TST"}, {"S": "Central"}, {"S": "TST"}]},
            "hourlyRateRange": {"M": {"min": {"N": "80"}, "max": {"N": "150"}}},
            "ratings": {"M": {"good": {"N": "3"}, "bad": {"N": "1"}}},
            "isComplete": {"BOOL": true},
        }}}},
    });
    change(&mut row);
    serde_json::from_value(row).unwrap()
}

fn profile(row: &mut Value) -> &mut Value {
    &mut row["profiles"]["M"]["employee"]["M"]
}

fn employee(change: impl FnOnce(&mut Value)) -> Employee {
    match Standing::of(&user(change)).unwrap() {
        Standing::Present(employee) => *employee,
        Standing::Absent(why) => panic!("{}", why.word()),
    }
}

fn code(change: impl FnOnce(&mut Value)) -> &'static str {
    Standing::of(&user(change)).unwrap_err().reason().code()
}

#[test]
fn an_employee_is_read_with_all_that_matching_looks_at() {
    let read = employee(|_| {});
    assert_eq!(read.text, "咖啡店店員");
    assert!(read.available);
    assert_eq!(read.districts, ["Central", "TST"]);
    let range = RateRange {
        min: 80.0,
        max: 150.0,
    };
    assert_eq!(read.rates, Some(range));
    let ratings = Ratings {
        good: 3,
        neutral: 0,
        bad: 1,
    };
    assert_eq!(read.ratings, ratings);
}

#[test]
fn a_range_may_be_half_or_missing() {
    let rates = |range: Value| employee(|row| profile(row)["hourlyRateRange"] = range).rates;
    let range = |min, max| Some(RateRange { min, max });
    assert_eq!(rates(json!({"M": {"min": {"N": "80"}}})), range(80.0, 80.0));
    assert_eq!(rates(json!({"M": {"max": {"N": "90"}}})), range(0.0, 90.0));
    assert_eq!(rates(json!({"M": {}})), None);
    assert_eq!(rates(json!({"NULL": true})), None);
}

#[test]
fn rates_that_are_none_are_refused() {
    for range in [
        json!({"M": {"min": {"N": "-1"}}}),
        json!({"M": {"min": {"S": "80"}}}),
        json!({"M": {"max": {"S": "NaN"}}}),
        json!({"M": {"min": {"N": "151"}, "max": {"N": "150"}}}),
        json!({"S": "80-150"}),
    ] {
        let said = code(|row| profile(row)["hourlyRateRange"] = range.clone());
        assert_eq!(said, "invalid-rate", "{range}");
    }
}

#[test]
fn what_is_of_the_wrong_kind_is_refused() {
    let wrong = json!({"L": [{"N": "1"}]});
    for name in [
        "jobDescription",
        "preferredDistricts",
        "ratings",
        "isComplete",
    ] {
        assert_eq!(
            code(|row| profile(row)[name] = wrong.clone()),
            "malformed-row",
            "{name}"
        );
    }
    for name in ["isActive", "employeeStatus", "lastLoginAt", "profiles"] {
        assert_eq!(
            code(|row| row[name] = wrong.clone()),
            "malformed-row",
            "{name}"
        );
    }
    let negative = json!({"M": {"bad": {"N": "-1"}}});
    assert_eq!(
        code(|row| profile(row)["ratings"] = negative),
        "malformed-row"
    );
}

#[test]
fn somebody_who_is_not_to_be_told_need_not_be_well_formed() {
    let absent = |change: fn(&mut Value)| match Standing::of(&user(change)).unwrap() {
        Standing::Absent(why) => why.word(),
        Standing::Present(_) => "present",
    };
    assert_eq!(
        absent(|row| row["isActive"] = json!({"BOOL": false})),
        "inactive"
    );
    assert_eq!(
        absent(|row| row["profiles"] = json!({"NULL": true})),
        "incomplete"
    );
    assert_eq!(
        absent(|row| profile(row)["jobDescription"] = json!({"S": " \n"})),
        "incomplete"
    );
    assert_eq!(
        absent(|row| {
            profile(row)["isComplete"] = json!({"BOOL": false});
            profile(row)["hourlyRateRange"] = json!({"S": "much"});
        }),
        "incomplete"
    );
}

fn job(change: impl FnOnce(&mut Value)) -> Result<Job, Failure> {
    let mut row = json!({
        "jobId": {"S": "j-1"},
        "employerId": {"S": "u-9"},
        "title": {"S": "急需侍應"},
        "description": {"S": "繁忙餐廳"},
        "district": {"S": "Central"},
        "hourlyRate": {"N": "120"},
        "duration": {"M": {"hours": {"N": "4"}}},
        "status": {"S": "matching"},
    });
    change(&mut row);
    Job::of(&serde_json::from_value(row).unwrap())
}

#[test]
fn a_job_is_read_and_its_text_is_title_and_description() {
    let read = job(|_| {}).unwrap();
    assert_eq!(read.text, "急需侍應\n繁忙餐廳");
    assert_eq!(read.hours, Some(4.0));
    assert_eq!(
        job(|row| row["title"] = json!({"S": " "})).unwrap().text,
        "繁忙餐廳"
    );
    assert_eq!(
        job(|row| row["description"] = json!({"NULL": true}))
            .unwrap()
            .text,
        "急需侍應"
    );
    let long = "字".repeat(30_000);
    let long = job(|row| row["description"] = json!({"S": long})).unwrap();
    assert_eq!(long.text.chars().count(), EMBEDDED_CHARACTERS);
}

#[test]
fn a_job_that_cannot_be_scored_says_why() {
    let code = |change: fn(&mut Value)| job(change).unwrap_err().reason().code();
    assert_eq!(
        code(|row| {
            row["title"] = json!({"S": ""});
            row["description"] = json!({"S": " "});
        }),
        "empty-text"
    );
    assert_eq!(
        code(|row| row["hourlyRate"] = json!({"N": "-5"})),
        "invalid-rate"
    );
    assert_eq!(
        code(|row| row["hourlyRate"] = json!({"NULL": true})),
        "invalid-rate"
    );
    assert_eq!(
        code(|row| row["employerId"] = json!({"NULL": true})),
        "malformed-row"
    );
    assert_eq!(
        code(|row| row["employerId"] = json!({"S": ""})),
        "invalid-id"
    );
    assert_eq!(
        code(|row| row["district"] = json!({"N": "3"})),
        "malformed-row"
    );
    assert!(
        job(|row| row["district"] = json!({"NULL": true}))
            .unwrap()
            .district
            .is_none()
    );
}

#[test]
fn a_response_is_read() {
    let row = json!({
        "responseId": {"S": "r-1"},
        "jobId": {"S": "j-1"},
        "employeeId": {"S": "u-1"},
        "respondedAt": {"S": "2026-11-21T04:00:00.000Z"},
        "status": {"S": "selected"},
    });
    let response = Response::of(&serde_json::from_value(row.clone()).unwrap()).unwrap();
    assert_eq!(response.status, MatchStatus::Selected);
    let mut unknown = row;
    unknown["status"] = json!({"S": "perhaps"});
    let failure = Response::of(&serde_json::from_value(unknown).unwrap()).unwrap_err();
    assert_eq!(failure.reason(), reason::MALFORMED_ROW);
}
