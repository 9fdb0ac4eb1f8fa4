/** A VPC by real Terraform: applied, planned clean, changed, destroyed, and nothing of it left. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createEc2 } from "#services/ec2/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer } from "../support/http.ts";
import { findTerraform, startTerraform } from "./support.ts";

const found = findTerraform();
const skip = "missing" in found ? found.missing : false;
const source = new URL("vpc.tf", import.meta.url);

test("Terraform applies a VPC with all that belongs to it, plans clean, changes it, destroys it", { skip, timeout: 600_000 }, async () => {
  assert.ok("terraform" in found);
  const server = await startServer({ parts: (deps) => [createSts(deps), createEc2(deps)] });
  const terraform = await startTerraform(found, server.endpoint, ["ec2", "sts", "iam"]);
  const keys = async () => (await server.deps.store.list("/ec2")).entries.map(({ key }) => key);
  const records = async () => (await keys()).filter((key) => key.startsWith("/ec2/") && !key.includes("/state/"));
  try {
    await server.aws("ec2", "describe-vpcs");
    const before = await records();
    const configuration = await readFile(source, "utf8");
    await terraform.apply(configuration);
    const clean = await terraform.plan();
    assert.equal(clean.code, 0, clean.text);
    const { vpc, ...outputs } = await terraform.outputs();
    assert.match(vpc as string, /^vpc-/);
    assert.deepEqual(outputs, {
      zones: ["us-east-1a", "us-east-1b", "us-east-1c"],
      default_cidrs: ["172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"],
      private_found: 2,
      mine: true,
      association: true,
      zone_id: "use1-az1",
    });

    // Changed in place: tags, rules, attributes, routes, members of endpoints.
    const changed = configuration
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
      );
    await terraform.apply(changed);
    const again = await terraform.plan();
    assert.equal(again.code, 0, again.text);

    await terraform.destroy();
    assert.deepEqual(await terraform.state(), []);
    // What Terraform adopted it does not delete; deleted NAT gateways are shown for an hour, as with EC2.
    assert.deepEqual(
      (await records()).filter((key) => !before.includes(key) && !key.includes("/nat-gateway/")),
      [],
    );
    assert.deepEqual(
      (await keys()).filter((key) => key.startsWith("/ec2-public-address/")),
      [],
    );
  } finally {
    await terraform.remove();
    await server.close();
  }
});
