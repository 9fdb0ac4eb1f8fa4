/** EventBridge's buses, rules, targets and webhooks; EventBridge Scheduler. */
import assert from "node:assert/strict";
import { fileOf, keysBelow, type Lesson } from "./lesson.ts";

export const events: Lesson = {
  name: "events",
  services: ["events", "scheduler", "ecs", "logs"],
  configuration: () => fileOf("events.tf"),
  changed: (text) =>
    text
      .replace('numeric = [">", 100]', 'numeric = [">=", 50]')
      .replace('description = "of the shop"', 'description = "of all shops"')
      .replace('value = "sesame"', 'value = "open"')
      .replace('http_method                      = "POST"', 'http_method                      = "PUT"')
      .replace('"cron(0 3 * * ? *)"', '"rate(12 hours)"')
      .replace("task_count              = 1", "task_count              = 2")
      .replace('state               = "DISABLED"', 'state               = "ENABLED"')
      .replace("maximum_window_in_minutes = 15", "maximum_window_in_minutes = 30")
      .replaceAll('tags        = { team = "a" }', 'tags        = { team = "b", more = "c" }')
      .replace(
        'tags = { team = "a" }\n}\n\nresource "aws_scheduler_schedule" "report"',
        'tags = { team = "b" }\n}\n\nresource "aws_scheduler_schedule" "report"',
      ),
  applied(outputs) {
    assert.deepEqual(outputs["all"], {
      rule: "arn:aws:events:us-east-1:000000000000:rule/orders/paid",
      schedule: "arn:aws:scheduler:us-east-1:000000000000:schedule/jobs/report",
      group: "ACTIVE",
    });
  },
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/events", "/scheduler", "/logs/000000000000/us-east-1/resource-policy"), []);
  },
};
