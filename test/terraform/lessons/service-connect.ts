/** A service with Service Connect. */
import assert from "node:assert/strict";
import type { Lesson } from "./lesson.ts";
import { keysBelow } from "./lesson.ts";

const configuration = `
resource "aws_service_discovery_http_namespace" "shop" { name = "shop" }

resource "aws_ecs_cluster" "shop" {
  name = "shop"
  service_connect_defaults { namespace = aws_service_discovery_http_namespace.shop.arn }
}

resource "aws_ecs_task_definition" "web" {
  family = "web"
  container_definitions = jsonencode([{
    name = "web", image = "nginx", memory = 64, cpu = 0, essential = true, environment = [], mountPoints = [], volumesFrom = [], systemControls = []
    portMappings = [{ name = "http", containerPort = 80, hostPort = 0, protocol = "tcp", appProtocol = "http" }]
  }])
}

resource "aws_ecs_service" "web" {
  name            = "web"
  cluster         = aws_ecs_cluster.shop.id
  task_definition = aws_ecs_task_definition.web.arn
  desired_count   = 0
  service_connect_configuration {
    enabled   = true
    namespace = aws_service_discovery_http_namespace.shop.arn
    service {
      port_name      = "http"
      discovery_name = "web"
      client_alias {
        port     = 80
        dns_name = "web"
      }
      timeout {
        idle_timeout_seconds        = 120
        per_request_timeout_seconds = 30
      }
    }
  }
}
`;

export const serviceConnect: Lesson = {
  name: "service_connect",
  services: ["ecs", "servicediscovery"],
  configuration: async () => configuration,
  changed: (text) => text.replace("= 30", "= 40").replace('dns_name = "web"', 'dns_name = "www"'),
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/servicediscovery/"), []);
  },
};
