resource "aws_ecs_cluster" "jobs" {
  name = "event-jobs"
}

resource "aws_ecs_task_definition" "report" {
  family                = "event-report"
  container_definitions = jsonencode([{ name = "main", image = "busybox", memory = 64, essential = true }])
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "scheduler.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "events" {
  name               = "event-targets"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "events" {
  name = "targets"
  role = aws_iam_role.events.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["ecs:RunTask", "ecs:TagResource", "iam:PassRole", "events:InvokeApiDestination", "events:PutEvents"]
      Resource = "*"
    }]
  })
}

resource "aws_cloudwatch_event_bus" "orders" {
  name        = "orders"
  description = "of the shop"
  tags        = { team = "a" }
}

resource "aws_cloudwatch_event_permission" "other" {
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  principal      = "111122223333"
  statement_id   = "other-account"
}

resource "aws_cloudwatch_event_rule" "paid" {
  name           = "paid"
  description    = "somebody paid"
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  event_pattern = jsonencode({
    source = ["shop"]
    detail = { amount = [{ numeric = [">", 100] }] }
  })
  tags = { team = "a" }
}

resource "aws_cloudwatch_log_group" "paid" {
  name = "/aws/events/paid"
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.paid.arn}:*"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "events" {
  policy_name     = "events"
  policy_document = data.aws_iam_policy_document.logs.json
}

resource "aws_cloudwatch_event_target" "log" {
  rule           = aws_cloudwatch_event_rule.paid.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "log"
  arn            = aws_cloudwatch_log_group.paid.arn
}

resource "aws_cloudwatch_event_connection" "hook" {
  name               = "hook"
  authorization_type = "API_KEY"
  auth_parameters {
    api_key {
      key   = "x-api-key"
      value = "sesame"
    }
    invocation_http_parameters {
      header {
        key             = "x-shop"
        value           = "yes"
        is_value_secret = false
      }
    }
  }
}

resource "aws_cloudwatch_event_api_destination" "hook" {
  name                             = "hook"
  invocation_endpoint              = "https://example.com/hook/*"
  http_method                      = "POST"
  invocation_rate_limit_per_second = 20
  connection_arn                   = aws_cloudwatch_event_connection.hook.arn
}

resource "aws_cloudwatch_event_target" "hook" {
  rule           = aws_cloudwatch_event_rule.paid.name
  event_bus_name = aws_cloudwatch_event_bus.orders.name
  target_id      = "hook"
  arn            = aws_cloudwatch_event_api_destination.hook.arn
  role_arn       = aws_iam_role.events.arn
  http_target {
    path_parameter_values = ["paid"]
    header_parameters     = { "x-env" = "test" }
  }
  input_transformer {
    input_paths    = { amount = "$.detail.amount" }
    input_template = "{\"amount\": <amount>}"
  }
}

resource "aws_cloudwatch_event_rule" "nightly" {
  name                = "nightly"
  schedule_expression = "cron(0 3 * * ? *)"
}

resource "aws_cloudwatch_event_target" "nightly" {
  rule      = aws_cloudwatch_event_rule.nightly.name
  target_id = "report"
  arn       = aws_ecs_cluster.jobs.arn
  role_arn  = aws_iam_role.events.arn
  input     = jsonencode({ containerOverrides = [{ name = "main", command = ["report"] }] })
  ecs_target {
    task_count              = 1
    task_definition_arn     = aws_ecs_task_definition.report.arn
    launch_type             = "EC2"
    group                   = "nightly"
    propagate_tags          = "TASK_DEFINITION"
    enable_ecs_managed_tags = true
    tags                    = { team = "a" }
    ordered_placement_strategy {
      type  = "spread"
      field = "instanceId"
    }
  }
  retry_policy {
    maximum_event_age_in_seconds = 3600
    maximum_retry_attempts       = 3
  }
}

resource "aws_scheduler_schedule_group" "jobs" {
  name = "jobs"
  tags = { team = "a" }
}

resource "aws_scheduler_schedule" "report" {
  name                         = "report"
  group_name                   = aws_scheduler_schedule_group.jobs.name
  description                  = "each morning"
  schedule_expression          = "cron(0 9 ? * MON-FRI *)"
  schedule_expression_timezone = "Europe/Berlin"
  start_date                   = "2040-01-01T00:00:00Z"
  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 15
  }
  target {
    arn      = aws_ecs_cluster.jobs.arn
    role_arn = aws_iam_role.events.arn
    input    = jsonencode({ containerOverrides = [{ name = "main", command = ["report"] }] })
    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.report.arn
      task_count          = 2
      launch_type         = "EC2"
    }
    retry_policy {
      maximum_event_age_in_seconds = 600
      maximum_retry_attempts       = 5
    }
  }
}

resource "aws_scheduler_schedule" "scale" {
  name                = "scale"
  schedule_expression = "rate(1 day)"
  state               = "DISABLED"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = "arn:aws:scheduler:::aws-sdk:ecs:updateService"
    role_arn = aws_iam_role.events.arn
    input    = jsonencode({ Cluster = "event-jobs", Service = "web", DesiredCount = 0 })
  }
}

output "all" {
  value = {
    rule     = aws_cloudwatch_event_rule.paid.arn
    schedule = aws_scheduler_schedule.report.arn
    group    = aws_scheduler_schedule_group.jobs.state
  }
}
