/** A VPC with all that belongs to it. */
import assert from "node:assert/strict";
import type { Lesson } from "./lesson.ts";
import type { TestServer } from "../../support/http.ts";
import { fileOf, keysBelow } from "./lesson.ts";

const records = async (server: TestServer) => (await keysBelow(server, "/ec2/")).filter((key) => !key.includes("/state/"));
let before: readonly string[];

export const vpc: Lesson = {
  name: "vpc",
  services: ["ec2"],
  configuration: () => fileOf("vpc.tf"),
  changed: (text) =>
    text
      .replace('team = "a" }', 'team = "a", more = "b" }')
      .replace("map_public_ip_on_launch         = true", "map_public_ip_on_launch         = false")
      .replace('description      = "web"', 'description      = "the web"')
      .replace("to_port                  = 8090", "to_port                  = 8099")
      .replace("from_port                    = 5432", "from_port                    = 5000")
      .replace("subnet_ids          = aws_subnet.private[*].id", "subnet_ids          = [aws_subnet.private[1].id]")
      .replace("route_table_ids = [aws_route_table.private.id]", "route_table_ids = [aws_route_table.public.id]")
      .replace("nat_gateway_id         = aws_nat_gateway.main.id", "nat_gateway_id         = aws_nat_gateway.inside.id")
      .replace(
        'security_groups = [aws_security_group.app.id]\n  description     = "one"',
        'security_groups = [aws_security_group.db.id]\n  description     = "two"',
      )
      .replace('private_ips     = ["10.20.1.50", "10.20.1.51"]', 'private_ips     = ["10.20.1.50", "10.20.1.52"]')
      .replace(
        "enable_dns_hostnames             = true",
        "enable_dns_hostnames             = true\n  enable_network_address_usage_metrics = true",
      ),
  async before(server) {
    await server.aws("ec2", "describe-vpcs");
    before = await records(server);
  },
  applied({ vpc: id, ...outputs }) {
    assert.match(id as string, /^vpc-/);
    assert.deepEqual(outputs, {
      zones: ["us-east-1a", "us-east-1b", "us-east-1c"],
      default_cidrs: ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"],
      private_found: 2,
      mine: true,
      association: true,
      zone_id: "use1-az1",
    });
  },
  async destroyed(server) {
    // What Terraform adopted it does not delete; deleted NAT gateways and terminated instances are shown for an hour, as with EC2.
    assert.deepEqual(
      (await records(server)).filter((key) => !before.includes(key) && !/\/(nat-gateway|instance)\//.test(key)),
      [],
    );
    assert.deepEqual(await keysBelow(server, "/ec2-public-address/"), []);
  },
};
