/** Service Connect by real Terraform: applied, planned clean, changed, destroyed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer } from "../support/http.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;

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

test("Terraform applies a service with Service Connect, plans clean, changes and destroys it", { skip, timeout: 600_000 }, async () => {
  assert.ok("terraform" in found);
  const server = await startServer({ parts: (deps) => [createSts(deps), createEc2(deps), createEcs(deps), createServiceDiscovery(deps)] });
  const terraform = await startTerraform(found, server.endpoint, ["ec2", "ecs", "sts", "iam", "servicediscovery"]);
  try {
    await terraform.apply(configuration);
    const clean = await terraform.plan();
    assert.equal(clean.code, 0, clean.text);
    await terraform.apply(configuration.replace("= 30", "= 40").replace('dns_name = "web"', 'dns_name = "www"'));
    await terraform.destroy();
    assert.deepEqual(await terraform.state(), []);
    const left = (await server.deps.store.list("/servicediscovery/")).entries.map(({ key }) => key);
    assert.deepEqual(left, []);
  } finally {
    await terraform.remove();
    await server.close();
  }
});
