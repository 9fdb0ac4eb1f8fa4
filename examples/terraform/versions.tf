terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40"
    }
  }
}

# Nothing here says where it goes: the environment does. `eval "$(./gantry env)"` leads to Gantry, your usual credentials to AWS.
provider "aws" {
  region = var.region
  default_tags {
    tags = {
      project    = var.name
      managed-by = "terraform"
    }
  }
}
