/** A service that scales itself: a scalable target, policies of each kind, scheduled actions, and an alarm for the steps. */
import assert from "node:assert/strict";
import {
  ApplicationAutoScalingClient,
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
} from "@aws-sdk/client-application-auto-scaling";
import { DescribeServicesCommand, ECSClient } from "@aws-sdk/client-ecs";
import type { TestServer } from "../../support/http.ts";
import type { Lesson } from "./lesson.ts";
import { keysBelow } from "./lesson.ts";

const configuration = `
resource "aws_ecs_cluster" "scaled" {
  name = "scaled"
}

resource "aws_ecs_task_definition" "web" {
  family                = "scaled-web"
  container_definitions = jsonencode([{ name = "web", image = "busybox", memory = 64, essential = true }])
}

resource "aws_ecs_service" "web" {
  name            = "web"
  cluster         = aws_ecs_cluster.scaled.id
  task_definition = aws_ecs_task_definition.web.arn
  desired_count   = 1
  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "web" {
  service_namespace  = "ecs"
  resource_id        = "service/\${aws_ecs_cluster.scaled.name}/\${aws_ecs_service.web.name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 2
  max_capacity       = 6
  tags               = { team = "a" }
}

locals {
  of = {
    service_namespace  = aws_appautoscaling_target.web.service_namespace
    resource_id        = aws_appautoscaling_target.web.resource_id
    scalable_dimension = aws_appautoscaling_target.web.scalable_dimension
  }
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = local.of.service_namespace
  resource_id        = local.of.resource_id
  scalable_dimension = local.of.scalable_dimension
  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_in_cooldown  = 120
    scale_out_cooldown = 30
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "backlog" {
  name               = "backlog"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = local.of.service_namespace
  resource_id        = local.of.resource_id
  scalable_dimension = local.of.scalable_dimension
  target_tracking_scaling_policy_configuration {
    target_value     = 100
    disable_scale_in = true
    customized_metric_specification {
      metrics {
        id          = "backlog"
        return_data = false
        metric_stat {
          stat = "Sum"
          metric {
            metric_name = "Messages"
            namespace   = "App"
            dimensions {
              name  = "Queue"
              value = "jobs"
            }
          }
        }
      }
      metrics {
        id          = "tasks"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            metric_name = "RunningTaskCount"
            namespace   = "ECS/ContainerInsights"
          }
        }
      }
      metrics {
        id         = "each"
        label      = "Backlog of a task"
        expression = "backlog / tasks"
      }
    }
  }
}

resource "aws_appautoscaling_policy" "depth" {
  name               = "depth"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = local.of.service_namespace
  resource_id        = local.of.resource_id
  scalable_dimension = local.of.scalable_dimension
  target_tracking_scaling_policy_configuration {
    target_value = 10
    customized_metric_specification {
      metric_name = "Depth"
      namespace   = "App"
      statistic   = "Average"
      unit        = "Count"
      dimensions {
        name  = "Queue"
        value = "jobs"
      }
    }
  }
}

resource "aws_appautoscaling_policy" "steps" {
  name               = "steps"
  policy_type        = "StepScaling"
  service_namespace  = local.of.service_namespace
  resource_id        = local.of.resource_id
  scalable_dimension = local.of.scalable_dimension
  step_scaling_policy_configuration {
    adjustment_type          = "PercentChangeInCapacity"
    cooldown                 = 60
    metric_aggregation_type  = "Maximum"
    min_adjustment_magnitude = 1
    step_adjustment {
      metric_interval_lower_bound = 0
      metric_interval_upper_bound = 20
      scaling_adjustment          = 25
    }
    step_adjustment {
      metric_interval_lower_bound = 20
      scaling_adjustment          = 50
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "steps" {
  alarm_name          = "scaled-steps"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  metric_name         = "Depth"
  namespace           = "App"
  period              = 60
  statistic           = "Average"
  threshold           = 50
  alarm_actions       = [aws_appautoscaling_policy.steps.arn]
}

resource "aws_appautoscaling_scheduled_action" "morning" {
  name               = "morning"
  service_namespace  = local.of.service_namespace
  resource_id        = local.of.resource_id
  scalable_dimension = local.of.scalable_dimension
  schedule           = "cron(0 7 ? * MON-FRI 2199)"
  timezone           = "Europe/Berlin"
  scalable_target_action {
    min_capacity = 4
    max_capacity = 6
  }
}

resource "aws_appautoscaling_scheduled_action" "once" {
  name               = "once"
  service_namespace  = local.of.service_namespace
  resource_id        = local.of.resource_id
  scalable_dimension = local.of.scalable_dimension
  schedule           = "at(2199-01-01T00:00:00)"
  scalable_target_action {
    max_capacity = 3
  }
}

output "alarms" {
  value = length(aws_appautoscaling_policy.cpu.alarm_arns)
}
`;

async function desired(server: TestServer): Promise<number | undefined> {
  const ecs = new ECSClient(server.sdk());
  const { services } = await ecs.send(new DescribeServicesCommand({ cluster: "scaled", services: ["web"] }));
  ecs.destroy();
  return services![0]!.desiredCount;
}

export const scaling: Lesson = {
  name: "scaling",
  services: ["ecs", "appautoscaling", "cloudwatch"],
  configuration: async () => configuration,
  changed: (text) =>
    text
      .replace("min_capacity       = 2", "min_capacity       = 3")
      .replace('team = "a" }', 'team = "b", more = "c" }')
      .replace("target_value       = 60", "target_value       = 70")
      .replace("disable_scale_in = true", "disable_scale_in = false")
      .replace("scaling_adjustment          = 25", "scaling_adjustment          = 30")
      .replace("cron(0 7 ?", "cron(30 6 ?")
      .replace("max_capacity = 3", "max_capacity = 4"),
  async applied(outputs, server) {
    assert.equal(outputs["alarms"], 2);
    assert.equal(await desired(server), 2, "the minimum");
  },
  async afterChange(_outputs, server) {
    assert.equal(await desired(server), 3);
    const client = new ApplicationAutoScalingClient(server.sdk());
    const { ScalingPolicies } = await client.send(new DescribeScalingPoliciesCommand({ ServiceNamespace: "ecs" }));
    const { ScalableTargets } = await client.send(new DescribeScalableTargetsCommand({ ServiceNamespace: "ecs" }));
    client.destroy();
    assert.deepEqual(
      ScalingPolicies!.map(({ PolicyName, Alarms }) => [PolicyName, Alarms!.length]),
      [
        ["backlog", 2],
        ["cpu", 2],
        ["depth", 2],
        ["steps", 1],
      ],
    );
    assert.deepEqual([ScalableTargets!.length, ScalableTargets![0]!.MinCapacity], [1, 3]);
  },
  async destroyed(server) {
    assert.deepEqual(
      await keysBelow(server, "/appscaling/target/", "/appscaling/policy/", "/appscaling/scheduled-action/", "/appscaling/tags/"),
      [],
    );
  },
};
