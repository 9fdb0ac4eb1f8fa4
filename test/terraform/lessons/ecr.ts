/** Repositories with what hangs on them. */
import assert from "node:assert/strict";
import type { Lesson } from "./lesson.ts";
import { keysBelow } from "./lesson.ts";

const configuration = `
resource "aws_ecr_repository" "app" {
  name                 = "shop/app"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true
  image_scanning_configuration { scan_on_push = true }
  tags = { team = "a" }
}

resource "aws_ecr_registry_scanning_configuration" "all" {
  scan_type = "BASIC"
  rule {
    scan_frequency = "SCAN_ON_PUSH"
    repository_filter {
      filter      = "shop/*"
      filter_type = "WILDCARD"
    }
    repository_filter {
      filter      = "prod"
      filter_type = "WILDCARD"
    }
  }
}

resource "aws_ecr_account_setting" "scanner" {
  name  = "BASIC_SCAN_TYPE_VERSION"
  value = "AWS_NATIVE"
}

# Out of order, and with everything that a rule may have.
resource "aws_ecr_lifecycle_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy = jsonencode({
    rules = [
      {
        rulePriority = 30
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 100 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 10
        description  = "Of releases the newest ten"
        selection    = { tagStatus = "tagged", tagPatternList = ["v*.*", "*release*"], countType = "imageCountMoreThan", countNumber = 10 }
        action       = { type = "expire" }
      },
    ]
  })
}

data "aws_ecr_lifecycle_policy_document" "jobs" {
  rule {
    priority    = 1
    description = "What lost its tag"
    selection {
      tag_status   = "untagged"
      count_type   = "sinceImagePushed"
      count_unit   = "days"
      count_number = 14
    }
  }
  rule {
    priority = 2
    selection {
      tag_status      = "tagged"
      tag_prefix_list = ["dev-"]
      count_type      = "sinceImagePushed"
      count_unit      = "days"
      count_number    = 3
    }
    action { type = "expire" }
  }
}
resource "aws_ecr_repository" "jobs" { name = "shop/jobs" }
resource "aws_ecr_lifecycle_policy" "jobs" {
  repository = aws_ecr_repository.jobs.name
  policy     = data.aws_ecr_lifecycle_policy_document.jobs.json
}

data "aws_iam_policy_document" "readers" {
  statement {
    actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    principals {
      type        = "AWS"
      identifiers = ["111122223333"]
    }
  }
}
resource "aws_ecr_repository_policy" "app" {
  repository = aws_ecr_repository.app.name
  policy     = data.aws_iam_policy_document.readers.json
}

data "aws_ecr_repository" "again" {
  name = aws_ecr_repository.app.name
}
output "same" { value = data.aws_ecr_repository.again.repository_url == aws_ecr_repository.app.repository_url }
`;

export const ecr: Lesson = {
  name: "ecr",
  services: ["ecr"],
  configuration: async () => configuration,
  changed: (text) =>
    text
      .replace("countNumber = 100", "countNumber = 50")
      .replace("= 14", "= 7")
      .replace('= "prod"', '= "live"')
      .replace('team = "a"', 'team = "b"'),
  applied: ({ same }) => assert.equal(same, true),
  async afterChange(_outputs, server) {
    const text = await server.aws("ecr", "get-lifecycle-policy", "--repository-name", "shop/app", "--query", "lifecyclePolicyText");
    assert.match(text, /countNumber\\":50/);
    const rules = await server.aws(
      "ecr",
      "get-registry-scanning-configuration",
      "--query",
      "scanningConfiguration.rules[].repositoryFilters[].filter",
    );
    assert.deepEqual((JSON.parse(rules) as string[]).toSorted(), ["live", "shop/*"]);
  },
  async destroyed(server) {
    assert.deepEqual(await keysBelow(server, "/ecr/"), []);
  },
};
