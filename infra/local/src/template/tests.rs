#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;

const HEAD: &str = "Transform: AWS::Serverless-2016-10-31\n";

#[track_caller]
fn parse(body: &str) -> Template {
    match Template::parse(&format!("{HEAD}{body}"), "t.yaml", &BTreeMap::new()) {
        Ok(template) => template,
        Err(error) => panic!("{error}"),
    }
}

/// The problems as `line: path: message`.
fn problems(body: &str) -> Vec<String> {
    match Template::parse(&format!("{HEAD}{body}"), "t.yaml", &BTreeMap::new()) {
        Ok(_) => Vec::new(),
        Err(error) => error
            .problems
            .into_iter()
            .map(|problem| format!("{}: {}: {}", problem.line, problem.path, problem.message))
            .collect(),
    }
}

#[track_caller]
fn assert_problem(body: &str, expected: &str) {
    let found = problems(body);
    assert!(
        found.iter().any(|problem| problem.contains(expected)),
        "expected {expected:?} in {found:#?}"
    );
}

fn deployed() -> Template {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    match Template::load(&path) {
        Ok(template) => template,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_deployed_template_loads_without_a_problem() {
    let template = deployed();
    let handlers: Vec<&str> = template
        .functions
        .iter()
        .map(|function| function.config.handler.as_str())
        .collect();
    assert_eq!(
        handlers[..7],
        [
            "extract-text",
            "chunk-text",
            "embed-chunks",
            "index-chunks",
            "reconcile-index",
            "remove-document",
            "keep-progress"
        ]
    );
    assert_eq!(template.buckets[0].name, "ai-assistant-documents-dev");
    let caches: Vec<&str> = template
        .tables
        .iter()
        .filter(|table| table.holds == Holding::Cache)
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!(
        caches,
        ["ai-assistant-embedding-cache", "jetbond-embeddings"]
    );
    assert_eq!(template.tables.len(), 26);
    assert_eq!(template.rules.len(), 3);
    let topics: Vec<&str> = template
        .topics
        .iter()
        .map(|topic| topic.name.as_str())
        .collect();
    assert_eq!(
        topics,
        [
            "jetbond-notifications",
            "dot-marketing-match-steps",
            "millrace-dev-alarms"
        ]
    );
}

#[test]
fn every_deployed_worker_has_its_queue_its_dead_letter_queue_and_room_for_six_timeouts() {
    let template = deployed();
    for function in &template.functions {
        let worker = &function.config.handler;
        let queue = template
            .queues
            .iter()
            .find(|queue| queue.name == format!("millrace-{worker}"))
            .unwrap();
        assert!(
            queue.visibility_timeout >= function.config.timeout * 6,
            "{worker}"
        );
        let redrive = queue.redrive.as_ref().unwrap();
        assert_eq!(
            redrive.target_arn,
            crate::names::queue_arn(&format!("millrace-{worker}-dlq"))
        );
        // More than the loop tries: 8 times, or 100 times where records wait for an embedder that is down.
        assert!([10, 120].contains(&redrive.maximum_receives), "{worker}");
        assert!(template.is_dead_letter_queue(&format!("millrace-{worker}-dlq")));
        assert!(!template.is_dead_letter_queue(&queue.name));
        assert_eq!(
            function.config.environment["MILLRACE_DEAD_LETTER_QUEUE_URL"],
            crate::names::queue_url(&format!("millrace-{worker}-dlq"))
        );
        assert_eq!(
            function.config.environment["MILLRACE_DOCUMENTS_BUCKET"],
            "ai-assistant-documents-dev"
        );
    }
}

#[test]
fn the_deployed_streams_listen_as_the_workers_need_it() {
    let template = deployed();
    let stream = |worker: &str| {
        let function = template
            .functions
            .iter()
            .find(|function| function.config.handler == worker)
            .unwrap();
        function
            .mappings
            .iter()
            .find_map(|mapping| match mapping {
                Mapping::Stream(stream) => Some(stream.clone()),
                Mapping::Queue(_) => None,
            })
            .unwrap()
    };
    let removal = stream("remove-document");
    assert_eq!(removal.table, "ai-assistant-documents");
    assert_eq!(removal.failures, FailureReports::Read);
    assert_eq!(removal.on_error, OnError::Bisect);
    assert_eq!(removal.maximum_retries, Some(10));
    assert_eq!(removal.maximum_age, Some(Duration::from_secs(86_400)));
    assert_eq!(
        removal.on_failure,
        Some(Destination::Queue(
            "millrace-remove-document-dlq".to_owned()
        ))
    );
    assert!(removal.filters[0].matches(&json!({"eventName": "REMOVE"})));
    assert!(!removal.filters[0].matches(&json!({"eventName": "INSERT"})));
    let progress = stream("keep-progress");
    assert!(progress.filters[0].matches(&json!({"eventName": "MODIFY"})));
    assert!(!progress.filters[0].matches(&json!({"eventName": "REMOVE"})));
}

#[test]
fn parameters_take_what_was_given_and_refuse_what_is_unknown() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let given = BTreeMap::from([("Environment".to_owned(), "prod".to_owned())]);
    let template = Template::load_with(&path, &given).unwrap();
    assert_eq!(template.buckets[0].name, "ai-assistant-documents-prod");
    let given = BTreeMap::from([("Enviroment".to_owned(), "prod".to_owned())]);
    let error = Template::load_with(&path, &given).unwrap_err().to_string();
    assert!(
        error.contains("the parameter Enviroment, which there is not"),
        "{error}"
    );
}

#[test]
fn a_property_that_is_not_known_is_named_with_its_path_its_line_and_what_to_do() {
    let body = "Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimout: 30
      Colour: blue
";
    assert_eq!(
        problems(body),
        [
            "6: Resources.Work.Properties.VisibilityTimout: this property is not known: did you mean VisibilityTimeout?".to_owned(),
            problems(body)[1].clone(),
        ]
    );
    assert!(problems(body)[1].starts_with(
        "7: Resources.Work.Properties.Colour: this property is not known here: remove it, or teach infra/local what it means; known are "
    ));
}

#[test]
fn properties_that_mean_nothing_here_are_still_spelt_right() {
    let bucket = |rest: &str| {
        format!("Resources:\n  B:\n    Type: AWS::S3::Bucket\n    Properties:\n{rest}")
    };
    assert_problem(
        &bucket("      PublicAccessBlockConfiguration:\n        BlockPublicAcl: true\n"),
        "7: Resources.B.Properties.PublicAccessBlockConfiguration.BlockPublicAcl: this property is not known: did you mean BlockPublicAcls?",
    );
    assert_problem(
        &bucket(
            "      LifecycleConfiguration:\n        Rules:\n          - Status: Enabled\n            ExpirationInDay: 1\n",
        ),
        "Rules[0].ExpirationInDay",
    );
}

#[test]
fn a_resource_type_that_is_not_known_is_an_error() {
    assert_problem(
        "Resources:\n  S:\n    Type: AWS::StepFunctions::StateMachine\n",
        "4: Resources.S.Type: the resource type AWS::StepFunctions::StateMachine is not known here",
    );
    assert_problem(
        "Resources:\n  S:\n    Type: AWS::SQS::Queu\n",
        "did you mean AWS::SQS::Queue?",
    );
    assert_problem(
        "Resources:\n  S:\n    Type: AWS::SQS::Queue\n    Condtion: X\n",
        "5: Resources.S.Condtion",
    );
    assert_problem(
        "Resource:\n  S: {}\n",
        "Resource: this property is not known: did you mean Resources?",
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_their_lines() {
    let found = problems(
        "Resources:
  A:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: many
  B:
    Type: AWS::SNS::Topic
    Properties:
      TopicNam: x
  B:
    Type: AWS::SNS::Topic
",
    );
    let lines: Vec<&str> = found
        .iter()
        .map(|problem| problem.split(':').next().unwrap())
        .collect();
    assert_eq!(lines, ["6", "10", "11"], "{found:#?}");
    assert!(found[2].contains("the key B is here twice, first on line 7"));
}

fn function(events: &str) -> String {
    format!(
        "Globals:
  Function:
    Runtime: provided.al2023
    Timeout: 20
    Environment:
      Variables:
        A: global
        B: global
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: q
      VisibilityTimeout: 120
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: t
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{{AttributeName: k, AttributeType: S}}]
      KeySchema: [{{AttributeName: k, KeyType: HASH}}]
      StreamSpecification: {{StreamViewType: NEW_AND_OLD_IMAGES}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: f
      Handler: work
      Environment:
        Variables:
          B: own
      Events:
        E:
{events}"
    )
}

#[test]
fn globals_are_merged_below_a_functions_own_properties() {
    let template = parse(&function(
        "          Type: SQS\n          Properties:\n            Queue: !GetAtt Q.Arn\n",
    ));
    let config = &template.functions[0].config;
    assert_eq!(config.timeout, Duration::from_secs(20));
    assert_eq!(config.environment["A"], "global");
    assert_eq!(config.environment["B"], "own");
    let Mapping::Queue(mapping) = &template.functions[0].mappings[0] else {
        panic!("a queue mapping was expected");
    };
    assert_eq!(
        (mapping.queue.as_str(), mapping.batch_size, mapping.window),
        ("q", 10, Duration::ZERO)
    );
    assert_eq!(mapping.id, "F/E");
}

#[test]
fn misspelt_or_impossible_settings_of_a_mapping_are_errors() {
    let sqs = |rest: &str| {
        function(&format!(
            "          Type: SQS\n          Properties:\n            Queue: !GetAtt Q.Arn\n            {rest}\n"
        ))
    };
    let stream = |rest: &str| {
        function(&format!(
            "          Type: DynamoDB\n          Properties:\n            Stream: !GetAtt T.StreamArn\n            StartingPosition: LATEST\n            {rest}\n"
        ))
    };
    assert_eq!(problems(&sqs("BatchSize: 10")), Vec::<String>::new());
    assert_eq!(problems(&stream("BatchSize: 10")), Vec::<String>::new());
    assert_problem(
        &sqs("BatchSzie: 10"),
        "Resources.F.Properties.Events.E.Properties.BatchSzie: this property is not known: did you mean BatchSize?",
    );
    assert_problem(
        &sqs("BatchSize: 11"),
        "needs a MaximumBatchingWindowInSeconds",
    );
    assert_problem(
        &sqs("ScalingConfig: {MaximumConcurrency: 1}"),
        "from 2 to 1000",
    );
    assert_problem(
        &sqs("FunctionResponseTypes: [ReportBatchItemFailure]"),
        "there is ReportBatchItemFailures",
    );
    assert_problem(
        &sqs("StartingPosition: LATEST"),
        "StartingPosition: this property is not known",
    );
    assert_problem(
        &sqs("FilterCriteria: {Filters: [{Pattern: '{\"messageId\": [\"x\"]}'}]}"),
        "a record has no key messageId; it has body",
    );
    assert_problem(
        &sqs("FilterCriteria: {Filters: [{Pattern: '{\"body\": [{\"prefx\": \"x\"}]}'}]}"),
        "prefx",
    );
    assert_problem(
        &stream("TumblingWindowInSeconds: 10"),
        "TumblingWindowInSeconds: this property is not known here",
    );
    assert_problem(&stream("ParallelizationFactor: 11"), "from 1 to 10");
    assert_problem(
        &stream("MaximumRecordAgeInSeconds: 59"),
        "the least age is 60 seconds",
    );
    assert_problem(
        &stream("FilterCriteria: {Filters: [{Pattern: '{'}]}"),
        "this is not JSON",
    );
    assert_problem(
        &stream("DestinationConfig: {OnFailure: {Type: SNS, Destination: !GetAtt Q.Arn}}"),
        "this says SNS, the destination is SQS",
    );
    assert_problem(
        &stream("DestinationConfig: {OnFailure: {Destination: nowhere}}"),
        "is the ARN of neither",
    );
    assert_problem(
        &function("          Type: Kinesis\n          Properties: {}\n"),
        "\"Kinesis\" is not one of SQS, DynamoDB",
    );
}

#[test]
fn a_visibility_timeout_shorter_than_the_functions_timeout_is_refused() {
    let body =
        function("          Type: SQS\n          Properties:\n            Queue: !GetAtt Q.Arn\n")
            .replace("VisibilityTimeout: 120", "VisibilityTimeout: 19");
    assert_problem(
        &body,
        "visibility timeout of 19 s, shorter than the function's 20 s",
    );
}

#[test]
fn intrinsic_functions_give_what_cloudformation_gives() {
    let template = parse(
        "Parameters:
  Stage: {Type: String, Default: dev}
  Names: {Type: CommaDelimitedList, Default: 'a, b'}
Mappings:
  Sizes: {dev: {size: small}}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
  Either: !Or [!Condition IsProd, !Equals [x, x]]
  Both: !And [!Condition IsDev, !Condition Either]
Resources:
  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'q-${Stage}'}}
  P: {Type: AWS::SQS::Queue, Condition: IsProd}
  T: {Type: AWS::SNS::Topic, Properties: {TopicName: t}}
Outputs:
  Ref: {Value: !Ref Q}
  TopicRef: {Value: !Ref T}
  Arn: {Value: !GetAtt Q.Arn}
  ArnList: {Value: !GetAtt [Q, QueueName]}
  Sub: {Value: !Sub ['${A}/${Q.Arn}/${AWS::Region}/${!Literal}', {A: !Ref Stage}]}
  Join: {Value: !Join ['-', [x, !Ref Stage]]}
  Select: {Value: !Select [1, !Ref Names]}
  Split: {Value: !Select [1, !Split [':', 'k:v']]}
  Map: {Value: !FindInMap [Sizes, !Ref Stage, size]}
  If: {Value: !If [Both, yes-dev, no]}
  Gone: {Condition: IsProd, Value: !Ref P}
",
    );
    let expected = [
        ("Arn", "arn:aws:sqs:us-east-1:000000000000:q-dev"),
        ("ArnList", "q-dev"),
        ("If", "yes-dev"),
        ("Join", "x-dev"),
        ("Map", "small"),
        (
            "Ref",
            "https://sqs.us-east-1.amazonaws.com/000000000000/q-dev",
        ),
        ("Select", "b"),
        ("Split", "v"),
        (
            "Sub",
            "dev/arn:aws:sqs:us-east-1:000000000000:q-dev/us-east-1/${Literal}",
        ),
        ("TopicRef", "arn:aws:sns:us-east-1:000000000000:t"),
    ];
    let outputs: Vec<(&str, &str)> = template
        .outputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(outputs, expected);
    assert_eq!(
        template.queues.len(),
        1,
        "a resource under a false condition is left out"
    );
}

#[test]
fn a_property_that_is_no_value_is_not_there() {
    let template = parse(
        "Conditions: {Never: !Equals [a, b]}
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: q
      VisibilityTimeout: !If [Never, 60, !Ref AWS::NoValue]
",
    );
    assert!(
        !template.queues[0]
            .attributes
            .contains_key("VisibilityTimeout")
    );
}

#[test]
fn names_that_lead_nowhere_are_errors() {
    let queue = |name: &str| {
        format!(
            "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      QueueName: {name}\n"
        )
    };
    assert_problem(
        &queue("!Ref Qeue"),
        "6: Resources.Queue.Properties.QueueName: Qeue is neither a parameter nor a resource",
    );
    assert_problem(&queue("!Ref Qeue"), "did you mean Queue?");
    assert_problem(
        &queue("!GetAtt Queue.Url"),
        "this needs itself to be resolved",
    );
    assert_problem(&queue("!Sub '${X'"), "`${` is not closed");
    assert_problem(
        &queue("!ImportValue x"),
        "the function Fn::ImportValue is not known here",
    );
    assert_problem(
        &queue("!If [Missing, a, b]"),
        "there is no condition Missing",
    );
    assert_problem(
        &queue("!Select [2, [a, b]]"),
        "with an index that the list has",
    );
    assert_problem(
        "Resources:\n  T: {Type: AWS::SNS::Topic}\nOutputs:\n  A: {Value: !GetAtt T.Arn}\n",
        "T has no attribute Arn here; it has TopicArn, TopicName",
    );
    assert_problem(
        "Resources:\n  T: {Type: AWS::SNS::Topic, DependsOn: [Nothing]}\n",
        "Nothing is neither",
    );
}

#[test]
fn notifications_that_overlap_are_refused_as_s3_refuses_them() {
    let body = |first: &str, second: &str| {
        let filter = |suffix: &str| {
            format!(
                "          - Event: s3:ObjectCreated:*
            Queue: !GetAtt Q.Arn
            Filter: {{S3Key: {{Rules: [{{Name: prefix, Value: a/}}, {{Name: suffix, Value: {suffix}}}]}}}}\n"
            )
        };
        format!(
            "Resources:
  Q: {{Type: AWS::SQS::Queue}}
  B:
    Type: AWS::S3::Bucket
    Properties:
      NotificationConfiguration:
        QueueConfigurations:
{}{}",
            filter(first),
            filter(second)
        )
    };
    assert_eq!(problems(&body(".txt", ".json")), Vec::<String>::new());
    assert_problem(
        &body(".txt", "t.txt"),
        "S3 refuses notifications that overlap",
    );
}

#[test]
fn a_dead_letter_queue_that_there_is_not_is_an_error() {
    assert_problem(
        "Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties:
      RedrivePolicy: {deadLetterTargetArn: 'arn:aws:sqs:us-east-1:000000000000:gone', maxReceiveCount: 3}
",
        "RedrivePolicy.deadLetterTargetArn: arn:aws:sqs:us-east-1:000000000000:gone is not a queue of this template",
    );
}

fn rule(properties: &str) -> String {
    format!(
        r"
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: work
  Daily:
    Type: AWS::Events::Rule
    Properties:
      Name: daily
{properties}
      Targets:
        - Id: work
          Arn: !GetAtt Work.Arn
"
    )
}

#[test]
fn a_rule_has_either_a_pattern_or_a_schedule() {
    let template = parse(&rule("      ScheduleExpression: cron(10 0 * * ? *)"));
    let Trigger::Schedule(schedule) = &template.rules[0].trigger else {
        panic!("no schedule");
    };
    assert_eq!(schedule.expression(), "cron(10 0 * * ? *)");

    let neither = "a rule must have either this or a ScheduleExpression";
    let path = "Resources.Daily.Properties.EventPattern";
    assert_problem(&rule(""), &format!("{path}: {neither}"));
    let both = "      ScheduleExpression: rate(1 day)\n      EventPattern: {source: [aws.s3]}";
    assert_problem(&rule(both), &format!("13: {path}: {neither}"));
    assert_problem(
        &rule("      ScheduleExpression: rate(1 days)"),
        "12: Resources.Daily.Properties.ScheduleExpression: rate(1 days) is no rate",
    );
}
