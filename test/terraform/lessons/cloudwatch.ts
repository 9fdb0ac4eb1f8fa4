/** CloudWatch: alarms, dashboards, metric filters. */
import assert from "node:assert/strict";
import type { Lesson } from "./lesson.ts";
import { keysBelow } from "./lesson.ts";

const configuration = `
resource "aws_cloudwatch_metric_alarm" "cpu" {
  alarm_name          = "cpu"
  alarm_description   = "too much"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  metric_name         = "CPUUtilization"
  namespace           = "AWS/ECS"
  period              = 60
  statistic           = "Average"
  threshold           = 80
  treat_missing_data  = "notBreaching"
  alarm_actions       = ["arn:aws:sns:us-east-1:000000000000:ops"]
  dimensions          = { ClusterName = "main", ServiceName = "web" }
  tags                = { team = "a" }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  alarm_name                            = "latency"
  comparison_operator                   = "GreaterThanThreshold"
  evaluation_periods                    = 1
  metric_name                           = "TargetResponseTime"
  namespace                             = "AWS/ApplicationELB"
  period                                = 300
  extended_statistic                    = "p99"
  evaluate_low_sample_count_percentiles = "ignore"
  threshold                             = 0.5
  unit                                  = "Seconds"
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "errors"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 2
  threshold           = 5
  metric_query {
    id          = "rate"
    expression  = "100 * errors / requests"
    label       = "Errors"
    return_data = true
  }
  metric_query {
    id = "errors"
    metric {
      metric_name = "Errors"
      namespace   = "App"
      period      = 60
      stat        = "Sum"
      dimensions  = { Service = "web" }
    }
  }
  metric_query {
    id = "requests"
    metric {
      metric_name = "Requests"
      namespace   = "App"
      period      = 60
      stat        = "Sum"
      unit        = "Count"
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "all" {
  alarm_name        = "all"
  alarm_description = "any of them"
  alarm_rule        = "ALARM(\${aws_cloudwatch_metric_alarm.cpu.alarm_name}) OR ALARM(\${aws_cloudwatch_metric_alarm.errors.alarm_name})"
  ok_actions        = ["arn:aws:sns:us-east-1:000000000000:ops"]
  actions_suppressor {
    alarm            = aws_cloudwatch_metric_alarm.latency.alarm_name
    wait_period      = 60
    extension_period = 30
  }
  tags = { team = "a" }
}

resource "aws_cloudwatch_dashboard" "main" {
  dashboard_name = "main"
  dashboard_body = jsonencode({
    widgets = [{ type = "metric", x = 0, y = 0, width = 12, height = 6, properties = { metrics = [["AWS/ECS", "CPUUtilization"]], region = "us-east-1", period = 300 } }]
  })
}

resource "aws_cloudwatch_log_group" "app" { name = "/app" }

resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "errors"
  log_group_name = aws_cloudwatch_log_group.app.name
  pattern        = "{ $.level = \\"error\\" }"
  metric_transformation {
    name       = "Errors"
    namespace  = "App"
    value      = "1"
    unit       = "Count"
    dimensions = { Service = "$.service" }
  }
}

resource "aws_cloudwatch_log_metric_filter" "bytes" {
  name           = "bytes"
  log_group_name = aws_cloudwatch_log_group.app.name
  pattern        = "[ip, user, ..., bytes]"
  metric_transformation {
    name          = "Bytes"
    namespace     = "App"
    value         = "$bytes"
    default_value = "0"
  }
}
`;

export const cloudwatch: Lesson = {
  name: "cloudwatch",
  services: ["cloudwatch", "logs"],
  configuration: async () => configuration,
  changed: (text) =>
    text
      .replace("threshold           = 80", "threshold           = 90")
      .replace('team = "a" }', 'team = "b", more = "c" }')
      .replace('description = "any of them"', 'description = "one of them"')
      .replace("period = 300 }", "period = 60 }")
      .replace('value      = "1"', 'value      = "2"'),
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/cloudwatch-alarm/", "/cloudwatch-alarm-state/", "/cloudwatch-dashboard/", "/logs/"), []);
  },
};
