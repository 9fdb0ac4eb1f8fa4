# A VPC as people build it for ECS: public and private subnets, gateways, groups in both forms, endpoints, interfaces.

data "aws_availability_zones" "here" {
  state = "available"
}
data "aws_region" "here" {}
data "aws_caller_identity" "me" {}

resource "aws_vpc" "main" {
  cidr_block                       = "10.20.0.0/16"
  enable_dns_hostnames             = true
  assign_generated_ipv6_cidr_block = true
  tags                             = { Name = "main", team = "a" }
}

resource "aws_vpc_ipv4_cidr_block_association" "more" {
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.21.0.0/16"
}

resource "aws_vpc_dhcp_options" "own" {
  domain_name         = "example.internal"
  domain_name_servers = ["AmazonProvidedDNS"]
  tags                = { Name = "own" }
}
resource "aws_vpc_dhcp_options_association" "own" {
  vpc_id          = aws_vpc.main.id
  dhcp_options_id = aws_vpc_dhcp_options.own.id
}

resource "aws_subnet" "public" {
  count                           = 2
  vpc_id                          = aws_vpc.main.id
  cidr_block                      = cidrsubnet(aws_vpc.main.cidr_block, 8, count.index)
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.main.ipv6_cidr_block, 8, count.index)
  availability_zone               = data.aws_availability_zones.here.names[count.index]
  map_public_ip_on_launch         = true
  assign_ipv6_address_on_creation = true
  tags                            = { Name = "public-${count.index}", tier = "public" }
}
resource "aws_subnet" "private" {
  count             = 2
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet(aws_vpc.main.cidr_block, 8, 10 + count.index)
  availability_zone = data.aws_availability_zones.here.names[count.index]
  tags              = { Name = "private-${count.index}", tier = "private" }
}
resource "aws_subnet" "second_block" {
  vpc_id     = aws_vpc_ipv4_cidr_block_association.more.vpc_id
  cidr_block = "10.21.1.0/24"
}

resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "main" }
}
resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.main]
}
resource "aws_nat_gateway" "main" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = "nat" }
}
resource "aws_nat_gateway" "inside" {
  connectivity_type = "private"
  subnet_id         = aws_subnet.private[0].id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.main.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.main.id
  }
  route {
    ipv6_cidr_block = "::/0"
    gateway_id      = aws_internet_gateway.main.id
  }
  tags = { Name = "public" }
}
resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}
resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
}
resource "aws_route" "nat" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main.id
}
resource "aws_route_table_association" "private" {
  count          = 2
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}
resource "aws_route_table" "main" {
  vpc_id = aws_vpc.main.id
}
resource "aws_main_route_table_association" "main" {
  vpc_id         = aws_vpc.main.id
  route_table_id = aws_route_table.main.id
}

resource "aws_default_security_group" "main" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "closed" }
}

resource "aws_security_group" "lb" {
  name        = "lb"
  description = "from everywhere"
  vpc_id      = aws_vpc.main.id
  ingress {
    description      = "web"
    from_port        = 80
    to_port          = 80
    protocol         = "tcp"
    cidr_blocks      = ["0.0.0.0/0", "10.0.0.0/8"]
    ipv6_cidr_blocks = ["::/0"]
  }
  ingress {
    from_port = 0
    to_port   = 0
    protocol  = "-1"
    self      = true
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = { Name = "lb" }
}
resource "aws_security_group" "app" {
  name_prefix = "app-"
  vpc_id      = aws_vpc.main.id
}
resource "aws_security_group_rule" "app_in" {
  type                     = "ingress"
  security_group_id        = aws_security_group.app.id
  source_security_group_id = aws_security_group.lb.id
  protocol                 = "tcp"
  from_port                = 8080
  to_port                  = 8090
  description              = "from the balancer"
}
resource "aws_security_group_rule" "app_out" {
  type              = "egress"
  security_group_id = aws_security_group.app.id
  protocol          = "-1"
  from_port         = 0
  to_port           = 0
  cidr_blocks       = ["0.0.0.0/0"]
  ipv6_cidr_blocks  = ["::/0"]
}
resource "aws_security_group" "db" {
  name   = "db"
  vpc_id = aws_vpc.main.id
}
resource "aws_vpc_security_group_ingress_rule" "db" {
  security_group_id            = aws_security_group.db.id
  referenced_security_group_id = aws_security_group.app.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  tags                         = { Name = "app to db" }
}
resource "aws_vpc_security_group_ingress_rule" "ping" {
  security_group_id = aws_security_group.db.id
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "icmp"
  from_port         = 8
  to_port           = -1
}
resource "aws_vpc_security_group_egress_rule" "db" {
  security_group_id = aws_security_group.db.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}
resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.db.id
  prefix_list_id    = data.aws_ec2_managed_prefix_list.s3.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_network_interface" "one" {
  subnet_id       = aws_subnet.public[1].id
  private_ips     = ["10.20.1.50", "10.20.1.51"]
  security_groups = [aws_security_group.app.id]
  description     = "one"
  tags            = { Name = "one" }
}
resource "aws_eip" "one" {
  domain = "vpc"
  tags   = { Name = "one" }
}
resource "aws_eip_association" "one" {
  allocation_id        = aws_eip.one.id
  network_interface_id = aws_network_interface.one.id
  private_ip_address   = "10.20.1.50"
  depends_on           = [aws_internet_gateway.main]
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.main.id
  service_name    = "com.amazonaws.${data.aws_region.here.name}.s3"
  route_table_ids = [aws_route_table.private.id]
  tags            = { Name = "s3" }
}
resource "aws_vpc_endpoint" "logs" {
  vpc_id              = aws_vpc.main.id
  service_name        = "com.amazonaws.${data.aws_region.here.name}.logs"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.private[*].id
  security_group_ids  = [aws_security_group.app.id]
}

# A second VPC: attachment apart, default route table and default options taken over.
resource "aws_vpc" "other" {
  cidr_block = "10.30.0.0/24"
}
resource "aws_internet_gateway" "other" {}
resource "aws_internet_gateway_attachment" "other" {
  vpc_id              = aws_vpc.other.id
  internet_gateway_id = aws_internet_gateway.other.id
}
resource "aws_default_route_table" "other" {
  default_route_table_id = aws_vpc.other.default_route_table_id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway_attachment.other.internet_gateway_id
  }
  tags = { Name = "default of other" }
}
resource "aws_default_security_group" "other" {
  vpc_id = aws_vpc.other.id
  ingress {
    protocol  = "-1"
    self      = true
    from_port = 0
    to_port   = 0
  }
}
# As terraform-aws-modules/vpc adopts it.
resource "aws_default_network_acl" "other" {
  default_network_acl_id = aws_vpc.other.default_network_acl_id
  dynamic "ingress" {
    for_each = { 100 = ["0.0.0.0/0", null], 101 = [null, "::/0"] }
    content {
      rule_no         = ingress.key
      action          = "allow"
      protocol        = "-1"
      from_port       = 0
      to_port         = 0
      cidr_block      = ingress.value[0]
      ipv6_cidr_block = ingress.value[1]
    }
  }
  egress {
    rule_no    = 100
    action     = "allow"
    protocol   = "-1"
    from_port  = 0
    to_port    = 0
    cidr_block = "0.0.0.0/0"
  }
  tags = { Name = "adopted" }
}
resource "aws_default_vpc" "default" {
  tags = { Name = "default" }
}
resource "aws_default_subnet" "first" {
  availability_zone = data.aws_availability_zones.here.names[0]
  tags              = { Name = "default-a" }
}
resource "aws_default_vpc_dhcp_options" "default" {}

data "aws_vpc" "default" {
  default = true
}
data "aws_vpcs" "mine" {
  tags       = { team = "a" }
  depends_on = [aws_vpc.main]
}
data "aws_subnets" "default" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_subnets" "private" {
  filter {
    name   = "tag:tier"
    values = ["priv*"]
  }
  depends_on = [aws_subnet.private]
}
data "aws_subnet" "default" {
  for_each = toset(data.aws_subnets.default.ids)
  id       = each.value
}
data "aws_security_group" "default" {
  name   = "default"
  vpc_id = data.aws_vpc.default.id
}
data "aws_security_groups" "main" {
  filter {
    name   = "vpc-id"
    values = [aws_vpc.main.id]
  }
  depends_on = [aws_security_group.db]
}
data "aws_route_table" "default" {
  vpc_id = data.aws_vpc.default.id
  filter {
    name   = "association.main"
    values = ["true"]
  }
}
data "aws_route_tables" "main" {
  vpc_id     = aws_vpc.main.id
  depends_on = [aws_route_table.public]
}
data "aws_internet_gateway" "default" {
  filter {
    name   = "attachment.vpc-id"
    values = [data.aws_vpc.default.id]
  }
}
data "aws_network_interface" "one" {
  id         = aws_network_interface.one.id
  depends_on = [aws_eip_association.one]
}
data "aws_ec2_managed_prefix_list" "s3" {
  name = "com.amazonaws.${data.aws_region.here.name}.s3"
}
data "aws_prefix_list" "dynamodb" {
  name = "com.amazonaws.${data.aws_region.here.name}.dynamodb"
}
data "aws_vpc_endpoint_service" "s3" {
  service      = "s3"
  service_type = "Gateway"
}
data "aws_availability_zone" "first" {
  name = data.aws_availability_zones.here.names[0]
}
data "aws_nat_gateway" "main" {
  id = aws_nat_gateway.main.id
}
data "aws_eip" "one" {
  id = aws_eip.one.id
}
data "aws_vpc_dhcp_options" "own" {
  dhcp_options_id = aws_vpc_dhcp_options.own.id
}

output "zones" { value = data.aws_availability_zones.here.names }
output "default_cidrs" { value = sort([for each in data.aws_subnet.default : each.cidr_block]) }
output "private_found" { value = length(data.aws_subnets.private.ids) }
output "mine" { value = data.aws_vpcs.mine.ids == tolist([aws_vpc.main.id]) }
output "association" { value = data.aws_network_interface.one.association[0].public_ip == aws_eip.one.public_ip }
output "zone_id" { value = data.aws_availability_zone.first.zone_id }
output "vpc" { value = aws_vpc.main.id }
