# An application load balancer as people write it, a network one in front of another, their target groups, rules, certificates.

data "aws_availability_zones" "here" {}
data "aws_caller_identity" "me" {}

resource "aws_vpc" "main" {
  cidr_block = "10.40.0.0/16"
}
resource "aws_internet_gateway" "main" {
  vpc_id = aws_vpc.main.id
}
resource "aws_subnet" "public" {
  count             = 3
  vpc_id            = aws_vpc.main.id
  cidr_block        = cidrsubnet("10.40.0.0/16", 8, count.index)
  availability_zone = data.aws_availability_zones.here.names[count.index]
}
resource "aws_security_group" "lb" {
  name   = "lb"
  vpc_id = aws_vpc.main.id
}
resource "aws_security_group" "other" {
  name   = "other"
  vpc_id = aws_vpc.main.id
}
resource "aws_eip" "nlb" {
  count  = 2
  domain = "vpc"
}

resource "aws_acm_certificate" "imported" {
  private_key      = file("${path.module}/key.pem")
  certificate_body = file("${path.module}/cert.pem")
  tags             = { Name = "imported" }
}
resource "aws_acm_certificate" "issued" {
  domain_name               = "shop.example.com"
  subject_alternative_names = ["*.shop.example.com"]
  validation_method         = "DNS"
  key_algorithm             = "EC_prime256v1"
  tags                      = { Name = "issued" }
  lifecycle { create_before_destroy = true }
}
resource "aws_acm_certificate_validation" "issued" {
  certificate_arn = aws_acm_certificate.issued.arn
}

resource "aws_lb" "web" {
  name                       = "web"
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.lb.id]
  subnets                    = slice(aws_subnet.public[*].id, 0, 2)
  idle_timeout               = 30
  drop_invalid_header_fields = true
  enable_http2               = false
  preserve_host_header       = true
  xff_header_processing_mode = "preserve"
  desync_mitigation_mode     = "strictest"
  client_keep_alive          = 600
  tags                       = { team = "a" }
  depends_on                 = [aws_internet_gateway.main]
}
resource "aws_lb" "inside" {
  name_prefix        = "in-"
  internal           = true
  load_balancer_type = "application"
  subnets            = aws_subnet.public[*].id
}
resource "aws_lb" "net" {
  name               = "net"
  load_balancer_type = "network"
  security_groups    = [aws_security_group.lb.id]
  dynamic "subnet_mapping" {
    for_each = [0, 1]
    content {
      subnet_id     = aws_subnet.public[subnet_mapping.value].id
      allocation_id = aws_eip.nlb[subnet_mapping.value].id
    }
  }
  enable_cross_zone_load_balancing = true
  dns_record_client_routing_policy = "availability_zone_affinity"
  depends_on                       = [aws_internet_gateway.main]
}
resource "aws_lb" "bare" {
  name               = "bare"
  internal           = true
  load_balancer_type = "network"
  subnet_mapping {
    subnet_id            = aws_subnet.public[0].id
    private_ipv4_address = "10.40.0.99"
  }
}

resource "aws_lb_target_group" "blue" {
  name                          = "blue"
  port                          = 8080
  protocol                      = "HTTP"
  vpc_id                        = aws_vpc.main.id
  target_type                   = "ip"
  deregistration_delay          = 5
  slow_start                    = 30
  load_balancing_algorithm_type = "round_robin"
  health_check {
    path                = "/health"
    matcher             = "200-299"
    interval            = 10
    timeout             = 4
    healthy_threshold   = 2
    unhealthy_threshold = 4
  }
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 3600
  }
  tags = { color = "blue" }
}
resource "aws_lb_target_group" "green" {
  name_prefix                   = "green-"
  port                          = 443
  protocol                      = "HTTPS"
  protocol_version              = "HTTP2"
  vpc_id                        = aws_vpc.main.id
  target_type                   = "ip"
  load_balancing_algorithm_type = "least_outstanding_requests"
  stickiness {
    type        = "app_cookie"
    cookie_name = "session"
  }
}
resource "aws_lb_target_group" "grpc" {
  name             = "grpc"
  port             = 50051
  protocol         = "HTTP"
  protocol_version = "GRPC"
  vpc_id           = aws_vpc.main.id
  target_type      = "instance"
  health_check {
    path    = "/grpc.health.v1.Health/Check"
    matcher = "0-5"
  }
}
resource "aws_lb_target_group" "tcp" {
  name                   = "tcp"
  port                   = 6379
  protocol               = "TCP"
  vpc_id                 = aws_vpc.main.id
  target_type            = "ip"
  preserve_client_ip     = "true"
  proxy_protocol_v2      = true
  connection_termination = true
  health_check {
    protocol = "HTTP"
    port     = "8081"
    path     = "/live"
  }
  stickiness {
    type    = "source_ip"
    enabled = true
  }
}
resource "aws_lb_target_group" "plain" {
  name        = "plain"
  port        = 53
  protocol    = "TCP_UDP"
  vpc_id      = aws_vpc.main.id
  target_type = "instance"
}
resource "aws_lb_target_group" "front" {
  name        = "front"
  port        = 80
  protocol    = "TCP"
  vpc_id      = aws_vpc.main.id
  target_type = "alb"
}
resource "aws_lb_target_group_attachment" "one" {
  target_group_arn = aws_lb_target_group.blue.arn
  target_id        = "10.40.0.20"
}
resource "aws_lb_target_group_attachment" "two" {
  target_group_arn = aws_lb_target_group.blue.arn
  target_id        = "10.40.1.20"
  port             = 9090
}
resource "aws_lb_target_group_attachment" "outside" {
  target_group_arn  = aws_lb_target_group.tcp.arn
  target_id         = "192.168.3.4"
  availability_zone = "all"
}
resource "aws_lb_target_group_attachment" "front" {
  target_group_arn = aws_lb_target_group.front.arn
  target_id        = aws_lb.inside.arn
  port             = 80
  depends_on       = [aws_lb_listener.inside]
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.web.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
  tags = { Name = "http" }
}
resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.web.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = aws_acm_certificate.imported.arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.blue.arn
  }
}
resource "aws_lb_listener_certificate" "issued" {
  listener_arn    = aws_lb_listener.https.arn
  certificate_arn = aws_acm_certificate_validation.issued.certificate_arn
}
resource "aws_lb_listener" "inside" {
  load_balancer_arn = aws_lb.inside.arn
  port              = 80
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "inside"
      status_code  = "200"
    }
  }
}
resource "aws_lb_listener" "tcp" {
  load_balancer_arn        = aws_lb.net.arn
  port                     = 6379
  protocol                 = "TCP"
  tcp_idle_timeout_seconds = 120
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.tcp.arn
  }
}
resource "aws_lb_listener" "tls" {
  load_balancer_arn = aws_lb.net.arn
  port              = 443
  protocol          = "TLS"
  certificate_arn   = aws_acm_certificate.imported.arn
  alpn_policy       = "HTTP2Preferred"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.tcp.arn
  }
}
resource "aws_lb_listener" "front" {
  load_balancer_arn = aws_lb.bare.arn
  port              = 80
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.front.arn
  }
}

resource "aws_lb_listener_rule" "weighted" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 10
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.blue.arn
        weight = 80
      }
      target_group {
        arn    = aws_lb_target_group.green.arn
        weight = 20
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
  condition {
    path_pattern { values = ["/shop/*", "/cart"] }
  }
  condition {
    host_header { values = ["*.example.com"] }
  }
  tags = { Name = "weighted" }
}
resource "aws_lb_listener_rule" "everything" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 20
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "application/json"
      message_body = "{}"
      status_code  = "503"
    }
  }
  condition {
    http_header {
      http_header_name = "X-Test"
      values           = ["a*"]
    }
  }
  condition {
    http_request_method { values = ["GET"] }
  }
  condition {
    query_string {
      key   = "v"
      value = "1"
    }
    query_string { value = "beta" }
  }
  condition {
    source_ip { values = ["10.0.0.0/8"] }
  }
}
resource "aws_lb_listener_rule" "next" {
  listener_arn = aws_lb_listener.https.arn
  depends_on   = [aws_lb_listener_rule.everything]
  action {
    type = "redirect"
    redirect {
      host        = "new.example.com"
      path        = "/v2/#{path}"
      status_code = "HTTP_302"
    }
  }
  condition {
    path_pattern { values = ["/v1/*"] }
  }
}

data "aws_lb" "web" {
  name       = aws_lb.web.name
  depends_on = [aws_lb.web]
}
data "aws_lbs" "team" {
  tags       = { team = "a" }
  depends_on = [aws_lb.web, aws_lb.net]
}
data "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.web.arn
  port              = 443
  depends_on        = [aws_lb_listener.https]
}
data "aws_lb_target_group" "blue" {
  name       = "blue"
  depends_on = [aws_lb_listener_rule.weighted]
}
data "aws_lb_hosted_zone_id" "here" {}
data "aws_acm_certificate" "issued" {
  domain     = "shop.example.com"
  key_types  = ["EC_prime256v1"]
  statuses   = ["ISSUED"]
  depends_on = [aws_acm_certificate.issued]
}
data "aws_network_interfaces" "web" {
  filter {
    name   = "description"
    values = ["ELB ${aws_lb.web.arn_suffix}"]
  }
  depends_on = [aws_lb.web]
}

output "dns" { value = aws_lb.web.dns_name }
output "same" { value = data.aws_lb.web.arn == aws_lb.web.arn }
output "zone" { value = aws_lb.web.zone_id == data.aws_lb_hosted_zone_id.here.id }
output "team" { value = length(data.aws_lbs.team.arns) }
output "listener" { value = data.aws_lb_listener.https.ssl_policy }
output "used_by" { value = data.aws_lb_target_group.blue.load_balancer_arns == toset([aws_lb.web.arn]) }
output "certificate" { value = data.aws_acm_certificate.issued.arn == aws_acm_certificate.issued.arn }
output "interfaces" { value = length(data.aws_network_interfaces.web.ids) }
output "rule_priority" { value = aws_lb_listener_rule.next.priority }
output "eips" { value = sort(aws_eip.nlb[*].public_ip) == sort([for each in aws_lb.net.subnet_mapping : aws_eip.nlb[index(aws_eip.nlb[*].id, each.allocation_id)].public_ip]) }
output "suffix" { value = replace(aws_lb.web.arn_suffix, "/[0-9a-f]{16}$/", "id") }
